"""What a bundle holds, and which of its entries match a query. Pure.

A bundle is compressed text: a line with the identifiers of its entries, of which each but the first
is the difference to the one before, and the entries, a line each.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from typing import TypeAlias

from cloud_keystore.model.errors import InvalidInput, StorageDamaged
from cloud_keystore.model.journal import Entry, decode

SIZE = 256  # entries of a bundle (C2SP tlog-tiles, "Log entries")
LEVEL = 3  # of compression: a higher one takes several times as long for a tenth of the size
SUBJECTS = ("card_id", "user_id", "workstation_id", "operation_id")

Place: TypeAlias = tuple[datetime, int]  # time and id


@dataclass(frozen=True, slots=True)
class Row:
    """An entry; `index` is its place in the tree, or None if the tree has not taken it in yet."""

    id: int
    index: int | None
    entry: bytes
    time: datetime


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

    @property
    def subjects(self) -> list[str]:
        """What an entry must be about, all of it."""
        return [value for name in SUBJECTS if (value := getattr(self, name)) is not None]


def pack(rows: Sequence[Row]) -> bytes:
    """The bundle of SIZE entries. Raises StorageDamaged for what is no line, as entries are."""
    if any(b"\n" in row.entry for row in rows):
        raise StorageDamaged("an entry of the journal is none: keep the database as evidence")
    ids = [row.id for row in rows]
    steps = [ids[0], *(later - earlier for earlier, later in pairwise(ids))]
    lines = [" ".join(map(str, steps)).encode(), *(row.entry for row in rows)]
    return zlib.compress(b"\n".join(lines), LEVEL)


def unpack(number: int, packed: bytes) -> Contents:
    """The entries of a bundle that `pack` has made."""
    ids, *entries = zlib.decompress(packed).split(b"\n")
    return Contents(number * SIZE, list(accumulate(map(int, ids.split()))), entries)


@dataclass(frozen=True, slots=True)
class Contents:
    """The entries of a bundle, and their identifiers, in order from the place `first` on."""

    first: int
    ids: Sequence[int]
    entries: Sequence[bytes]

    def rows(self, first: int, end: int) -> Iterator[Row]:
        """Those at the places `first` to `end` - 1."""
        for at in range(max(first - self.first, 0), min(end - self.first, SIZE)):
            yield self._row(at)

    def matching(self, query: Query) -> Iterator[Row]:
        """Those that match, in order."""
        needed = [json.dumps(each).encode() for each in query.subjects]
        kinds = [b'"kind":' + json.dumps(each).encode() for each in query.kinds]
        for at, line in enumerate(self.entries):
            # Most need not be decoded to see that they do not match.
            if any(each not in line for each in needed):
                continue
            if kinds and not any(each in line for each in kinds):
                continue
            told = decode(line)
            if _matches(told, query):
                yield Row(self.ids[at], self.first + at, line, told.time)

    def operations_beginning(self, beginning: str) -> set[str]:
        """The identifiers of operations that begin so, of all entries."""
        needed = json.dumps(beginning)[:-1].encode()
        told = (decode(line).operation_id for line in self.entries if needed in line)
        return {each for each in told if each is not None and each.startswith(beginning)}

    def _row(self, at: int) -> Row:
        entry = self.entries[at]
        return Row(self.ids[at], self.first + at, entry, decode(entry).time)


def about(entry: bytes) -> list[str]:
    """By what an entry is found: its kind and its subjects. Nothing for what is no entry."""
    try:
        told = decode(entry)
    except InvalidInput:
        return []
    found = (getattr(told, name) for name in SUBJECTS)
    return [told.kind, *(each for each in found if each is not None)]


def _matches(told: Entry, query: Query) -> bool:
    if query.kinds and told.kind not in query.kinds:
        return False
    if query.since is not None and told.time < query.since:
        return False
    if query.until is not None and told.time >= query.until:
        return False
    return all(
        value is None or getattr(told, name) == value
        for name in SUBJECTS
        for value in (getattr(query, name),)
    )
