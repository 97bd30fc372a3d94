"""The database: one engine, read and write transactions, durable commits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from cloud_keystore.model.errors import KeystoreError

BUSY_MILLISECONDS = 10_000


class DatabaseUnusable(KeystoreError):
    """The database cannot be opened, read or written; says why and what to do."""


class Database:
    """Hands out transactions. A write transaction holds the database's one write lock from its
    start.
    """

    def __init__(self, url: str) -> None:
        if make_url(url).drivername != "sqlite":
            raise DatabaseUnusable(f"{make_url(url).drivername} is not known: use sqlite:///PATH")
        self._engine = create_engine(url, hide_parameters=True)  # not in errors' texts either
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All or nothing, durable when the block has ended; raises the block's exception after a
        rollback.
        """
        with self._engine.connect() as connection:
            connection.info["writes"] = True
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.info["writes"] = False

    def migrate(self) -> None:
        """Bring the schema up to date; raise DatabaseUnusable if the file cannot be used."""
        config = Config()
        config.set_main_option(
            "script_location", str(files("cloud_keystore.storage") / "migrations")
        )
        try:
            with self._engine.connect() as connection:
                _check_references(connection, on=False)  # a table made anew is gone for a moment
                connection.info["writes"] = True
                try:
                    with connection.begin():
                        config.attributes["connection"] = connection
                        command.upgrade(config, "head")
                        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                        if broken is not None:
                            raise DatabaseUnusable(f"{self._name()}: {broken[0]} refers to nothing")
                finally:
                    connection.info["writes"] = False
                    _check_references(connection, on=True)
        except (OperationalError, DatabaseError) as error:
            raise DatabaseUnusable(f"{self._name()}: {error.orig}") from None

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _name(self) -> str:
        return self._engine.url.render_as_string(hide_password=True)


def _set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver leaves transactions to us
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit that was answered outlives a loss of power
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "secure_delete=ON",  # a destroyed key's sealed bytes are overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")


def _check_references(connection: Connection, *, on: bool) -> None:
    """Switch SQLite's check of foreign keys, which cannot be done inside a transaction."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


def _begin(connection: Connection) -> None:
    writes = connection.info.get("writes", False)
    # Locking at the start: a reader that turns writer half-way would fail instead of waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
