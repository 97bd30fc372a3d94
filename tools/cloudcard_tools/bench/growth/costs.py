"""What work costs a keystore's database: processor time, what is written, and what is kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Protocol

import click
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import TupleRow

from cloud_keystore.storage.engine import Database


class Costs(Protocol):
    """What is known of an open database."""

    def cpu_ns(self, work: Callable[[], object]) -> int:
        """The processor time that work takes, of this process and of the server."""

    def written(self) -> int:
        """The bytes that were written to the disk since some moment."""

    def settle(self) -> None:
        """Do now what the database does by itself some time after many rows were added."""

    def kept(self) -> int:
        """The bytes of the database, after what is removed has been given back."""

    def close(self) -> None:
        """Ask nothing more."""


def of(database: Database, file: Path) -> Costs:
    """The costs of an open database; `file` is that of SQLite."""
    return Server(database) if database.is_shared else File(file)


class File:
    """An SQLite database, which works in this process."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def cpu_ns(self, work: Callable[[], object]) -> int:
        begun = time.process_time_ns()
        work()
        return time.process_time_ns() - begun

    def written(self) -> int:
        self.settle()  # what the log has is written again, to the file
        # A file system in memory writes nothing to a disk: what it is given counts instead.
        return max(_told("/proc/self/io", "write_bytes:"), _told("/proc/self/io", "wchar:"))

    def settle(self) -> None:
        self._do("PRAGMA wal_checkpoint(TRUNCATE)")

    def kept(self) -> int:
        self._do("VACUUM")
        self.settle()
        return self._file.stat().st_size

    def close(self) -> None:
        pass

    def _do(self, statement: str) -> None:
        with closing(sqlite3.connect(self._file)) as connection:
            connection.execute(statement)


class Server:
    """A PostgreSQL database, whose server is on this computer."""

    def __init__(self, database: Database) -> None:
        self._connection: psycopg.Connection[TupleRow] = psycopg.connect(
            make_conninfo(**database.parameters), autocommit=True
        )

    def cpu_ns(self, work: Callable[[], object]) -> int:
        there, here = self._server_ns(), time.process_time_ns()
        work()
        here = time.process_time_ns() - here
        return here + self._server_ns() - there

    def settle(self) -> None:
        self._connection.execute("VACUUM (ANALYZE)")

    def _server_ns(self) -> int:
        query = (
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        pids = [row[0] for row in self._connection.execute(query)]
        try:
            return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)
        except OSError:
            raise click.ClickException("the server must run on this computer") from None

    def written(self) -> int:
        # The log of the server alone: what its checkpoints write depends on its settings.
        return self._number("SELECT pg_current_wal_insert_lsn() - '0/0'")

    def kept(self) -> int:
        self._connection.execute("VACUUM FULL")
        # Not the database's whole size: the server's own catalogues shrink meanwhile.
        return self._number("SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables")

    def close(self) -> None:
        self._connection.close()

    def _number(self, query: str) -> int:
        (row,) = self._connection.execute(query.encode())
        return int(row[0])


def _told(file: str, name: str) -> int:
    """A number that Linux tells of this process (proc(5))."""
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise click.ClickException(f"this system does not tell {name.rstrip(':')} in {file}")
