"""The journal and its checkpoints. New entries are rows; those that have filled a bundle are there.
The newest one is always a row, so that identifiers are not used again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Connection,
    RowMapping,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)

from cloud_keystore.model.errors import StorageDamaged
from cloud_keystore.model.journal import decode
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import MAC, Values
from cloud_keystore.storage.bundles import rows as bundles
from cloud_keystore.storage.bundles.contents import SIZE
from cloud_keystore.storage.bundles.contents import Place as Place
from cloud_keystore.storage.bundles.contents import Query as Query
from cloud_keystore.storage.bundles.contents import Row as Row
from cloud_keystore.storage.databases import indexes
from cloud_keystore.storage.databases.sqlite import freeing

j = t.journal.c
# Identifiers are given to one writer after another, and all wait while entries get their places: an
# entry without a place has a higher one than those with places.
_PLACED = j.leaf_index.is_not(None)
_LAST_PLACED = select(j.id).where(_PLACED).order_by(j.leaf_index.desc()).limit(indexes.number(1))
_TO_TAKE_IN = j.id > func.coalesce(_LAST_PLACED.scalar_subquery(), 0)
TIME_DIGITS = 12  # of an identifier, which count milliseconds
LAST_TIME = 253_000_000_000_000  # in the year 9987
SLACK = timedelta(minutes=1)  # by which an entry can be apart from the time in an identifier
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Head:
    """A signed checkpoint, and the frontier that appending to its tree needs."""

    size: int
    note: bytes
    frontier: bytes


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
    found = {(row.kind, row.operation_id, row.user_id) for row in connection.execute(query)}
    for row in bundles.after(connection, after, kinds):
        told = decode(row.entry)
        found.add((told.kind.value, told.operation_id, told.user_id))
    return list(found)


def operations_beginning(connection: Connection, beginning: str, most: int) -> list[str]:
    """Identifiers of operations and sessions that begin so, at most `most`. An identifier begins
    with its time, and the first entry about it is of that time.
    """
    query = (
        select(j.operation_id)
        .where(j.operation_id.startswith(beginning, autoescape=True))
        .distinct()
        .order_by(j.operation_id)
    )
    found = set(connection.execute(query.limit(most)).scalars())
    if (times := _times(beginning)) is not None:
        for contents in bundles.around(connection, *times):
            if len(found) >= most:
                break
            found |= contents.operations_beginning(beginning)
    return sorted(found)[:most]


def _times(beginning: str) -> tuple[datetime, datetime] | None:
    """The times of identifiers that begin so; None if none does."""
    digits = beginning.replace("-", "")[:TIME_DIGITS]
    try:
        first, last = (int(digits.ljust(TIME_DIGITS, fill), 16) for fill in "0f")
    except ValueError:
        return None
    times = [datetime.fromtimestamp(min(each, LAST_TIME) / 1000, UTC) for each in (first, last)]
    return times[0] - SLACK, times[1] + SLACK


def to_take_in(connection: Connection, most: int) -> list[Row]:
    """Entries that have no place in the tree yet, oldest first. Raises RowNotAuthentic if somebody
    else than a keystore has written one.
    """
    query = select(t.journal).where(_TO_TAKE_IN).order_by(j.id).limit(most)
    return [_row(row) for row in rows.read(connection, t.journal, query)]


def has_to_take_in(connection: Connection) -> bool:
    """Whether there is an entry that has no place in the tree yet."""
    query = select(j.id).where(_TO_TAKE_IN).order_by(j.id).limit(1)
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
    last = connection.execute(select(func.max(j.leaf_index)).where(_PLACED)).scalar()
    return in_bundles(connection) if last is None else last + 1


def in_bundles(connection: Connection) -> int:
    """How many entries are in bundles."""
    return bundles.count(connection) * SIZE


def placed(connection: Connection, first: int, most: int) -> list[Row]:
    """The entries that are rows at the places from `first` on, at most so many. Raises
    RowNotAuthentic for one with a wrong code, and StorageDamaged for places that are not in a row.
    Those without a code are from before there were codes.
    """
    query = select(t.journal).where(j.leaf_index >= first).order_by(j.leaf_index).limit(most)
    found = rows.fetch(connection, query)
    if not found:
        raise _missing(first)
    for number, row in enumerate(found):
        if row["leaf_index"] != first + number:
            raise _missing(first + number)
        if row[MAC] is not None:
            rows.check(connection, t.journal, {**row})
    return [_row(row) for row in found]


def _missing(place: int) -> StorageDamaged:
    return StorageDamaged(
        f"the journal's entry {place} is missing: somebody has changed the database; keep it as "
        "evidence and restore a backup"
    )


def bundle(connection: Connection, found: Sequence[Row], root: bytes) -> None:
    """Put the next SIZE entries into a bundle, in the place of their rows; `root` is that of the
    subtree with these leaves. Raises StorageDamaged if an entry is left behind that has no place:
    nobody would ever take it into the tree.
    """
    bundles.add(connection, bundles.count(connection), root, found)
    gone = delete(t.journal).where(j.id == bindparam("of"))
    with freeing(connection):  # the bundle has what they held
        connection.execute(gone, [{"of": row.id} for row in found])
    last = max(row.id for row in found)
    left = select(j.id).where(j.id < last).order_by(j.id).limit(indexes.number(1))
    if connection.execute(left).first() is not None:
        raise StorageDamaged(
            "the journal has an entry among older ones that its checkpoints do not cover: somebody "
            "has changed the database; keep it as evidence and restore a backup"
        )


def bundle_roots(connection: Connection, most: int) -> list[bytes]:
    """The roots of the bundles, at most so many, from the first on."""
    return bundles.roots(connection, most)


def _row(row: RowMapping) -> Row:
    return Row(row["id"], row["leaf_index"], row["entry"], row["time"])


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
    rows = [Row(row.id, row.leaf_index, row.entry, row.time) for row in connection.execute(found)]
    latest = None if before is None else before[0]
    for time, some in bundles.matching(connection, query, latest):
        if len(rows) >= most and rows[most - 1].time > time:
            break
        rows += (row for row in some if before is None or (row.time, row.id) < before)
        rows.sort(key=lambda row: (row.time, row.id), reverse=True)
    return rows[:most]


def between(connection: Connection, first: int, end: int) -> list[Row]:
    """Entries at the places `first` to `end` - 1, in order, but at most PAGE of them."""
    if first < in_bundles(connection):
        return bundles.between(connection, first, end)
    query = (
        select(j.id, j.leaf_index, j.entry, j.time)
        .where(j.leaf_index >= first, j.leaf_index < end)
        .order_by(j.leaf_index)
        .limit(PAGE)
    )
    return [Row(row.id, row.leaf_index, row.entry, row.time) for row in connection.execute(query)]


def newest_time(connection: Connection) -> datetime | None:
    """The latest time of an entry."""
    row = connection.execute(select(func.max(j.time))).scalar()
    times = (row, bundles.newest_time(connection))
    return max((each for each in times if each is not None), default=None)
