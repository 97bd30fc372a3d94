"""The directories in which operators look up Windows accounts. The keystore itself calls none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection

from cloud_keystore.audit import acting, entries, journal
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.fields.accounts import Account
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.holding import upwards
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.pki import est
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.contacts import account_directories, accounts
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Found:
    """The directory that counts in a place, and by what a person is looked up there."""

    directory: AccountDirectory | None
    is_own: bool = False  # or of an organisation above
    email: str = ""  # only if its holder has shown to read it
    upn: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An account that is not disabled, and whose it is."""

    account: Account
    user: User


@dataclass(frozen=True, slots=True)
class AccountDirectories:
    """Names directories for organisations, and tells what operators look up there."""

    database: Database
    clock: Clock
    random: Random

    def set(
        self, organisation_id: str, directory: AccountDirectory | None, *, actor: Actor
    ) -> bool:
        """Name the directory of an organisation and of those below it without one of their own;
        None: that of the one above. False if that changes nothing. Raises InvalidInput,
        OrganisationNotFound, NotAllowed.
        """
        now = self.clock()
        if directory is not None and directory.anchors:
            est.read_pem(directory.anchors, "anchors")
        with acting.changing(self.database, actor, now) as by:
            place = by.place(Right.POLICY, organisation_id)
            before = account_directories.by_organisation(by.connection).get(place)
            if before == directory:
                return False
            own_id = new_id(now, self.random)
            account_directories.put(by.connection, own_id, place, directory)
            said: dict[str, Detail] = {"organisation": place, **_changes(before, directory)}
            told = entries.about_keystore(Kind.ACCOUNT_DIRECTORY_CHANGED, now, actor, said)
            journal.append(by.connection, told)
        return True

    def of_organisation(self, organisation_id: str, *, actor: Actor) -> Found:
        """The directory that counts in an organisation. Raises OrganisationNotFound, NotAllowed,
        InvalidInput.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            return _in(by.connection, by.place(Right.VIEW, organisation_id))

    def of_person(self, user_id: str, *, actor: Actor) -> Found:
        """The directory that counts for a person, and by what the person is looked up. Raises
        UserNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            user = by.user(user_id, Right.VIEW)
            found = _in(by.connection, user.organisation_id)
            email = user.email if user.email_verify_time is not None else ""
            return Found(found.directory, found.is_own, email, user.upn)

    def held(self, organisation_id: str, *, actor: Actor) -> list[Held]:
        """The accounts, besides disabled ones, of people whose organisation the actor sees, or only
        those of one and of those below it. Raises OrganisationNotFound, NotAllowed.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            seen, below = by.seen_organisations(), by.below(organisation_id)
            where = (
                seen if below is None else [each for each in below if seen is None or each in seen]
            )
            found = accounts.in_use(by.connection, where)
            holders = people.with_ids(by.connection, {each.user_id for each in found})
            known = {each.id: each for each in holders}
            return [Held(each, known[each.user_id]) for each in found]


def _in(connection: Connection, organisation_id: str) -> Found:
    """The directory that an organisation names, or the nearest above it."""
    named = account_directories.by_organisation(connection)
    if not named:
        return Found(None)
    above = organisations.parents(connection)
    near = next((each for each in upwards(organisation_id, above) if each in named), None)
    return Found(None) if near is None else Found(named[near], near == organisation_id)


def _changes(
    before: AccountDirectory | None, after: AccountDirectory | None
) -> Mapping[str, Detail]:
    """What is changed, as details of an entry: the old and the new values."""
    details: dict[str, Detail] = {}
    for name in AccountDirectory.__dataclass_fields__:
        old, new = (None if each is None else getattr(each, name) for each in (before, after))
        if old != new:
            details |= {
                word: sha256(value).hexdigest() if isinstance(value, bytes) else value
                for word, value in ((f"old_{name}", old), (name, new))
                if value is not None
            }
    return details
