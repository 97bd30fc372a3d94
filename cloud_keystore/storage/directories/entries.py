"""Rows of directory entries, and whom a directory is shown."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    String,
    and_,
    func,
    not_,
    or_,
    select,
    true,
    union_all,
)

from cloud_keystore.model.directories.entries import DirectoryEntry, Field, Sought, Word
from cloud_keystore.model.fields import emails
from cloud_keystore.model.fields.texts import comparable
from cloud_keystore.model.finding import folded
from cloud_keystore.model.people import UserState
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import number, partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

THERE = "NOT deleted"

directory_entry = authentic(
    "directory_entry",
    Column("id", String, primary_key=True),
    Column("client_id", ForeignKey("identity.id"), primary_key=True),
    Column("user_id", String, nullable=False),
    Column("user_name", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("change_time", Instant, nullable=False),
    Column("external_id", String, nullable=False),
    Column("given_name", String, nullable=False),
    Column("family_name", String, nullable=False),
    Column("said_name", String, nullable=False),
    Column("said_email", String, nullable=False),
    Column("said_organisation", String, nullable=False),
    Column("got_name", String),
    Column("got_email", String),
    Column("got_organisation", String),
    Column("kept_name", String),
    Column("kept_email", String),
    Column("kept_organisation", String),
    Column("active", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("leave_time", Instant),
    Column("said_phone", String, nullable=False, server_default=""),
    Column("got_phone", String),
    Column("kept_phone", String),
    Column("user_name_key", String, nullable=False),  # as user names are compared
    Column("email_key", String, nullable=False),
    Index("directory_entry_by_user", "user_id", "client_id"),
    Index("directory_entry_by_email", "client_id", "email_key"),
    Index("directory_entry_by_user_name", "client_id", "user_name_key"),  # whatever is deleted
    Index("directory_entry_by_leaving", "client_id", "leave_time"),
    Index("directory_entry_by_external_id", "client_id", "external_id"),
    partial("directory_entry_by_name", "client_id", "user_name_key", where=THERE, unique=True),
)
e, u = directory_entry.c, t.user.c


def add(connection: Connection, entry: DirectoryEntry) -> None:
    """Add an entry, whose user name no other entry of the directory has."""
    rows.add(connection, directory_entry, _values(entry))


def change(connection: Connection, entry: DirectoryEntry) -> None:
    """Give an entry other values."""
    own = [e.id == entry.id, e.client_id == entry.client_id]
    rows.change(connection, directory_entry, own, _values(entry))


def find(connection: Connection, client_id: str, entry_id: str) -> DirectoryEntry | None:
    """A directory's entry, a deleted one too."""
    row = rows.one(connection, directory_entry, id=entry_id, client_id=client_id)
    return None if row is None else _to_entry(row)


def of_user(connection: Connection, user_id: str) -> list[DirectoryEntry]:
    """What all directories say of a user, oldest first."""
    query = select(directory_entry).where(e.user_id == user_id, not_(e.deleted)).order_by(e.id)
    return [_to_entry(row) for row in rows.read(connection, directory_entry, query)]


def named(connection: Connection, client_id: str, user_name: str) -> DirectoryEntry | None:
    """A directory's entry with a user name, in whatever case."""
    query = select(directory_entry).where(
        e.client_id == client_id, e.user_name_key == name_key(user_name), not_(e.deleted)
    )
    found = rows.read(connection, directory_entry, query)
    return _to_entry(found[0]) if found else None


def with_external_id(connection: Connection, client_id: str, external_id: str) -> set[str]:
    """Identifiers of a directory's entries with an identifier of its own."""
    query = select(e.id).where(
        e.client_id == client_id, e.external_id == external_id, not_(e.deleted)
    )
    return set(connection.execute(query).scalars())


def left_since(connection: Connection, client_id: str, since: datetime) -> int:
    """How many people a directory has closed after a time."""
    query = select(func.count()).where(e.client_id == client_id, e.leave_time > since)
    return connection.execute(query).scalar_one()


def with_ids(
    connection: Connection, client_id: str, ids: Collection[str]
) -> dict[str, DirectoryEntry]:
    """Those of a directory's entries that have one of some identifiers, and are not deleted."""
    own = select(directory_entry).where(e.client_id == client_id, not_(e.deleted))
    found = [
        _to_entry(row)
        for some in portions(ids)
        for row in rows.read(connection, directory_entry, own.where(e.id.in_(some)))
    ]
    return {each.id: each for each in found}


def count(
    connection: Connection, client_id: str, within: Collection[str] | None, sought: Sought
) -> int:
    """How many people there are for a directory."""
    found = _shown(client_id, within, sought).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def ids(
    connection: Connection,
    client_id: str,
    within: Collection[str] | None,
    sought: Sought,
    first: int,
    most: int,
) -> list[str]:
    """By which identifiers a directory knows people of some organisations (None: of all), from a
    place on: those it has entries of, and other users who have not left.
    """
    found = _shown(client_id, within, sought).subquery()
    query = select(found.c.id).order_by(found.c.id).limit(number(most)).offset(number(first))
    return list(connection.execute(query).scalars())


def differing(
    connection: Connection, within: Collection[str] | None, most: int
) -> list[DirectoryEntry]:
    """Entries that say something else of people of some organisations (None: of all) than what
    holds, without those about which an operator has decided; the oldest first, at most so many.
    """
    pairs = (
        (e.said_name, e.kept_name, u.display_name),
        (e.said_email, e.kept_email, u.email),
        (e.said_organisation, e.kept_organisation, u.organisation_id),
        (e.said_phone, e.kept_phone, u.phone),
    )
    unlike = [
        and_(said != "", said != holds, func.coalesce(kept, "") != said)
        for said, kept, holds in pairs
    ]
    query = (
        select(directory_entry)
        .join(t.user, u.id == e.user_id)
        .where(e.active, not_(e.deleted), u.state == UserState.ACTIVE, or_(*unlike))
        .where(people.belongs(within))
        .order_by(e.id)
        .limit(number(most))
    )
    return [_to_entry(row) for row in rows.read(connection, directory_entry, query)]


def name_key(user_name: str) -> str:
    """A user name in the form in which two of them are compared."""
    return comparable(user_name)


def _shown(
    client_id: str, within: Collection[str] | None, sought: Sought
) -> CompoundSelect[tuple[str]]:
    own = and_(e.client_id == client_id, not_(e.deleted))
    in_sight = or_(u.id.is_(None), people.belongs(within))
    entries = (
        select(e.id)
        .select_from(directory_entry.outerjoin(t.user, u.id == e.user_id))
        .where(own, in_sight, _entry_is(client_id, sought))
    )
    known = select(e.id).where(own, e.user_id == u.id).correlate(t.user).exists()
    others = select(u.id).where(
        u.state == UserState.ACTIVE, people.belongs(within), not_(known), _user_is(sought)
    )
    return union_all(entries, others)


def _entry_is(client_id: str, sought: Sought) -> ColumnElement[bool]:
    wanted: list[ColumnElement[bool]] = [true()]
    if sought.user_name:
        wanted.append(e.user_name_key == name_key(sought.user_name))
    if sought.external_id:
        wanted.append(e.external_id == sought.external_id)
    if sought.email:
        # Two queries, each of which has an index: a condition for either reads all entries.
        key, d = emails.key(sought.email), directory_entry.alias()
        holders = select(u.id).where(u.email_key == key)
        held = select(d.c.id).where(d.c.client_id == client_id, d.c.user_id.in_(holders))
        said = select(d.c.id).where(d.c.client_id == client_id, d.c.email_key == key)
        wanted.append(e.id.in_(union_all(held, said)))
    if sought.id:
        wanted.append(e.id == sought.id)
    return and_(*wanted)


def _user_is(sought: Sought) -> ColumnElement[bool]:
    """Whether a user of whom the directory has said nothing can be meant: such a one is called by
    the account, or else by the address, or else by the UUID.
    """
    wanted: list[ColumnElement[bool]] = [true()]
    if sought.user_name:
        by_name = u.upn_key == folded(sought.user_name)
        by_address = u.email_key == emails.key(sought.user_name)
        wanted.append(or_(by_name, by_address, u.uuid12 == sought.user_name))
    if sought.external_id:
        wanted.append(not_(true()))
    if sought.email:
        wanted.append(u.email_key == emails.key(sought.email))
    if sought.id:
        wanted.append(u.id == sought.id)
    return and_(*wanted)


def _values(entry: DirectoryEntry) -> Values:
    plain = {name: getattr(entry, name) for name in DirectoryEntry.__dataclass_fields__}
    words: dict[str, str | None] = {}
    for field in Field:
        word: Word = plain.pop(field)
        said = {f"said_{field}": word.said, f"got_{field}": word.given, f"kept_{field}": word.kept}
        words |= said
    keys = {
        "user_name_key": name_key(entry.user_name),
        "email_key": emails.key(entry.email.said),
    }
    return {**plain, **words, **keys}


@record("directory entry")
def _to_entry(row: RowMapping) -> DirectoryEntry:
    fields = {*DirectoryEntry.__dataclass_fields__} - {*Field}
    entry = DirectoryEntry(**{name: row[name] for name in fields})
    for field in Field:
        word = Word(row[f"said_{field}"], row[f"got_{field}"], row[f"kept_{field}"])
        entry = entry.having(field, word)
    return entry
