"""How databases do the statements that a keystore really executes: which rows each one reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import psycopg
from sqlalchemy import Connection, Engine, event

from cloud_keystore.storage.authentic.codes import Value
from support.large_database import GROWN

MOST_ROWS = 200  # of the thousands of a table
MOST_BLOCKS = 100  # of 8 KiB: an index is read that does not find the rows
MOST_STEPS = 2  # thousands of steps of SQLite's machine
READS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
GROWN_NAMES = {table.name for table in GROWN}
SCANS = {"Seq Scan", "Index Scan", "Index Only Scan", "Bitmap Index Scan"}
BYTES = (bytes, psycopg.Binary)
PARAMETER = re.compile(r"%\((\w+)\)s")
SCAN = re.compile(r"SCAN (\w+)")

Given: TypeAlias = "Mapping[str, Value] | Sequence[Value]"
Node: TypeAlias = "dict[str, str | int | float | list[Node]]"


@dataclass
class Plans:
    """What was wrong with statements, each explained when it is executed for the first times."""

    wrong: dict[str, set[str]] = field(default_factory=dict)  # by statement
    seen: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def watching(self, times: int = 2) -> Iterator[None]:
        """Explain what is executed during the block."""
        self.seen.clear()

        def explain(
            connection: Connection,
            _cursor: object,
            statement: str,
            parameters: Given | Sequence[Given],
            _context: object,
            executemany: bool,
        ) -> None:
            before = self.seen.setdefault(statement, 0)
            if before >= times or not statement.lstrip().startswith(READS):
                return
            if "pg_advisory_xact_lock" in statement:  # the beginning of a transaction
                return
            self.seen[statement] += 1
            driver = connection.connection.driver_connection
            given = parameters[0] if executemany else parameters  # type: ignore[index]
            if isinstance(driver, sqlite3.Connection):
                found = set(self._sqlite(driver, statement, given))
            else:
                assert isinstance(driver, psycopg.Connection)
                found = set(self._postgresql(driver, statement, given))
            if found:
                self.wrong.setdefault(statement, set()).update(found)

        event.listen(Engine, "before_cursor_execute", explain)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", explain)

    def _sqlite(self, driver: sqlite3.Connection, statement: str, given: Given) -> Iterator[str]:
        with closing(driver.cursor()) as cursor:
            plan = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
            for *_, detail in plan:
                found = SCAN.match(detail)
                if found and found[1] in GROWN_NAMES and not _takes_the_first(statement):
                    yield detail
            steps = 0

            def count() -> None:
                nonlocal steps
                steps += 1

            cursor.execute("SAVEPOINT explained")
            driver.set_progress_handler(count, 1000)
            try:
                cursor.execute(statement, given).fetchall()
            finally:
                driver.set_progress_handler(None, 0)
                cursor.execute("ROLLBACK TO explained")
                cursor.execute("RELEASE explained")
            if steps > MOST_STEPS:
                yield f"{steps} thousand steps: {[detail for *_, detail in plan]}"

    def _postgresql(
        self, driver: psycopg.Connection[tuple[Value, ...]], statement: str, given: Given
    ) -> Iterator[str]:
        """Both ways to plan: for these parameters, and once for all, as for what is prepared."""
        assert isinstance(given, Mapping)
        names = list(dict.fromkeys(PARAMETER.findall(statement)))
        prepared = PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement)
        values = ", ".join(f"%({name})s" for name in names)
        with psycopg.ClientCursor(driver) as cursor:
            cursor.execute("SAVEPOINT explained")
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", given)
            yield from self._of_plan(cursor)
            cursor.execute("ROLLBACK TO explained")
            cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
            kinds = ("bytea" if isinstance(given[name], BYTES) else "unknown" for name in names)
            taken = f"({', '.join(kinds)})" if names else ""
            cursor.execute(f"PREPARE explained{taken} AS {prepared.replace('%%', '%')}".encode())
            execute = f"explained({values})" if names else "explained"
            cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {execute}", given)
            yield from self._of_plan(cursor)
            cursor.execute("DEALLOCATE explained")
            cursor.execute("ROLLBACK TO explained")
            cursor.execute("RELEASE explained")

    def _of_plan(self, cursor: psycopg.ClientCursor[tuple[Value, ...]]) -> Iterator[str]:
        row = cursor.fetchone()
        assert row is not None
        for parent, node in _nodes({}, row[0][0]["Plan"]):  # type: ignore[index, arg-type]
            if node["Node Type"] not in SCANS:
                continue
            name = str(node.get("Index Name") or node.get("Relation Name"))
            if node["Node Type"] == "Seq Scan" and name not in GROWN_NAMES:
                continue
            unbounded = node["Node Type"] == "Seq Scan" or "Index Cond" not in node
            first = parent.get("Node Type") == "Limit" and "Filter" not in node
            if unbounded and not first:
                yield f"{node['Node Type']} of {name}"
            rows = sum(
                float(str(node.get(key, 0))) * float(str(node["Actual Loops"]))
                for key in ("Actual Rows", "Rows Removed by Filter")
            )
            blocks = sum(int(str(node[f"Shared {how} Blocks"])) for how in ("Hit", "Read"))
            if rows > MOST_ROWS or blocks > MOST_BLOCKS:
                yield f"{node['Node Type']} of {name}: {rows:.0f} rows, {blocks} blocks"


def _takes_the_first(statement: str) -> bool:
    """Whether a statement reads one row, in the order of an index."""
    return "WHERE" not in statement and "LIMIT" in statement


def _nodes(parent: Node, node: Node) -> Iterator[tuple[Node, Node]]:
    yield parent, node
    for each in node.get("Plans", ()):  # type: ignore[union-attr]
        yield from _nodes(node, each)  # type: ignore[arg-type]
