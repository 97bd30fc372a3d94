"""Statements that are compiled once for each kind of database, and given to the driver as they are.

To find a compiled statement, and to convert what it is given, SQLAlchemy takes longer than the
database takes to run it. Therefore those on the path of every use are prepared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    Subquery,
    Table,
    Update,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Given: TypeAlias = Mapping[str, object]  # values by the names of parameters
Convert: TypeAlias = Callable[[object], object]

POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement of one kind of database."""

    text: str
    parameters: tuple[tuple[str, Convert | None], ...]  # in the order of the statement
    by_position: bool

    @classmethod
    def of(cls, statement: Insert | Update, dialect: Dialect) -> _Compiled:
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("only a statement with parameters is prepared")
        names = compiled.positiontup
        parameters = (
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in names or compiled.binds
        )
        return cls(str(compiled), tuple(parameters), names is not None)

    def driven(self, given: Given) -> tuple[object, ...] | dict[str, object]:
        """What the driver takes."""
        values = [
            given[name] if convert is None else convert(given[name])
            for name, convert in self.parameters
        ]
        if self.by_position:
            return tuple(values)
        return {name: value for (name, _), value in zip(self.parameters, values, strict=True)}


@dataclass(frozen=True, slots=True)
class Changing:
    """A statement that changes rows. All its parameters have names."""

    statement: Insert | Update
    _compiled: dict[str, _Compiled] = field(default_factory=dict)  # by dialect

    def run(self, connection: Connection, *given: Given) -> int:
        """Run it once for each of what is given; returns how many rows were changed."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled.of(self.statement, dialect)
        driven = [compiled.driven(each) for each in given]
        # SQLAlchemy still makes the driver's errors its own, and tells listeners of the statement.
        result = connection.exec_driver_sql(compiled.text, driven if len(driven) > 1 else driven[0])
        return result.rowcount


@dataclass(frozen=True, slots=True)
class ForEach:
    """A statement for each of several rows, and one for all of them together: PostgreSQL takes
    longer for a statement than for a row.
    """

    one: Changing
    together: Changing  # whose parameters are those of `one`, each with the values of all rows

    def run(self, connection: Connection, *rows: Given) -> int:
        """Run it for rows that have the same names; returns how many were changed or added."""
        if len(rows) > 1 and connection.dialect.name == POSTGRESQL:
            columns = {name: [row[name] for row in rows] for name in rows[0]}
            return self.together.run(connection, columns)
        return self.one.run(connection, *rows)


def adding(table: Table, columns: Sequence[str]) -> ForEach:
    """Adds rows of which these columns are given: SQLAlchemy's own defaults of others are not made.
    It raises IntegrityError for a row that exists.
    """
    types = {name: table.c[name].type for name in columns}
    values = {name: bindparam(name, type_=kind) for name, kind in types.items()}
    statement = insert(table).inline()
    rows = select(given_together(types))
    return ForEach(
        Changing(statement.values(values)), Changing(statement.from_select([*columns], rows))
    )


def given_together(types: Mapping[str, TypeEngine[object]]) -> Subquery:
    """The rows whose values are given as an array for each column. For PostgreSQL alone."""
    arrays = (
        func.unnest(bindparam(name, type_=ARRAY(kind))).label(name) for name, kind in types.items()
    )
    return select(*arrays).subquery("given")
