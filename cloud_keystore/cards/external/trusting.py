"""Authorities outside of the keystore that are trusted to certify cards, and whose cards they
certify.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.fields.texts import LONGEST_LABEL, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.organisations import ROOT
from cloud_keystore.model.pki.external import (
    MOST_AUTHORITIES,
    OWN,
    ExternalAuthority,
    IssuerChoice,
)
from cloud_keystore.model.pki.lists import ExternalList
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.pki import external as checking
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, est_servers, external
from cloud_keystore.storage.revocation import external_lists, felt


@dataclass(frozen=True, slots=True)
class Chosen:
    """A choice, and what the authority is called; empty for the keystore's own."""

    choice: IssuerChoice
    authority: str


@dataclass(frozen=True, slots=True)
class Trusting:
    """Trusts external authorities, and chooses among them and the keystore's own."""

    database: Database
    clock: Clock
    random: Random

    def trust(self, name: str, certificate: bytes, below: str = "", *, actor: Actor) -> bool:
        """Trust an authority by its certificate, DER, from now on; False if it was before. With
        `below` it is known as one that issues for cards of that one, so that its revocation list
        counts for them. Raises AuthorityNotFound, InvalidInput, NotAllowed.
        """
        now = self.clock()
        name = text_field("name", name, LONGEST_LABEL)
        if name.lower() == OWN:
            raise InvalidInput(f"name is {name!r}, which means the keystore's own: use another one")
        checking.check_authority(certificate, now)
        made = ExternalAuthority(new_id(now, self.random), name, certificate, now)
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            connection, known = by.connection, external.list_all(by.connection)
            same = [each for each in known if (each.name, each.certificate) == (name, certificate)]
            chief_id = _chief_id(connection, same[0] if same else made, below)
            if same and chief_id in ("", same[0].above_id):
                return False
            if not same:
                _check_other(known, made)
                external.add(connection, replace(made, above_id=chief_id))
            else:
                external.lower(connection, same[0], chief_id)
            at = same[0] if same else made
            if chief_id and external_lists.find(connection, at.id) is None:
                # What lists above say of it is applied by way of its own.
                external_lists.put(connection, ExternalList(at.id))
            said: dict[str, Detail] = {"authority": at.id, "name": name}
            if below:
                said["below"] = below
            evidence = {"certificate": certificate}
            told = entries.about_keystore(Kind.AUTHORITY_TRUSTED, now, actor, said, evidence)
            journal.append(connection, told)
        return True

    def distrust(self, name: str, *, actor: Actor) -> bool:
        """Take an authority from the trusted ones that was never used; False if there is none.
        Raises InvalidInput, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need(Right.POLICY, ROOT)
            connection, found = by.connection, external.find(by.connection, name)
            if found is None:
                return False
            if any(each.authority_id == found.id for each in external.choices(connection)):
                raise InvalidInput(f"{name} certifies new cards: choose another authority first")
            if csrs.is_used(connection, found.id):
                raise InvalidInput(f"{name} certifies cards that there are: it has to stay")
            below = [
                each.name for each in external.list_all(connection) if each.above_id == found.id
            ]
            if below:
                raise InvalidInput(f"{below[0]} is below {name}: take that away first")
            if felt.of_authority(connection, found.id):
                raise InvalidInput(f"cards have felt what {name} has revoked: it has to stay")
            est_servers.remove(connection, found.id)
            external_lists.remove(connection, found.id)
            external.remove(connection, found)
            said: dict[str, Detail] = {"authority": found.id, "name": name}
            told = entries.about_keystore(Kind.AUTHORITY_DISTRUSTED, now, actor, said)
            journal.append(connection, told)
        return True

    def choose(self, organisation_id: str, profile: str, name: str, *, actor: Actor) -> bool:
        """Let an authority, or the keystore's own without a name, certify the new cards of an
        organisation (empty: all) and of a profile (empty: all); False if it was so. Raises
        AuthorityNotFound, OrganisationNotFound, NotAllowed, InvalidInput.
        """
        if profile and profile not in PROFILES:
            raise InvalidInput(f"there is no profile {profile}: ask for one of the list")
        if profile and PROFILES[profile].developer and name:
            raise InvalidInput("cards for developers are certified by the keystore alone")
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            connection = by.connection
            by.place(Right.POLICY, organisation_id or ROOT)
            authority_id = external.named(connection, name).id if name else ""
            before = external.choice(connection, organisation_id, profile)
            chosen = IssuerChoice(organisation_id, profile, authority_id)
            if chosen == before:
                return False
            external.choose(connection, chosen)
            said: dict[str, Detail] = {
                "organisation": organisation_id,
                "profile": profile,
                "old_authority": _called(connection, before),
                "authority": name or OWN,
            }
            told = entries.about_keystore(Kind.ISSUER_CHOSEN, now, actor, said)
            journal.append(connection, told)
        return True

    def list_all(self, *, actor: Actor) -> list[ExternalAuthority]:
        """The authorities by name. Raises NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return external.list_all(by.connection)

    def list_choices(self, *, actor: Actor) -> list[Chosen]:
        """What was chosen for all organisations, and for those that the actor sees. Raises
        NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            names = {each.id: each.name for each in external.list_all(by.connection)}
            return [
                Chosen(each, names.get(each.authority_id, ""))
                for each in external.choices(by.connection)
                if not each.organisation_id or by.held.sees(each.organisation_id)
            ]


def _check_other(known: Sequence[ExternalAuthority], made: ExternalAuthority) -> None:
    if any(each.name == made.name for each in known):
        raise InvalidInput(f"another authority is called {made.name!r}: use another name")
    if any(each.certificate == made.certificate for each in known):
        raise InvalidInput("the authority is trusted under another name")
    if len(known) >= MOST_AUTHORITIES:
        raise InvalidInput(f"there are {MOST_AUTHORITIES} external authorities already")


def _chief_id(connection: Connection, made: ExternalAuthority, below: str) -> str:
    """The identifier of the trusted authority to which one leads; empty if it is to be below none.
    Raises AuthorityNotFound, InvalidInput.
    """
    if not below:
        return ""
    others = external.issuers(connection, external.named(connection, below))
    chief = next(each for each in others if not each.above_id)
    above = [chief, *(each for each in others if each.id not in (chief.id, made.id))]
    if made.id == chief.id or any(
        each.above_id == made.id for each in external.list_all(connection)
    ):
        raise InvalidInput(f"{made.name} is above {below}, or is it: name another one")
    checking.check_below(made.certificate, [each.certificate for each in above])
    held = external_lists.find(connection, made.id)
    if held is not None and held.stops:
        raise InvalidInput(
            f"cards of {made.name} stop while its list is stale: let them work on first (ca crl)"
        )
    return chief.id


def _called(connection: Connection, choice: IssuerChoice | None) -> str:
    if choice is None:
        return ""
    found = external.known_as(connection, choice.authority_id) if choice.authority_id else None
    return OWN if found is None else found.name
