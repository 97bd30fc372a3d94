"""The keystore's clock, and the start that is refused when the machine's clock is behind."""

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

LEEWAY = timedelta(minutes=1)  # between the clocks of replicas, and of one before and after a start


class ClockBehind(KeystoreError):
    """The machine's clock is behind the database; says by how much, and what to do."""


def start_clock() -> Clock:
    """A clock for this process' threads, from now on; steps of the machine's clock go to the
    log.
    """
    clock, lock = SteadyClock(time.time_ns, _monotonic, _report), Lock()

    def tell() -> datetime:
        with lock:
            return clock()

    return tell


def check_clock(database: Database, now: datetime) -> None:
    """Raise ClockBehind if the database has times to come: what has expired would live again."""
    with database.read() as connection:
        times = (operations.newest_time(connection), journal.newest_time(connection))
    newest = max((each for each in times if each is not None), default=now)
    if newest - now > LEEWAY:
        raise ClockBehind(
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S} UTC, but the database was written "
            f"at {newest:%Y-%m-%d %H:%M:%S}, and approvals that have expired would be good again: "
            "set the clock right and start anew. If it is right, it was ahead before: wait until "
            "then, or restore a backup from before"
        )


def _monotonic() -> int:
    """Nanoseconds that only go on; where the system can tell, while the machine sleeps too."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)


def _report(step: timedelta) -> None:
    log.warning(
        "the machine's clock was set; the keystore goes on without the step until it is restarted",
        seconds=round(step.total_seconds(), 3),
    )
