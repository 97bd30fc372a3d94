"""Statements that are compiled once for each kind of database, and given to the driver as they are.

To find a compiled statement, and to convert what it is given and what it finds, SQLAlchemy takes
longer than the database takes to run it. Therefore those on the path of every use are prepared. On
SQLite even the way to the driver takes longer, so that they are given to it directly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from sqlalchemy import (
    Connection,
    Dialect,
    Insert,
    LargeBinary,
    RowMapping,
    Select,
    Subquery,
    Table,
    Update,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Given: TypeAlias = Mapping[str, object]  # values by the names of parameters
Convert: TypeAlias = Callable[[object], object]
Driven: TypeAlias = "tuple[object, ...] | dict[str, object]"
Raw: TypeAlias = tuple[object, ...]  # a row as the driver gives it

POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement of one kind of database."""

    text: str
    parameters: tuple[tuple[str, Convert | None], ...]  # in the order of the statement
    by_position: bool
    fixed: Given  # the values that the statement itself has

    @classmethod
    def of(cls, statement: Insert | Update | Read, dialect: Dialect) -> _Compiled:
        compiled = statement.compile(dialect=dialect)
        if not isinstance(compiled, SQLCompiler):
            raise TypeError("only a statement with parameters is prepared")
        names = compiled.positiontup
        parameters = (
            (name, _converter(compiled.binds[name].type, dialect))
            for name in names or compiled.binds
        )
        fixed = {name: each.value for name, each in compiled.binds.items() if not each.required}
        return cls(str(compiled), tuple(parameters), names is not None, fixed)

    def driven(self, given: Given) -> Driven:
        """What the driver takes."""
        if self.fixed:
            given = {**self.fixed, **given}
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
        _, count = execute(connection, compiled.text, driven if len(driven) > 1 else driven[0])
        return count


Read: TypeAlias = Select[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A query. Its rows are what the driver gives; `row` makes them what SQLAlchemy would."""

    query: Read
    _compiled: dict[str, _Compiled] = field(default_factory=dict)  # by dialect
    _columns: dict[str, Sequence[tuple[str, Convert | None]]] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        """The names of its columns."""
        return self.query.selected_columns.keys()

    def run(self, connection: Connection, given: Given) -> Sequence[Raw]:
        """The rows."""
        dialect = connection.dialect
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            compiled = self._compiled[dialect.name] = _Compiled.of(self.query, dialect)
        found, _ = execute(connection, compiled.text, compiled.driven(given))
        return found

    def row(self, connection: Connection, raw: Raw) -> RowMapping:
        """A row with the values of its columns' types; raises what these raise."""
        dialect = connection.dialect
        columns = self._columns.get(dialect.name)
        if columns is None:
            columns = self._columns[dialect.name] = [
                (name, column.type.dialect_impl(dialect).result_processor(dialect, None))
                for name, column in self.query.selected_columns.items()
            ]
        row = {
            name: value if convert is None else convert(value)
            for (name, convert), value in zip(columns, raw, strict=True)
        }
        # It is asked for columns by name alone, as a RowMapping can be.
        return cast(RowMapping, row)


def _converter(kind: TypeEngine[object], dialect: Dialect) -> Convert | None:
    """What makes a value what the driver takes; None if it is that already."""
    # SQLite's driver takes bytes as they are; SQLAlchemy would make a view of each value first.
    if isinstance(kind, LargeBinary) and dialect.name == "sqlite":
        return None
    return kind.dialect_impl(dialect).bind_processor(dialect)


def execute(
    connection: Connection, text: str, given: Driven | list[Driven] = ()
) -> tuple[Sequence[Raw], int]:
    """Give a statement to the driver, once, or for each of several parameters; what it finds, and
    how many rows it changes. Raises SQLAlchemy's errors.
    """
    # Who listens is told, and what a server's errors mean for the connection SQLAlchemy knows.
    if connection.dialect.name == POSTGRESQL or connection.dispatch.before_cursor_execute:
        result = connection.exec_driver_sql(text, given or None)
        return [tuple(row) for row in result] if result.returns_rows else (), result.rowcount
    cursor = connection.connection.cursor()
    driver = connection.dialect.loaded_dbapi
    try:
        if isinstance(given, list):
            cursor.executemany(text, cast(list[Raw], given))
        else:
            cursor.execute(text, given)
        return cursor.fetchall(), cursor.rowcount
    except driver.Error as error:
        raise DBAPIError.instance(
            text, None, error, driver.Error, hide_parameters=True, dialect=connection.dialect
        ) from error
    finally:
        cursor.close()


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
