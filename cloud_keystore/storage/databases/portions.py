"""Values in portions, because databases bound the parameters of a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

MOST = 5_000  # parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535


def portions(values: Iterable[str]) -> Iterator[list[str]]:
    """The values, as many at a time as a statement takes."""
    waiting = iter(values)
    while some := list(islice(waiting, MOST)):
        yield some
