"""Rows of bundles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    func,
    literal,
    select,
    tuple_,
)

from cloud_keystore.model.errors import StorageDamaged
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.bundles import contents, finding
from cloud_keystore.storage.bundles.contents import SIZE, Contents, Query, Row
from cloud_keystore.storage.databases.instants import Instant

bundle = authentic(  # append-only
    "bundle",
    Column(
        "number",
        BigInteger().with_variant(Integer, "sqlite"),  # there it is the row's own number
        primary_key=True,
        autoincrement=False,
    ),
    Column("root", LargeBinary, nullable=False),  # of the subtree whose leaves are these entries
    Column("from_time", Instant, nullable=False),  # the earliest of its entries
    Column("until_time", Instant, nullable=False),  # the latest
    Column("last_id", BigInteger, nullable=False),  # the highest identifier of an entry
    Column("entries", LargeBinary, nullable=False),
    Index("bundle_by_time", "until_time", "from_time", "number"),
    Index("bundle_by_id", "last_id"),
)
b = bundle.c
PAGE = 500  # bundles that are looked for at once


def count(connection: Connection) -> int:
    """How many bundles there are."""
    last = connection.execute(select(func.max(b.number))).scalar()
    return 0 if last is None else max(0, last + 1)


def add(connection: Connection, number: int, root: bytes, these: Sequence[Row]) -> None:
    """Add the next bundle."""
    packed: Values = {
        "number": number,
        "root": root,
        "from_time": min(row.time for row in these),
        "until_time": max(row.time for row in these),
        "last_id": max(row.id for row in these),
        "entries": contents.pack(these),
    }
    rows.add(connection, bundle, packed)
    found = (each for row in these for each in contents.about(row.entry))
    finding.add(connection, number, found)


def read(connection: Connection, number: int) -> Contents:
    """The entries of a bundle. Raises RowNotAuthentic if a keystore has not written it, and
    StorageDamaged if it is missing.
    """
    row = rows.find(connection, bundle, b.number == number)
    if row is None:
        raise StorageDamaged(
            f"bundle {number} of the journal is missing: somebody has changed the database; keep "
            "it as evidence and restore a backup"
        )
    return contents.unpack(number, row["entries"])


def between(connection: Connection, first: int, end: int) -> list[Row]:
    """Entries of one bundle at the places `first` to `end` - 1, in order."""
    return list(read(connection, first // SIZE).rows(first, end))


def roots(connection: Connection, most: int) -> list[bytes]:
    """The roots of the first bundles, at most so many, in order."""
    query = select(b.root).where(b.number >= 0, b.number < most).order_by(b.number)
    return list(connection.execute(query).scalars())


def matching(
    connection: Connection, query: Query, before: datetime | None
) -> Iterator[tuple[datetime, Sequence[Row]]]:
    """The entries that match of each bundle that can have such as are not later than `before`, with
    the time of its latest entry, in the order of those times, the latest first.
    """
    wanted = [{each} for each in query.subjects]
    if query.kinds:
        wanted.append(set(query.kinds))
    numbers = [finding.candidates(connection, each) for each in wanted]
    among = set.intersection(*numbers) if numbers else None
    conditions = []
    if query.since is not None:
        conditions.append(b.until_time >= query.since)
    if query.until is not None:
        conditions.append(b.from_time < query.until)
    if before is not None:
        conditions.append(b.from_time <= before)
    if among is not None and len(among) <= PAGE:
        conditions.append(b.number.in_(among))
    for until_time, number in _latest(connection, conditions):
        if among is None or number in among:
            yield until_time, list(read(connection, number).matching(query))


def _latest(
    connection: Connection, conditions: Sequence[ColumnElement[bool]]
) -> Iterator[tuple[datetime, int]]:
    """The time of the latest entry and the number of bundles, the latest first, page by page."""
    query = select(b.until_time, b.number).where(*conditions)
    query = query.order_by(b.until_time.desc(), b.number.desc()).limit(PAGE)
    page = connection.execute(query).all()
    while page:
        yield from ((row.until_time, row.number) for row in page)
        time, number = page[-1]
        at = tuple_(literal(time, b.until_time.type), literal(number, b.number.type))
        page = connection.execute(query.where(tuple_(b.until_time, b.number) < at)).all()


def after(connection: Connection, last_id: int, kinds: Sequence[str]) -> Iterator[Row]:
    """The entries of some kinds in bundles whose identifiers are higher than `last_id`."""
    query = Query(kinds=tuple(kinds))
    newer = select(b.number).where(b.last_id > last_id).order_by(b.last_id)
    numbers = list(connection.execute(newer).scalars())
    # There can be many, after a pause, and most have uses alone.
    among = finding.candidates(connection, kinds, min(numbers)) if numbers else set()
    for number in numbers:
        if number not in among:
            continue
        for row in read(connection, number).matching(query):
            if row.id > last_id:
                yield row


def newest_time(connection: Connection) -> datetime | None:
    """The time of the latest entry in a bundle."""
    query = select(b.until_time).order_by(b.until_time.desc()).limit(1)
    return connection.execute(query).scalar()


def around(connection: Connection, since: datetime, until: datetime) -> Iterator[Contents]:
    """The bundles that have entries of such times, in the order of their latest."""
    query = (
        select(b.number)
        .where(b.until_time >= since, b.from_time <= until)
        .order_by(b.until_time, b.number)
    )
    for number in connection.execute(query).scalars():
        yield read(connection, number)
