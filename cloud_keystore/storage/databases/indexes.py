"""Indexes of the few rows that wait for something, and the conditions by which queries find them.

PostgreSQL can take an index of some rows for each query whose condition implies that of the index,
and does so if there were few when statistics were last taken. A query for one row by its key would
then read all that have left the index since the last vacuum. Therefore what has not ended has a
condition here that no other query has: others ask whether the end IS NULL.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Index, func, literal_column, text

HAS_RESULT = "sealed_result IS NOT NULL"
OPEN = "coalesce(end_time, 0) = 0"
# The same in other words, one for each further index of a table: a query finds its own index alone.
# Nothing has ended in these microseconds of 1970.
OPEN_AT, OPEN_FOR = "coalesce(end_time, 1) = 1", "coalesce(end_time, 2) = 2"
_NUMBERS = {OPEN: 0, OPEN_AT: 1, OPEN_FOR: 2}


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index of the rows that match alone."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def number(value: int) -> ColumnElement[int]:
    """A number within a statement: PostgreSQL plans for a limit that it knows."""
    return literal_column(str(value))


def is_open(end_time: Column[datetime], where: str = OPEN) -> ColumnElement[bool]:
    """One of the conditions OPEN, for queries that are to use its index."""
    # Within the statement too: of a parameter, no database knows that it is that of the index.
    never = number(_NUMBERS[where])
    return func.coalesce(end_time, never) == never
