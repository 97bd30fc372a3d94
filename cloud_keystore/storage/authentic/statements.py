"""Statements about any table, by which rows with codes are read and written."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

from sqlalchemy import ColumnElement, Select, Table, bindparam, select, update

from cloud_keystore.storage.authentic.codes import MAC, Value
from cloud_keystore.storage.databases.prepared import Changing, ForEach, adding, given_together

Query: TypeAlias = Select[tuple[Value, ...]]


@cache
def key_of(table: Table) -> tuple[str, ...]:
    """The names of the columns of a primary key."""
    return tuple(column.name for column in table.primary_key)


def locked(table: Table, *conditions: ColumnElement[bool]) -> Query:
    """A query for the rows that match, which keeps other writers from them."""
    return _locked(table).where(*conditions)


# The statements are made once: making them for each row takes longer than the database does. Also
# SQLAlchemy takes three times as long for a statement that is equal to one of before, but another.
@cache
def every(table: Table) -> Query:
    """All rows."""
    return select(table)


@cache
def any_one(table: Table) -> Query:
    """Any one row."""
    return select(table).limit(1)


@cache
def holding(table: Table, names: tuple[str, ...]) -> Query:
    """A row whose columns hold what is given under their names."""
    return any_one(table).where(*(table.c[name] == bindparam(name) for name in names))


@cache
def _locked(table: Table) -> Query:
    return select(table).order_by(*table.primary_key.columns).with_for_update()


@cache
def adding_to(table: Table, names: tuple[str, ...]) -> ForEach:
    """Adds rows of which these columns are given."""
    return adding(table, names)


@cache
def changing(table: Table, names: tuple[str, ...]) -> ForEach:
    """Changes these columns, given as `to_` and their names, and the code of rows; their primary
    keys are given as `of_` and the names of its columns.
    """
    columns, key = (*names, MAC), table.primary_key.columns
    types = {f"of_{column.name}": column.type for column in key}
    rows = given_together(types | {f"to_{name}": table.c[name].type for name in columns})
    return ForEach(
        Changing(
            update(table)
            .where(*(column == bindparam(f"of_{column.name}") for column in key))
            .values({name: bindparam(f"to_{name}") for name in columns})
        ),
        Changing(
            update(table)
            .where(*(column == rows.c[f"of_{column.name}"] for column in key))
            .values({name: rows.c[f"to_{name}"] for name in columns})
        ),
    )
