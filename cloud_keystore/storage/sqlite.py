"""What SQLite needs: durable commits, one writer, foreign keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.storage.modes import MODE, Mode

BUSY_MILLISECONDS = 10_000


def new_engine(url: URL) -> Engine:
    """An engine; opens nothing yet."""
    engine = create_engine(url, hide_parameters=True)  # not in errors' texts either
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    if url.database:
        event.listen(engine, "begin", SameFile(Path(url.database)))
    return engine


class SameFile:
    """Sees to it that the file which is open is the one under its name. SQLite itself would go on
    with one that was deleted, and confirm what nobody finds any more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None  # since the first transaction

    def __call__(self, _connection: Connection) -> None:
        """Raise StorageUnavailable if it is not."""
        try:
            found = self._path.stat()
        except OSError:
            found = None
        name = None if found is None else (found.st_dev, found.st_ino)
        if self._known is None:
            self._known = name
        if name is None or name != self._known:
            raise StorageUnavailable(
                "the database's file was deleted or exchanged under the keystore: stop it, put the "
                "file back from a backup, and start it"
            )


@contextmanager
def migrating(connection: Connection) -> Iterator[None]:
    """Foreign keys are checked after a migration and not within it, where a table made anew is
    gone for a moment.
    """
    _check_references(connection, on=False)
    try:
        yield
    finally:
        _check_references(connection, on=True)


def dangling(connection: Connection) -> str | None:
    """A table with a row that refers to nothing; None if all do."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    return None if broken is None else str(broken[0])


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
    """Switch the check of foreign keys, which cannot be done inside a transaction."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Locking at the start: a reader that turns writer half-way would fail instead of waiting.
    reads = connection.info.get(MODE, Mode.READ) is Mode.READ
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
