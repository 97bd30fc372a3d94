"""Locks a data folder for one keystore, which can have several processes.

The locks are SQLite's, because those work alike on every platform. The kernel releases them in
whatever way a process ends.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from cloud_keystore.config import Settings
from cloud_keystore.model.errors import KeystoreError

LAST_WORKERS_SECONDS = 5.0  # in which the workers of a killed supervisor end


class DataInUse(KeystoreError):
    """Another keystore serves the same data folder, or this cannot be determined."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A data folder that this process holds until `close`."""

    whole: bool  # held by the owner itself; False: by one of the owner's workers
    lock: sqlite3.Connection = field(repr=False)

    def close(self) -> None:
        """Release the data folder."""
        self.lock.close()


def own(settings: Settings, patience: float = LAST_WORKERS_SECONDS) -> Hold:
    """Take the data folder for this keystore, and make it if it does not exist; raises DataInUse.

    It waits for workers whose supervisor has just been killed: a use of a key that still runs must
    not be taken for one that has lost its process.
    """
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _locked(settings, settings.lock, "BEGIN EXCLUSIVE")
    try:
        _locked(settings, settings.workers_lock, "BEGIN EXCLUSIVE", patience).close()
    except DataInUse:
        lock.close()
        raise
    return Hold(whole=True, lock=lock)


def share(settings: Settings) -> Hold:
    """Take part in the data folder as one of its owner's workers; raises DataInUse."""
    lock = _locked(settings, settings.workers_lock, "BEGIN", LAST_WORKERS_SECONDS)
    lock.execute("SELECT count(*) FROM sqlite_master").fetchone()  # holds a shared lock from here
    return Hold(whole=False, lock=lock)


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
