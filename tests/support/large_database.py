"""A database as large as it gets in years, for the little time that a test has.

It has ROWS made-up rows in each table that grows, and PostgreSQL's statistics say that there are
MANY. No keystore has written them, so whoever reads one is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from cloud_keystore.model.clock import earliest_id
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import Role
from cloud_keystore.model.sign_ins import State as SignInState
from cloud_keystore.storage.authentic.codes import Value
from cloud_keystore.storage.databases.instants import EPOCH, MICROSECOND, Instant
from cloud_keystore.storage.tables import metadata

ROWS, MANY = 3_000, 1_000_000
OPEN = ROWS // 10  # of what has not ended
OLD = 20  # rows of what was over so long ago that it is removed
# By their nature these have few rows, however long a keystore runs.
SMALL = {"authority", "organisation", "policy", "sealing_key", "secret", "key_holder"}
SMALL |= {"revocation_list", "revocation_document", "planned_key", "webhook"}
SMALL |= {"external_list", "external_list_document"}
GROWN = [table for table in metadata.sorted_tables if table.name not in SMALL]
ENDED: Mapping[str, int | None] = {  # what ends, and the state in which it is then
    "operation": State.SUCCEEDED,
    "session": None,
    "session_use": None,
    "sign_in": SignInState.ENDED,
}
# Columns of what most rows say, for whose kind there is something else otherwise
MOST: Mapping[tuple[str, str], str] = {("identity", "role"): str(int(Role.DEVICE))}
NOTHING: Mapping[str, str] = MappingProxyType({})
SERIES = {
    "sqlite": "(WITH RECURSIVE s(g) AS (VALUES (1) UNION ALL SELECT g + 1 FROM s WHERE g < {})"
    " SELECT g FROM s)",
    "postgresql": "(SELECT CAST(g AS bigint) AS g FROM generate_series(1, {}) AS g) AS s",
}
HEX = {"sqlite": "printf('%012x', {})", "postgresql": "lpad(to_hex({}), 12, '0')"}
BYTES = {"sqlite": "CAST({} AS BLOB)", "postgresql": "convert_to({}, 'UTF8')"}


@dataclass(frozen=True)
class LargeDatabase:
    """The database at an address, changed by somebody else than a keystore."""

    engine: Engine
    now: datetime

    def fill(self, mine: Mapping[str, str]) -> None:
        """Add what has ended; half of that has these values in the columns of these names."""
        with self._changing() as connection:
            for table in GROWN:
                if connection.dialect.name == "postgresql":
                    # Else the server takes statistics of its own, in the middle of the test.
                    alone = f'ALTER TABLE "{table.name}" SET (autovacuum_enabled = false)'
                    connection.execute(text(alone))
                if table.name not in ENDED:
                    _insert(connection, table, ROWS, self.now - timedelta(days=2))
                    continue
                for rows, age, half in ((ROWS, 2, mine), (OLD, 30, {})):
                    begun = self.now - timedelta(days=age)
                    values = {"end_time": str((begun - EPOCH) // MICROSECOND)}
                    if (state := ENDED[table.name]) is not None:
                        values |= {"state": str(int(state)), "why": "'time'"}
                    _insert(connection, table, rows, begun, values, half)

    def begin(self) -> None:
        """Add what has not ended yet, and does not during the test."""
        with self._changing() as connection:
            for table in GROWN:
                if table.name in ENDED:
                    # Later than the test, as a use that has taken long is swept.
                    _insert(connection, table, OPEN, self.now + timedelta(days=30))

    def count(self) -> None:
        """Take statistics. PostgreSQL multiplies the rows that it counted by the growth of the
        table's file since then, so that it believes that there are MANY.
        """
        with self._changing() as connection:
            connection.execute(text("ANALYZE"))
            if connection.dialect.name == "postgresql":
                names = ", ".join(f"'{table.name}'" for table in GROWN)
                believed = f"UPDATE pg_class SET reltuples = {MANY} WHERE relname IN ({names})"
                connection.execute(text(believed))

    def old(self) -> int:
        """How many rows are left that are to be removed."""
        with self.engine.connect() as connection:
            until = {"until": earliest_id(self.now - timedelta(days=20))}
            return sum(
                connection.execute(
                    text(f'SELECT count(*) FROM "{name}" WHERE id < :until'), until
                ).scalar_one()
                for name in ENDED
            )

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        """SQLite does not check references unless it is told to, as a keystore does."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET LOCAL session_replication_role = replica"))
            yield connection


def _insert(
    connection: Connection,
    table: Table,
    rows: int,
    begun: datetime,
    values: Mapping[str, str] = NOTHING,
    mine: Mapping[str, str] = NOTHING,
) -> None:
    """Insert rows that were begun one after the other from a time on; `values` are of SQL."""
    kind = connection.dialect.name
    made = {column.name: _value(column, kind, begun) for column in table.columns}
    made |= {name: value for (of, name), value in MOST.items() if of == table.name}
    made |= {name: value for name, value in values.items() if name in made}
    for name in made.keys() & mine.keys():
        made[name] = f"CASE g % 2 WHEN 0 THEN '{mine[name]}' ELSE {made[name]} END"
    names = ", ".join(f'"{name}"' for name in made)
    source = f"SELECT {', '.join(made.values())} FROM {SERIES[kind].format(rows)}"
    statement = f'INSERT INTO "{table.name}" ({names}) {source}'
    connection.exec_driver_sql(statement.replace("%", "%%") if kind == "postgresql" else statement)


def _value(column: Column[Value], kind: str, begun: datetime) -> str:
    """An expression for a column, by the row's number g."""
    if column.nullable and not column.unique:
        return "NULL"
    milliseconds = int(begun.timestamp() * 1000)
    number = HEX[kind].format(f"{milliseconds} + g")
    match column.type:
        case Instant():
            later = column.name != "create_time" or column.table.name == "guess"
            time = begun + timedelta(days=500) if later else begun
            return f"{(time - EPOCH) // MICROSECOND} + g"
        case Boolean():
            return "false"
        case Integer():
            return "-g" if column.primary_key or column.unique else "1"
        case LargeBinary():
            return BYTES[kind].format(number)
        case String():
            # As `new_id` makes them, so that they are in the order of time
            return (
                f"substr({number}, 1, 8) || '-' || substr({number}, 9) || '-7000-8000-000000000000'"
            )
    raise TypeError(column.type)
