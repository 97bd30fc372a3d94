"""The keystore's clock, and the check that refuses a start if the machine's clock is behind."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from threading import Lock

import structlog

from cloud_keystore.model.clock import Clock, SteadyClock
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.storage import journal, operations
from cloud_keystore.storage.engine import Database

log = structlog.get_logger()

LEEWAY = timedelta(minutes=1)  # between clocks of replicas, or of one machine across a restart


class ClockBehind(KeystoreError):
    """The machine's clock is behind the database; the message says both times and what to do."""


def start_clock() -> Clock:
    """A clock for all threads of this process, which writes steps of the machine's clock to the
    log.
    """
    clock, lock = SteadyClock(time.time_ns, _monotonic, _report), Lock()

    def tell() -> datetime:
        with lock:
            return clock()

    return tell


def check_clock(database: Database, now: datetime) -> None:
    """Raise ClockBehind if the database has times in the future: what has expired would be valid
    again.
    """
    with database.read() as connection:
        times = (operations.newest_time(connection), journal.newest_time(connection))
    newest = max((each for each in times if each is not None), default=now)
    if newest - now > LEEWAY:
        raise ClockBehind(
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC, but the database was written "
            f"at {newest:%Y-%m-%d %H:%M:%S}, and expired approvals would be valid again: set the "
            "clock right and start anew. If it is right now, it was ahead before: wait until that "
            "time, or restore a backup that was made before"
        )


def _monotonic() -> int:
    """Nanoseconds that never go back; if the system supports it, they include the time of sleep."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)


def _report(step: timedelta) -> None:
    log.warning(
        "the machine's clock was set; the keystore goes on without the step until it is restarted",
        seconds=round(step.total_seconds(), 3),
    )
