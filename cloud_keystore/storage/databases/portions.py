"""Values in portions, because databases bound the parameters of a statement, and rows in pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import Column, ColumnElement, Select, and_, literal, tuple_

from cloud_keystore.model.fields.pages import Page

T = TypeVar("T", bound=tuple[object, ...])
V = TypeVar("V")

MOST = 5_000  # parameters of one statement; SQLite takes 32,766, PostgreSQL 65,535


def portions(values: Iterable[str]) -> Iterator[list[str]]:
    """The values, as many at a time as a statement takes."""
    waiting = iter(values)
    while some := list(islice(waiting, MOST)):
        yield some


def paged(query: Select[T], key: Column[str], page: Page | None) -> Select[T]:
    """A query for all rows in the order of a key, or for a page of them."""
    query = query.order_by(key)
    return query if page is None else query.where(key > page.after).limit(page.size)


def following(first: Column[V], second: Column[str], after: tuple[V, str]) -> ColumnElement[bool]:
    """The condition that rows follow two values in the order of two columns."""
    place = tuple_(literal(after[0], first.type), literal(after[1], second.type))
    # SQLite finds only the latter in an index.
    return and_(tuple_(first, second) > place, first >= after[0])
