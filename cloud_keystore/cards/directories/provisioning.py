"""People as directories keep them by SCIM: they join, change and leave. What an operator has
changed by hand stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from cloud_keystore.audit import acting, alerts, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.audit.entries import about_keystore, about_user
from cloud_keystore.cards import leaving
from cloud_keystore.cards.directories import showing
from cloud_keystore.cards.directories.showing import Known
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock, Random, new_id
from cloud_keystore.model.directories.entries import (
    LEAVING_TIME,
    LONGEST_EXTERNAL_ID,
    LONGEST_USER_NAME,
    DirectoryEntry,
    Field,
    Found,
    Said,
    Shown,
    Sought,
    Word,
    settle,
    value,
)
from cloud_keystore.model.errors import ChangedMeanwhile, InvalidInput, TooManyCalls, UserExists
from cloud_keystore.model.fields import emails, phones
from cloud_keystore.model.fields.texts import LONGEST_DISPLAY_NAME, text_field
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.notify.wakeups import Wake
from cloud_keystore.people import domains
from cloud_keystore.people.contacts import changing
from cloud_keystore.people.likeness import check_new
from cloud_keystore.people.people import People
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import entries, groups
from cloud_keystore.storage.engine import Database

BY_DIRECTORY: Mapping[str, Detail] = {"source": "directory"}


class _TooManyLeave(Exception):
    """A directory closes more people within an hour than it may."""


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Creates, shows, changes and deletes people for directories. `leavers` is how many people one
    of them closes within an hour at most; `wake` wakes callers that wait for whoever left.
    """

    database: Database
    clock: Clock
    random: Random
    people: People
    leavers: int
    wake: Wake

    def create(self, said: Said, *, actor: Actor) -> Shown:
        """Add a person, who is invited as everybody is; one who is not active is only noted. Raises
        InvalidInput, UserExists, OrganisationNotFound, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.need_somewhere(Right.PEOPLE)
            entry = DirectoryEntry(new_id(now, self.random), actor.id, "", "", now, now)
            entry = replace(_noted(by, entry, said), active=said.active is not False)
            values = _values(by, said)
            if not values.get(Field.NAME):
                values[Field.NAME] = entry.user_name
            entry = _said(entry, values)
            user = None
            if entry.active:
                user = self._join(by, entry)
                entry = replace(_all_given(entry, user), id=user.id, user_id=user.id)
            entries.add(by.connection, entry)
            _tell(by, Kind.DIRECTORY_ENTRY_ADDED, entry, user)
            (found,) = showing.shown(by, [Known(entry, user)])
        return found

    def find(self, entry_id: str, *, actor: Actor) -> Shown:
        """The person whom a directory knows by an identifier; raises UserNotFound, NotAllowed."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            (found,) = showing.shown(by, [showing.known(by, entry_id)])
        return found

    def list_all(self, sought: Sought, first: int, most: int, *, actor: Actor) -> Found:
        """People whom the directory seeks, and sees, from a place on, at most so many."""
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            return showing.find(by, sought, first, most)

    def change(self, entry_id: str, said: Said, seen: str = "", *, actor: Actor) -> Shown:
        """Let a person have what a directory says. Whoever is not active any more leaves, and comes
        back as somebody new. Raises UserNotFound, InvalidInput, UserExists, OrganisationNotFound,
        NotAllowed, TooManyCalls, SecondNeeded, and ChangedMeanwhile if the version is not the one
        that was `seen`.
        """
        topics: list[str] = []
        with self._bounded(actor) as now, acting.changing(self.database, actor, now) as by:
            before = _seen(by, entry_id, seen)
            is_new = before.entry is None
            entry = _noted(by, before.entry or _entry_of(before, actor, now), said)
            values, user = _values(by, said), before.present
            if user is not None:
                entry, changed = settle(entry, user, values)
                if changed != user:
                    by.user(user.id, Right.PEOPLE)
                    user = changing.change(by, user, changed, BY_DIRECTORY)
            else:
                entry = _said(entry, values)
            if said.active is True and not entry.active:
                entry = replace(entry, active=True)
                if user is None:  # nobody but the directory has closed whoever there was
                    user = self._join(by, entry)
                    entry = replace(_all_given(entry, user), user_id=user.id)
            elif said.active is False:
                entry, topics = self._leave(by, replace(entry, active=False), user)
                user = None
            self._keep(by, before.entry, entry, is_new=is_new)
            (found,) = showing.shown(by, [Known(entry, user)])
        self.wake(topics)
        return found

    def delete(self, entry_id: str, seen: str = "", *, actor: Actor) -> None:
        """Let a person leave, and forget what the directory has said. Raises as `change` does."""
        with self._bounded(actor) as now, acting.changing(self.database, actor, now) as by:
            before = _seen(by, entry_id, seen)
            is_new = before.entry is None
            entry = before.entry or _entry_of(before, actor, now)
            entry, topics = self._leave(by, replace(entry, active=False), before.present)
            self._keep(by, before.entry, replace(entry, deleted=True), is_new=is_new)
            groups.leave_all(by.connection, actor.id, entry.id)
        self.wake(topics)

    def _join(self, by: Acting, entry: DirectoryEntry) -> User:
        """Add the person of an entry, and invite them."""
        place = by.place(Right.PEOPLE, entry.organisation.said)
        user = User(
            id=new_id(by.now, self.random),
            display_name=entry.name.said,
            email=entry.email.said,
            create_time=by.now,
            organisation_id=place,
            phone=entry.phone.said,
        )
        # Who has another user name there is somebody else, even with the same name.
        check_new(user, people.like(by.connection, user), by.held.sees, namesake=True)
        domains.check(by.connection, user.email)
        [(user, _)] = self.people.add_all(by.connection, [user], by.actor)
        return user

    def _leave(
        self, by: Acting, entry: DirectoryEntry, user: User | None
    ) -> tuple[DirectoryEntry, list[str]]:
        """Close whoever an entry is about, if anybody is there; returns whom to wake too."""
        if user is None:
            return entry, []
        left = entries.left_since(by.connection, by.actor.id, by.now - LEAVING_TIME)
        if left >= self.leavers:
            raise _TooManyLeave
        client = people.names(by.connection, [by.actor.id])[by.actor.id]
        _, topics = leaving.close(by, user.id, f"the directory {client} says so")
        return replace(entry, leave_time=by.now), topics

    def _keep(
        self, by: Acting, before: DirectoryEntry | None, entry: DirectoryEntry, *, is_new: bool
    ) -> None:
        """Write down what has changed of an entry."""
        if is_new:
            entries.add(by.connection, entry)
            _tell(by, Kind.DIRECTORY_ENTRY_ADDED, entry, None)
        elif entry != before:
            entries.change(by.connection, replace(entry, change_time=by.now))
        if entry.deleted:
            _tell(by, Kind.DIRECTORY_ENTRY_REMOVED, entry, None)

    @contextmanager
    def _bounded(self, actor: Actor) -> Iterator[datetime]:
        """Tell the registration authority if a directory closes too many people, and refuse it."""
        now = self.clock()
        try:
            yield now
        except _TooManyLeave:
            with self.database.write() as connection:
                alerts.many_leave(connection, actor, self.leavers, now, self.random)
            raise TooManyCalls(
                f"{self.leavers} people have left within an hour: wait, and ask the registration "
                "authority whether it has to be more (serve --limit leavers=…)",
                LEAVING_TIME.total_seconds() / 4,
            ) from None


def _seen(by: Acting, entry_id: str, seen: str) -> Known:
    """The person whom a directory changes; raises UserNotFound, ChangedMeanwhile, NotAllowed."""
    by.need_somewhere(Right.PEOPLE)
    found = showing.known(by, entry_id)
    if found.user is not None:
        by.user(found.user.id, Right.PEOPLE)
    (shown,) = showing.shown(by, [found])
    if seen not in ("", shown.version):
        raise ChangedMeanwhile("somebody has changed this meanwhile: read it again")
    return found


def _entry_of(found: Known, actor: Actor, now: datetime) -> DirectoryEntry:
    """The first entry of a user whom somebody else has added."""
    user = found.user
    assert user is not None  # noqa: S101 (without an entry there is a user)
    called = user.upn or user.email or user.uuid12 or user.id
    return DirectoryEntry(user.id, actor.id, user.id, called, now, now)


def _noted(by: Acting, entry: DirectoryEntry, said: Said) -> DirectoryEntry:
    """What a directory says for itself alone; raises InvalidInput, UserExists."""
    name = entry.user_name
    if said.user_name is not None:
        name = text_field("userName", said.user_name, LONGEST_USER_NAME)
    if not name:
        raise InvalidInput("userName is missing: give what the person is called there")
    other = entries.named(by.connection, by.actor.id, name)
    if other is not None and other.id != entry.id:
        raise UserExists(f"userName {name} is that of another person of this directory")
    external, given, family = entry.external_id, entry.given_name, entry.family_name
    if said.external_id is not None:
        external = _optional("externalId", said.external_id, LONGEST_EXTERNAL_ID)
        others = entries.with_external_id(by.connection, by.actor.id, external)
        if external and others - {entry.id}:
            raise UserExists(f"externalId {external} is that of another person of this directory")
    if said.given_name is not None:
        given = _optional("name.givenName", said.given_name, LONGEST_DISPLAY_NAME)
    if said.family_name is not None:
        family = _optional("name.familyName", said.family_name, LONGEST_DISPLAY_NAME)
    return replace(
        entry, user_name=name, external_id=external, given_name=given, family_name=family
    )


def _optional(name: str, value: str, longest: int) -> str:
    return text_field(name, value, longest, required=False)


def _values(by: Acting, said: Said) -> dict[Field, str]:
    """What a directory says of what operators can change too, in the form in which it is kept.
    Raises InvalidInput, OrganisationNotFound, NotAllowed.
    """
    values: dict[Field, str] = {}
    if said.name is not None:
        values[Field.NAME] = text_field("displayName", said.name, LONGEST_DISPLAY_NAME)
    if said.email is not None:
        values[Field.EMAIL] = emails.email(said.email)
    if said.phone is not None:
        values[Field.PHONE] = phones.phone(said.phone)
    place = _organisation(by, said)
    if place is not None:
        values[Field.ORGANISATION] = place
    return values


def _organisation(by: Acting, said: Said) -> str | None:
    """The organisation that a directory names; without one, that of the department's name, if there
    is one. Empty for none, and None if nothing is said.
    """
    if not said.organisation:
        found = _named(by, said.department) if said.department else None
        return said.organisation if found is None else by.place(Right.PEOPLE, found)
    found = _named(by, said.organisation)
    if found is None:
        raise InvalidInput(
            f"organization {said.organisation[:64]!r} is none here that you see: give the name of "
            "one (cloudcard ra organisation list)"
        )
    return by.place(Right.PEOPLE, found)


def _named(by: Acting, text: str) -> str | None:
    """The organisation with a name or identifier, if the directory sees it."""
    for each in organisations.list_all(by.connection):
        if text in (each.name, each.id) and by.held.sees(each.id):
            return each.id
    return None


def _said(entry: DirectoryEntry, values: Mapping[Field, str]) -> DirectoryEntry:
    """The entry after the directory has said something of nobody who is there."""
    for field, said in values.items():
        entry = entry.having(field, Word(said))
    return entry


def _all_given(entry: DirectoryEntry, user: User) -> DirectoryEntry:
    """The entry of somebody new, who has everything from the directory: the organisation too, if it
    has named none.
    """
    for field in Field:
        word = Word(entry.word(field).said, value(user, field))
        entry = entry.having(field, word)
    return entry


def _tell(by: Acting, kind: Kind, entry: DirectoryEntry, user: User | None) -> None:
    said: dict[str, Detail] = {"entry": entry.id, "user_name": entry.user_name}
    if entry.external_id:
        said["external_id"] = entry.external_id
    user = user or people.find_user(by.connection, entry.user_id)
    told = (
        about_keystore(kind, by.now, by.actor, said)
        if user is None
        else about_user(kind, user, by.now, by.actor, said)
    )
    journal.append(by.connection, told)
