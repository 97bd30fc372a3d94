"""Card profiles that organisations define for themselves: there and below."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.custom.profiles import (
    CustomProfile,
    Terms,
    base_named,
    profile_name,
    with_terms,
)
from cloud_keystore.model.errors import (
    BuiltInProfile,
    ChangedMeanwhile,
    ProfileInUse,
    ProfileNotFound,
)
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.policies import card_profiles
from cloud_keystore.storage import organisations
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import custom_profiles

SAID = ("name", "series", "oldest_client", "serial_prefix", "validity_days")


@dataclass(frozen=True, slots=True)
class ProfileListing:
    """A profile with the name of its organisation, and how many cards are of it that are not
    over.
    """

    profile: CustomProfile
    organisation_name: str
    cards: int


@dataclass(frozen=True, slots=True)
class CustomProfiles:
    """Defines, changes and deletes profiles. Cards that there are stay as they are."""

    database: Database
    clock: Clock
    random: Random

    def define(
        self, name: str, base: str, terms: Terms, organisation_id: str = "", *, actor: Actor
    ) -> ProfileListing:
        """Define a profile for an organisation and those below it.

        Raises InvalidInput, OrganisationNotFound, NotAllowed, ProfileExists.
        """
        now, of, name = self.clock(), base_named(base), profile_name(name)
        with acting.changing(self.database, actor, now) as by:
            plain = CustomProfile(
                id=new_id(now, self.random),
                name=name,
                organisation_id=by.place(Right.POLICY, organisation_id),
                base=base,
                series=name,
                oldest_client="",
                serial_prefix=of.serial_prefix,
                validity_days=of.validity_days,
                create_time=now,
            )
            made = with_terms(plain, terms)
            card_profiles.check_free(by.connection, made)
            custom_profiles.add(by.connection, made)
            said: dict[str, Detail] = {**_facts(made), "base": base, **_said(made)}
            told = entries.about_keystore(Kind.PROFILE_DEFINED, now, actor, said)
            journal.append(by.connection, told)
            return _listing(by, made)

    def change(
        self, profile_id: str, revision: int, name: str | None, terms: Terms, *, actor: Actor
    ) -> ProfileListing:
        """Let a profile say something else of cards that are issued or renewed from now on. The
        revision is that which the caller has seen.

        Raises ProfileNotFound, BuiltInProfile, ChangedMeanwhile, InvalidInput, NotAllowed,
        ProfileExists.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            profile = _named(by, profile_id)
            if revision != profile.revision:
                raise ChangedMeanwhile(
                    f"the profile {profile.name} was changed meanwhile: look again, and repeat "
                    "what is still to be changed"
                )
            changed = with_terms(profile, terms)
            if name is not None and name != profile.name:
                changed = replace(changed, name=profile_name(name))
                _check_nobodys(by.connection, profile, "name it again")
                card_profiles.check_free(by.connection, changed)
            if changed == profile:
                return _listing(by, profile)
            changed = replace(changed, revision=profile.revision + 1)
            custom_profiles.change(by.connection, changed)
            old, new = _said(profile), _said(changed)
            different = [each for each in SAID if old[each] != new[each]]
            said: dict[str, Detail] = {
                **_facts(profile),
                **{f"old_{each}": old[each] for each in different},
                **{each: new[each] for each in different},
            }
            told = entries.about_keystore(Kind.PROFILE_CHANGED, now, actor, said)
            journal.append(by.connection, told)
            return _listing(by, changed)

    def delete(self, profile_id: str, *, actor: Actor) -> ProfileListing:
        """Delete a profile of which no card is that is not over.

        Raises ProfileNotFound, BuiltInProfile, NotAllowed, ProfileInUse.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            profile = _named(by, profile_id)
            listing = _listing(by, profile)
            if listing.cards:
                raise ProfileInUse(
                    f"{listing.cards} cards are of the profile {profile.name}: replace or revoke "
                    "them first"
                )
            _check_nobodys(by.connection, profile, "delete it")
            custom_profiles.delete(by.connection, profile, now)
            said: dict[str, Detail] = {**_facts(profile), "base": profile.base, **_said(profile)}
            told = entries.about_keystore(Kind.PROFILE_DELETED, now, actor, said)
            journal.append(by.connection, told)
            return listing

    def find(self, profile_id: str, *, actor: Actor) -> ProfileListing:
        """The profile with an identifier, of organisations as `list_all` has them. Raises
        ProfileNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = custom_profiles.find(by.connection, profile_id)
            if found is None or not by.held.sees_of(found.organisation_id):
                raise ProfileNotFound("there is no such profile: cloudcard ra profile list")
            return _listing(by, found)

    def offered(self, user_id: str, *, actor: Actor) -> list[CustomProfile]:
        """The profiles that organisations have defined and of which a person's next card can be, by
        name. Raises UserNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            user = by.user(user_id, Right.VIEW)
            return card_profiles.defined(by.connection, user.organisation_id)

    def list_all(self, *, actor: Actor) -> list[ProfileListing]:
        """The profiles of organisations that the actor sees, and of those above them, by name.
        Raises NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            known = custom_profiles.list_all(by.connection)
            seen = [each for each in known if by.held.sees_of(each.organisation_id)]
            cards = custom_profiles.count_cards(by.connection, [each.id for each in seen])
            names = {each.id: each.name for each in organisations.list_all(by.connection)}
            return [
                ProfileListing(each, names.get(each.organisation_id, ""), cards.get(each.id, 0))
                for each in seen
            ]


def _named(by: Acting, profile_id: str) -> CustomProfile:
    """A profile that the actor may change; raises ProfileNotFound, BuiltInProfile, NotAllowed."""
    if profile_id in PROFILES:
        by.need_somewhere(Right.POLICY)
        raise BuiltInProfile(
            f"{profile_id} is built in: nobody changes or deletes it. Define one of your own: "
            "cloudcard ra profile create"
        )
    found = custom_profiles.find(by.connection, profile_id)
    if found is None or not by.held.sees_of(found.organisation_id):
        raise ProfileNotFound("there is no such profile: cloudcard ra profile list")
    by.need(Right.POLICY, found.organisation_id)
    return found


def _check_nobodys(connection: Connection, profile: CustomProfile, then: str) -> None:
    """Raise ProfileInUse for a profile of which somebody's next cards are to be."""
    parents = organisations.parents(connection)
    below = [
        each.id
        for each in organisations.list_all(connection)
        if profile.organisation_id in upwards(each.id, parents)
    ]
    if number := custom_profiles.count_people(connection, profile.name, below):
        raise ProfileInUse(
            f"the next cards of {number} people are of the profile {profile.name}: say otherwise "
            f"first (cloudcard ra user list --profile {profile.name}, ra user edit), then {then}"
        )


def _listing(by: Acting, profile: CustomProfile) -> ProfileListing:
    cards = custom_profiles.count_cards(by.connection, [profile.id])
    where = organisations.name(by.connection, profile.organisation_id)
    return ProfileListing(profile, where, cards.get(profile.id, 0))


def _facts(profile: CustomProfile) -> dict[str, str]:
    return {
        "profile": profile.name,
        "profile_id": profile.id,
        "organisation": profile.organisation_id,
    }


def _said(profile: CustomProfile) -> dict[str, str]:
    return {each: str(getattr(profile, each)) for each in SAID}
