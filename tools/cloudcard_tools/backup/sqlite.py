"""Backups of SQLite databases: complete, consistent files, made while the keystore runs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from cloudcard_tools.shared.failures import Failure

MAGIC = b"SQLite format 3\0"
PAGES = 2000  # copied before other writers get a turn


def copy(source: Path, target: Path, done: Callable[[int, int], object]) -> None:
    """Copy a database, which may be in use, durably into a new file. `done` is called with the
    number of pages that are left and the total. Raises Failure, and then leaves no partial file.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing, pages=PAGES, progress=lambda _, left, total: done(left, total))
            writing.execute("PRAGMA journal_mode=DELETE")
        check(target)
        _make_durable(target)
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise Failure(f"{source} cannot be copied into {target.parent}: {error}") from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def check(path: Path) -> None:
    """Raise Failure unless the file is an undamaged database of a keystore."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (said,) = database.execute("PRAGMA integrity_check(1)").fetchone()
            dangling = database.execute("PRAGMA foreign_key_check").fetchone()
            version = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise Failure(f"{path} is not a backup of a keystore, or is damaged: {error}") from None
    if said != "ok" or dangling is not None or version is None:
        raise Failure(f"{path} is damaged: use another backup")


def settle(path: Path) -> None:
    """Make a changed and closed database one complete, durable file. Raises Failure if that
    fails.
    """
    try:
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            database.execute("PRAGMA journal_mode=DELETE")
        _make_durable(path)
    except (sqlite3.Error, OSError) as error:
        raise Failure(f"{path} cannot be written: {error}") from None


def _make_durable(path: Path) -> None:
    if path.is_dir() and os.name != "posix":
        # Windows has no such call and does not need one.
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
