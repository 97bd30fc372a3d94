"""Rows of the journal and of its checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, func, insert, literal, select, tuple_, update

from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values

j = t.journal.c
PAGE = 1000

Place: TypeAlias = tuple[datetime, int]  # time and id


@dataclass(frozen=True, slots=True)
class Row:
    """An entry; `index` is its place in the tree, or None if the tree has not taken it in yet."""

    id: int
    index: int | None
    entry: bytes
    time: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """A signed checkpoint, and the frontier that appending to its tree needs."""

    size: int
    note: bytes
    frontier: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions on entries; None and () match all. Times are from `since` to before `until`."""

    card_id: str | None = None
    user_id: str | None = None
    workstation_id: str | None = None
    operation_id: str | None = None
    kinds: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def last(connection: Connection) -> int:
    """The newest entry's id; 0 if there is none."""
    return connection.execute(select(func.max(j.id))).scalar() or 0


def subjects(
    connection: Connection, after: int, last: int, kinds: Sequence[str]
) -> list[tuple[str, str | None, str | None]]:
    """Kind, operation and user of the entries of some kinds, from the one after `after` to `last`;
    each combination once.
    """
    query = (
        select(j.kind, j.operation_id, j.user_id)
        .where(j.id > after, j.id <= last, j.kind.in_(kinds))
        .distinct()
    )
    return [(row.kind, row.operation_id, row.user_id) for row in connection.execute(query)]


def operations_beginning(connection: Connection, beginning: str, most: int) -> list[str]:
    """Identifiers of operations and sessions that begin so, at most `most`."""
    query = (
        select(j.operation_id)
        .where(j.operation_id.startswith(beginning, autoescape=True))
        .distinct()
        .order_by(j.operation_id)
    )
    return list(connection.execute(query.limit(most)).scalars())


def to_take_in(connection: Connection, most: int) -> list[Row]:
    """Entries that have no place in the tree yet, oldest first. Raises RowNotAuthentic if somebody
    else than a keystore has written one.
    """
    query = select(t.journal).where(j.leaf_index.is_(None)).order_by(j.id).limit(most)
    found = rows.read(connection, t.journal, query)
    return [Row(row["id"], None, row["entry"], row["time"]) for row in found]


def has_to_take_in(connection: Connection) -> bool:
    """Whether there is an entry that has no place in the tree yet."""
    query = select(j.id).where(j.leaf_index.is_(None)).order_by(j.id).limit(1)
    return connection.execute(query).first() is not None


def add(connection: Connection, *entries: Values) -> None:
    """Add entries, with the columns by which they are found."""
    rows.add(connection, t.journal, *entries)


def take_in(connection: Connection, first: int, found: Sequence[Row]) -> None:
    """Give entries their places, from `first` on."""
    statement = (
        update(t.journal)
        .where(j.id == bindparam("of"), j.leaf_index.is_(None))
        .values(leaf_index=bindparam("place"))
    )
    places = [{"of": row.id, "place": first + number} for number, row in enumerate(found)]
    connection.execute(statement, places)


def count_taken_in(connection: Connection) -> int:
    """How many entries have a place in the tree, which is also the next free place."""
    last = connection.execute(select(func.max(j.leaf_index))).scalar()
    return 0 if last is None else last + 1


def head(connection: Connection, size: int | None = None) -> Head | None:
    """The checkpoint of a size, or the newest."""
    query = select(t.checkpoint).order_by(t.checkpoint.c.size.desc()).limit(1)
    if size is not None:
        query = query.where(t.checkpoint.c.size == size)
    row = connection.execute(query).first()
    return None if row is None else Head(row.size, row.note, row.frontier)


def add_head(connection: Connection, head: Head, now: datetime) -> None:
    connection.execute(
        insert(t.checkpoint).values(
            size=head.size, note=head.note, frontier=head.frontier, create_time=now
        )
    )


def list_notes(connection: Connection, after_size: int, most: int) -> list[bytes]:
    """Checkpoints of more than `after_size` entries, the smallest first."""
    query = (
        select(t.checkpoint.c.note)
        .where(t.checkpoint.c.size > after_size)
        .order_by(t.checkpoint.c.size)
        .limit(most)
    )
    return list(connection.execute(query).scalars())


def search(connection: Connection, query: Query, before: Place | None, most: int) -> list[Row]:
    """Entries that match and are older than `before`, the newest first."""
    conditions = [
        column == value
        for column, value in (
            (j.card_id, query.card_id),
            (j.user_id, query.user_id),
            (j.workstation_id, query.workstation_id),
            (j.operation_id, query.operation_id),
        )
        if value is not None
    ]
    if query.kinds:
        conditions.append(j.kind.in_(query.kinds))
    if query.since is not None:
        conditions.append(j.time >= query.since)
    if query.until is not None:
        conditions.append(j.time < query.until)
    if before is not None:
        time, number = before
        at = tuple_(literal(time, j.time.type), literal(number, j.id.type))
        conditions.append(tuple_(j.time, j.id) < at)
    found = (
        select(j.id, j.leaf_index, j.entry, j.time)
        .where(*conditions)
        .order_by(j.time.desc(), j.id.desc())
        .limit(most)
    )
    return [Row(row.id, row.leaf_index, row.entry, row.time) for row in connection.execute(found)]


def between(connection: Connection, first: int, end: int) -> list[Row]:
    """Entries at the places `first` to `end` - 1, in order, but at most PAGE of them."""
    query = (
        select(j.id, j.leaf_index, j.entry, j.time)
        .where(j.leaf_index >= first, j.leaf_index < end)
        .order_by(j.leaf_index)
        .limit(PAGE)
    )
    return [Row(row.id, row.leaf_index, row.entry, row.time) for row in connection.execute(query)]


def newest_time(connection: Connection) -> datetime | None:
    """The latest time of an entry."""
    return connection.execute(select(j.time).order_by(j.time.desc()).limit(1)).scalar()


def entries(connection: Connection, size: int) -> Iterator[bytes]:
    """The first `size` entries, in order, read page by page."""
    first = 0
    while found := between(connection, first, size):
        for row in found:
            yield row.entry
        first += len(found)
