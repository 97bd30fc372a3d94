"""What directories say and operators have set otherwise: an operator decides what holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloud_keystore.audit import acting, journal
from cloud_keystore.audit.acting import Acting
from cloud_keystore.audit.entries import about_user
from cloud_keystore.model.actors import Actor
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.directories.entries import (
    Difference,
    DirectoryEntry,
    Field,
    value,
    with_value,
)
from cloud_keystore.model.errors import InvalidInput, NoDifference
from cloud_keystore.model.journal import Detail, Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.rights.roles import Right
from cloud_keystore.people.contacts import changing
from cloud_keystore.storage import organisations, people
from cloud_keystore.storage.directories import entries
from cloud_keystore.storage.engine import Database

MOST_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Differences:
    """Lists them, and writes down which value holds."""

    database: Database
    clock: Clock

    def list_all(self, *, actor: Actor) -> list[Difference]:
        """What directories say otherwise of people whom the actor sees, the oldest first: of so
        many people as one can look at.
        """
        with acting.looking(self.database, actor, self.clock()) as by:
            by.need_somewhere(Right.VIEW)
            found = entries.differing(by.connection, by.seen_organisations(), MOST_SHOWN)
            return _differences(by, found)

    def decide(
        self, user_id: str, field: str, directory: str = "", *, take: bool, actor: Actor
    ) -> Difference:
        """Let what a directory says of a field hold, or keep what holds. The directory is named by
        its client, if several say something else. Raises InvalidInput, NoDifference, UserNotFound,
        UserClosed, UserExists, OrganisationNotFound, NotAllowed.
        """
        now = self.clock()
        with acting.changing(self.database, actor, now) as by:
            by.user(user_id, Right.PEOPLE)
            user = people.present(by.connection, user_id)
            entry, difference = _one(by, user, _field(field), directory)
            which = difference.field
            word = entry.word(which)
            if take:
                said = word.said
                if which is Field.ORGANISATION:
                    by.place(Right.PEOPLE, said)
                changed = with_value(user, which, said)
                changing.change(by, user, changed, {"source": "directory"})
                entries.change(by.connection, entry.having(which, word.taken()))
            else:
                entries.change(by.connection, entry.having(which, replace(word, kept=word.said)))
            told: dict[str, Detail] = {
                "field": which,
                "said": word.said,
                "kept": "" if take else difference.holds,
                "directory": entry.client_id,
            }
            journal.append(
                by.connection, about_user(Kind.DIRECTORY_DECIDED, user, now, actor, told)
            )
        return difference


def _one(by: Acting, user: User, field: Field, directory: str) -> tuple[DirectoryEntry, Difference]:
    """The entry of the one directory that says something else; raises InvalidInput."""
    said = [
        each
        for each in entries.of_user(by.connection, user.id)
        if each.active and each.word(field).differs(value(user, field))
    ]
    found = [
        (entry, each)
        for entry in said
        for each in _differences(by, [entry])
        if each.field is field and directory in ("", each.client_id, each.client_name)
    ]
    if not found:
        raise NoDifference(
            f"no directory says something else of the {field} than what holds: cloudcard ra "
            "directory differences shows where one does"
        )
    if len(found) > 1:
        names = ", ".join(sorted(each.client_name for _, each in found))
        raise InvalidInput(f"directory is missing: name one of {names}")
    return found[0]


def _differences(by: Acting, found: Sequence[DirectoryEntry]) -> list[Difference]:
    connection = by.connection
    users = {each.id: each for each in people.with_ids(connection, {e.user_id for e in found})}
    clients = people.names(connection, {each.client_id for each in found})
    return [
        Difference(
            user=users[entry.user_id],
            entry_id=entry.id,
            client_id=entry.client_id,
            client_name=clients.get(entry.client_id, entry.client_id),
            field=field,
            said=_named(by, field, entry.word(field).said),
            holds=_named(by, field, value(users[entry.user_id], field)),
            change_time=entry.change_time,
        )
        for entry in found
        for field in Field
        if entry.user_id in users and entry.word(field).differs(value(users[entry.user_id], field))
    ]


def _named(by: Acting, field: Field, text: str) -> str:
    """A value as operators know it: an organisation by its name, if they see it."""
    if field is not Field.ORGANISATION or not by.held.sees(text):
        return text
    return organisations.name(by.connection, text)


def _field(name: str) -> Field:
    try:
        return Field(name)
    except ValueError:
        raise InvalidInput(f"field is {name[:32]!r}: give one of {', '.join(Field)}") from None
