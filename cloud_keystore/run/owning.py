"""Locks a data folder for one keystore, which can have several processes.

The locks are SQLite's, because those work alike on every platform. The kernel releases them in
whatever way a process ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.model.errors import KeystoreError
from private_files import rules, writing
from private_files.rules import FileRefused

LAST_WORKERS_SECONDS = 5.0  # in which the workers of a killed supervisor end


class DataInUse(KeystoreError):
    """Another keystore serves the same data folder, or this cannot be determined."""


class DataRefused(KeystoreError):
    """The data folder or a file in it is not this user's alone; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A data folder that this process holds until `close`."""

    whole: bool  # held by the owner itself; False: by one of the owner's workers
    lock: sqlite3.Connection = field(repr=False)
    made: tuple[Path, ...] = ()  # folders that did not exist, the innermost first

    def close(self) -> None:
        """Release the data folder."""
        self.lock.close()


def own(settings: Settings, patience: float = LAST_WORKERS_SECONDS) -> Hold:
    """Take the data folder for this keystore, and make it if it does not exist; raises DataInUse
    and DataRefused.

    It waits for workers whose supervisor has just been killed: a use of a key that still runs must
    not be taken for one that has lost its process.
    """
    try:
        made = writing.make_folder(settings.data)
    except FileRefused as refused:
        raise DataRefused(str(refused)) from None
    check_place(settings)
    lock = _locked(settings, settings.lock, "BEGIN EXCLUSIVE")
    try:
        _locked(settings, settings.workers_lock, "BEGIN EXCLUSIVE", patience).close()
    except DataInUse:
        lock.close()
        raise
    return Hold(whole=True, lock=lock, made=tuple(made))


def share(settings: Settings) -> Hold:
    """Take part in the data folder as one of its owner's workers; raises DataInUse and
    DataRefused.
    """
    check_place(settings)
    lock = _locked(settings, settings.workers_lock, "BEGIN", LAST_WORKERS_SECONDS)
    lock.execute("SELECT count(*) FROM sqlite_master").fetchone()  # holds a shared lock from here
    return Hold(whole=False, lock=lock)


def check_place(settings: Settings) -> None:
    """Raise DataRefused unless the data folder and the files in it that are opened under their
    names are this user's own, and no links.
    """
    try:
        rules.require_folder(settings.data)
        for path in (*_database_files(settings), settings.lock, settings.workers_lock):
            with suppress(FileNotFoundError):
                rules.require_own(path, path.lstat())
    except FileRefused as refused:
        raise DataRefused(str(refused)) from None


@contextmanager
def whole_or_nothing(settings: Settings, hold: Hold) -> Iterator[Callable[[], None]]:
    """Make a new keystore within the block. If the block ends before it has called the function
    that it gets, what was made in the data folder is removed, and the folder if it is new.

    An existing keystore stays as it is. So does what a shared database refers to: the sealing key,
    and the first operator's token.
    """
    files = _keystore_files(settings)
    new, kept = not any(path.exists() for path in files), False

    def keep() -> None:
        nonlocal kept
        kept = True

    try:
        yield keep
    finally:
        if new and not kept:
            gone = () if settings.database else files
            # The lock is held until the end, and so is SQLite's file beside it.
            journal = settings.lock.with_name(settings.lock.name + "-journal")
            for path in (*gone, settings.workers_lock, settings.lock, journal):
                # Windows keeps what is open; the next start uses it.
                with suppress(OSError):
                    path.unlink()
            for folder in hold.made:
                with suppress(OSError):
                    folder.rmdir()


def _keystore_files(settings: Settings) -> tuple[Path, ...]:
    """The files that make a data folder that of a keystore, and drafts of them."""
    written = (settings.sealing_key, settings.operator_token)
    drafts = (writing.draft_of(path) for path in written)
    return (*_database_files(settings), *written, *drafts)


def _database_files(settings: Settings) -> tuple[Path, ...]:
    """SQLite's files; none if the database is elsewhere."""
    if settings.database:
        return ()
    file = settings.database_file
    return tuple(file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm"))


def _locked(settings: Settings, file: Path, begin: str, seconds: float = 0) -> sqlite3.Connection:
    lock: sqlite3.Connection | None = None
    try:
        lock = sqlite3.connect(file, timeout=seconds, isolation_level=None, check_same_thread=False)
        lock.execute(begin)
    except sqlite3.Error as error:
        if lock is not None:
            lock.close()
        why = (
            "another keystore runs on it"
            if "is locked" in str(error)
            else f"look whether {file} may be written and its disk has room"
        )
        raise DataInUse(f"{settings.data} cannot be taken ({error}): {why}") from None
    return lock
