"""Which bundles have entries of a kind, or about something: an index that grows at its end.

A bundle's row has the marks of all that its entries are about, a mark being the start of a SHA-256.
When there are rows of MERGED bundles, their marks are sorted into BUCKETS rows by their first byte,
each with the number of its bundle. So little is written for an entry, whatever it is about, and who
looks for something reads one bucket. A mark can stand for several things, therefore what is found
is looked at. Nothing protects the index: whoever changes it hides entries from searches alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from hashlib import sha256

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Table,
    delete,
    insert,
    select,
)

from cloud_keystore.storage.authentic.declaring import metadata

MARK_BYTES = 4
MERGED = 64  # bundles
BUCKETS = 256
UNSORTED = BUCKETS  # in place of a bucket: all marks of one bundle

bundle_index = Table(
    "bundle_index",
    metadata,
    Column("bucket", Integer, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),  # number of a bundle
    # Without a bucket: marks. With one: the rest of a mark, and the bundle's number from `first` on
    Column("marks", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
c = bundle_index.c


def add(connection: Connection, number: int, subjects: Iterable[str]) -> None:
    """Add the next bundle to the index, with what its entries are about."""
    marks = b"".join(sorted({_mark(each) for each in subjects}))
    connection.execute(insert(bundle_index).values(bucket=UNSORTED, first=number, marks=marks))
    if (number + 1) % MERGED == 0:
        _merge(connection, number + 1 - MERGED)


def candidates(connection: Connection, subjects: Collection[str], first: int = 0) -> set[int]:
    """The numbers of the bundles that have entries about one of these: of all from `first` on, and
    perhaps of some before.
    """
    marks = [_mark(each) for each in subjects]
    query = select(c.bucket, c.first, c.marks).where(
        c.bucket.in_({UNSORTED, *(mark[0] for mark in marks)}), c.first > first - MERGED
    )
    found: set[int] = set()
    for bucket, number, kept in connection.execute(query):
        if bucket == UNSORTED:
            if any(_positions(kept, mark) for mark in marks):
                found.add(number)
            continue
        for mark in marks:
            if mark[0] == bucket:
                found |= {number + kept[at + MARK_BYTES - 1] for at in _positions(kept, mark[1:])}
    return found


def _merge(connection: Connection, first: int) -> None:
    """Sort the marks of bundles from a number on into buckets."""
    these = (c.bucket == UNSORTED, c.first >= first, c.first < first + MERGED)
    buckets: list[list[bytes]] = [[] for _ in range(BUCKETS)]
    for number, marks in connection.execute(select(c.first, c.marks).where(*these)):
        for mark in _split(marks):
            buckets[mark[0]].append(mark[1:] + bytes([number - first]))
    connection.execute(delete(bundle_index).where(*these))
    rows = [
        {"bucket": bucket, "first": first, "marks": b"".join(sorted(marks))}
        for bucket, marks in enumerate(buckets)
        if marks
    ]
    if rows:
        connection.execute(insert(bundle_index), rows)


def _mark(subject: str) -> bytes:
    return sha256(subject.encode()).digest()[:MARK_BYTES]


def _split(marks: bytes) -> Sequence[bytes]:
    return [marks[at : at + MARK_BYTES] for at in range(0, len(marks), MARK_BYTES)]


def _positions(marks: bytes, beginning: bytes) -> list[int]:
    """Where marks, or what a bucket has of them, begin so."""
    return list(_each_position(marks, beginning))


def _each_position(marks: bytes, beginning: bytes) -> Iterator[int]:
    at = marks.find(beginning)
    while at >= 0:
        if at % MARK_BYTES == 0:
            yield at
        at = marks.find(beginning, at + 1)
