"""Records from before there were codes, which get them once an operator has looked at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    bindparam,
    func,
    select,
    tuple_,
    update,
)

from cloud_keystore.model.errors import RowNotAuthentic
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import MAC, Value, named
from cloud_keystore.storage.authentic.declaring import metadata

PAGE = 500  # rows that are in memory at a time
MOST_NAMED = 20  # records that are not authentic and are named


@dataclass(slots=True)
class Examined:
    """What a look at all records has found."""

    authentic: int = 0
    wrong: int = 0  # without a code, altered, or put back
    named: list[str] = field(default_factory=list)  # some of those


def is_due(connection: Connection) -> bool:
    """Whether there are identities, none of which has a code."""
    known = select(t.identity.c.id).limit(1)
    coded = known.where(t.identity.c[MAC].is_not(None))
    return (
        connection.execute(known).first() is not None and connection.execute(coded).first() is None
    )


def examine(connection: Connection) -> Examined:
    """Check the codes of all records."""
    found = Examined()
    for table in authentic_tables():
        for page in _pages(connection, table):
            for row in page:
                values = {**row._mapping}
                if values[MAC] is None and values.get("leaf_index") is not None:
                    continue  # the tree proves it
                try:
                    rows.check(connection, table, values)
                except RowNotAuthentic:
                    found.wrong += 1
                    if len(found.named) < MOST_NAMED:
                        found.named.append(named(table, values))
                else:
                    found.authentic += 1
    return found


def count(connection: Connection) -> Mapping[str, int]:
    """How many records without a code each table has."""
    counts = {
        table.name: connection.execute(
            select(func.count()).select_from(table).where(*_without_code(table))
        ).scalar_one()
        for table in authentic_tables()
    }
    return {name: number for name, number in counts.items() if number}


def give_codes(connection: Connection) -> None:
    """Give each record without a code its code."""
    for table in authentic_tables():
        statement = (
            update(table)
            .where(*(column == bindparam(f"of_{column.name}") for column in table.primary_key))
            .values({MAC: bindparam("code")})
        )
        for page in _pages(connection, table, *_without_code(table)):
            given = [
                {
                    **{
                        f"of_{column.name}": row._mapping[column.name]
                        for column in table.primary_key
                    },
                    "code": rows.code(connection, table, {**row._mapping}),
                }
                for row in page
            ]
            connection.execute(statement, given)


def authentic_tables() -> list[Table]:
    """The tables whose records have codes."""
    return [table for table in metadata.sorted_tables if MAC in table.columns]


def _without_code(table: Table) -> list[ColumnElement[bool]]:
    """Conditions on the records that need a code. Entries that are in the journal's tree need
    none.
    """
    conditions: list[ColumnElement[bool]] = [table.c[MAC].is_(None)]
    if table is t.journal:
        conditions.append(t.journal.c.leaf_index.is_(None))
    return conditions


def _pages(
    connection: Connection, table: Table, *where: ColumnElement[bool]
) -> Iterator[list[Row[tuple[Value, ...]]]]:
    key = list(table.primary_key.columns)
    after: tuple[Value, ...] | None = None
    while True:
        query = select(table).where(*where).order_by(*key).limit(PAGE)
        if after is not None:
            query = query.where(tuple_(*key) > after)
        page = list(connection.execute(query))
        if not page:
            return
        yield page
        after = tuple(page[-1]._mapping[column.name] for column in key)
