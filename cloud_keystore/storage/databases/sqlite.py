"""What SQLite needs: durable commits, one writer, foreign keys."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import ConnectionPoolEntry

from cloud_keystore.model.errors import StorageUnavailable
from cloud_keystore.storage.databases.modes import MODE, Mode
from cloud_keystore.storage.databases.prepared import execute

BUSY_MILLISECONDS = 10_000
# Of a new database. A commit writes each page as a whole of which it changes a row.
PAGE_BYTES = 1024
# In the log before they go to the file, where each is written once that was changed many times
LOG_BYTES = 16 << 20


def new_engine(url: URL) -> Engine:
    """An engine that has not opened the database yet."""
    # Parameters can be secrets: they must not appear in the messages of errors either.
    # The connection used last is used next: it has in its memory what the others, which all know
    # that something was written, would read anew.
    engine = create_engine(url, hide_parameters=True, pool_use_lifo=True)
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    if url.database:
        event.listen(engine, "begin", SameFile(Path(url.database)))
    return engine


def is_writable(url: URL) -> bool:
    """Whether the file and its folder, where SQLite keeps the newest changes, can be written."""
    if not url.database:
        return True  # in memory
    file = Path(url.database)
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)


def has_room(url: URL, free_bytes: int) -> bool:
    """Whether the file's disk has so many bytes free, or a fiftieth of it, if that is less."""
    if not url.database:
        return True  # in memory
    try:
        disk = os.statvfs(Path(url.database).parent)
    except OSError:
        return True  # whoever uses the file is told
    return disk.f_bavail * disk.f_frsize >= min(free_bytes, disk.f_blocks * disk.f_frsize // 50)


class SameFile:
    """Checks that the open file is still the one under its name. SQLite itself would continue with
    a deleted file, and confirm commits that are lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None  # since the first transaction

    def __call__(self, _connection: Connection) -> None:
        """Raises StorageUnavailable if the file was deleted or replaced."""
        try:
            found = os.stat(self._path)
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
    """Switch off the check of foreign keys during a migration, in which a table that is made anew
    is missing for a moment; `dangling` checks them afterwards.
    """
    _check_references(connection, on=False)
    try:
        yield
    finally:
        _check_references(connection, on=True)


def dangling(connection: Connection) -> str | None:
    """A table with a row that refers to a missing row; None if there is none."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    return None if broken is None else str(broken[0])


@contextmanager
def freeing(connection: Connection) -> Iterator[None]:
    """Let the block delete what is no secret: pages that it leaves empty are not written to be
    overwritten. Rows beside which others stay are. Does nothing in PostgreSQL.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    _overwrite(connection, "FAST")
    try:
        yield
    finally:
        if not connection.invalidated:  # else it is not used again
            _overwrite(connection, "ON")


def _overwrite(connection: Connection, how: str) -> None:
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA secure_delete={how}")
    cursor.close()


def _set_up(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver leaves transactions to us
    for pragma in (
        f"page_size={PAGE_BYTES}",  # first: a database that has a log keeps its own
        "journal_mode=WAL",
        "synchronous=FULL",  # a commit that was answered outlives a loss of power
        "foreign_keys=ON",
        f"busy_timeout={BUSY_MILLISECONDS}",
        "secure_delete=ON",  # a destroyed key's sealed bytes are overwritten
    ):
        connection.execute(f"PRAGMA {pragma}")
    ((page_bytes,),) = connection.execute("PRAGMA page_size")
    connection.execute(f"PRAGMA wal_autocheckpoint={LOG_BYTES // page_bytes}")


def _check_references(connection: Connection, *, on: bool) -> None:
    """Switch the check of foreign keys on or off, which works only outside a transaction."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")
    cursor.close()


def _begin(connection: Connection) -> None:
    # The lock is taken at the start: a reader that becomes a writer later fails instead of waiting.
    if connection.info.get(MODE, Mode.READ) is Mode.READ:
        # Straight to the driver, which is quicker: this takes no lock yet, so it does not fail.
        connection.connection.cursor().execute("BEGIN")
    else:
        execute(connection, "BEGIN IMMEDIATE")
