"""Whose a data folder is: one keystore's, however many processes it has.

The locks are SQLite's, because those are the same on every platform. The kernel gives them back
however a process ends.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TypeAlias

from cloud_keystore.config import Settings
from cloud_keystore.model.errors import KeystoreError

Lock: TypeAlias = sqlite3.Connection  # given back when it is closed

LAST_WORKERS_SECONDS = 5.0  # for those of a supervisor that was killed to end


class DataInUse(KeystoreError):
    """Another keystore serves the same data folder, or it cannot be told whether one does."""


def own(settings: Settings, patience: float = LAST_WORKERS_SECONDS) -> Lock:
    """Take the data folder for this keystore; raises DataInUse.

    Workers whose supervisor has just been killed are waited for: a use of a key that is under way
    must not be taken for one whose process is gone.
    """
    lock = _locked(settings, settings.lock, "BEGIN EXCLUSIVE")
    try:
        _locked(settings, settings.workers_lock, "BEGIN EXCLUSIVE", patience).close()
    except DataInUse:
        lock.close()
        raise
    return lock


def share(settings: Settings) -> Lock:
    """Take part in the data folder as one of its owner's workers; raises DataInUse."""
    lock = _locked(settings, settings.workers_lock, "BEGIN", LAST_WORKERS_SECONDS)
    lock.execute("SELECT count(*) FROM sqlite_master").fetchone()  # holds a shared lock from here
    return lock


def _locked(settings: Settings, file: Path, begin: str, seconds: float = 0) -> Lock:
    lock: Lock | None = None
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
