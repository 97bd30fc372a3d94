"""Which processes of the service live: uses of keys by those that do not are ended within seconds.

Each process holds a lock on the shared database's server, in a session that the server ends if the
process says nothing. The lock is gone when the process has been killed, and as well when it hangs
or cannot be reached. A process that wakes up later finds that its uses have ended.

In an SQLite database nobody needs to ask: processes have the numbers of their workers, and a worker
that is started ends the uses of the one before it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import psycopg
import structlog
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from cloud_keystore.cards import leases
from cloud_keystore.storage import operations, session_uses
from cloud_keystore.storage.engine import Database

log = structlog.get_logger()

PROCESSES = 0x6C697665  # the locks' first number, "live"; no other program uses it
NAME = "cloudcard presence"  # of the connection, as the server lists it
TELL_SECONDS = 1.0
LEASE_SECONDS = 3  # of silence, after which the server ends the session
# For which a lock has to be missing: when the server has been away, each process connects anew.
GRACE_SECONDS = 2.0
_PRESENT = text(
    "SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
    "AND classid = :processes "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def present(connection: Connection) -> set[int]:
    """The numbers of the processes that live, as the server knows."""
    found = connection.execute(_PRESENT, {"processes": PROCESSES}).scalars()
    return {int(each) for each in found}


class Presence:
    """Tells others that this process lives, and finds those that do so no longer."""

    def __init__(
        self, database: Database, process: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`process` is the number of this process."""
        self._database = database
        self._process = process
        self._monotonic = monotonic
        self._known: set[int] | None = None
        self._missing: dict[int, float] = {}  # since when

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell others during the block that this process lives."""
        stop = threading.Event()
        telling = threading.Thread(target=self._tell, args=(stop,), name="presence", daemon=True)
        if self._database.is_shared:
            telling.start()
        try:
            yield
        finally:
            stop.set()

    def gone(self, connection: Connection) -> frozenset[int]:
        """The numbers of processes that have ended, or hang, since this one began, or that had left
        uses or cards behind at that time. To be used by one thread at a time.
        """
        if not self._database.is_shared:
            return frozenset()
        if self._known is None:
            self._known = (
                operations.users(connection)
                | session_uses.users(connection)
                | leases.holders(connection)
            )
        here, now = present(connection) | {self._process}, self._monotonic()
        self._known |= here
        self._missing = {each: self._missing.get(each, now) for each in self._known - here}
        return frozenset(
            each for each, since in self._missing.items() if now - since >= GRACE_SECONDS
        )

    def forget(self, gone: Collection[int]) -> None:
        """Forget processes whose uses have been ended."""
        if self._known is not None:
            self._known.difference_update(gone)

    def _tell(self, stop: threading.Event) -> None:
        parameters = dict(self._database.parameters)
        parameters["options"] += f" -c idle_session_timeout={LEASE_SECONDS}s"
        where = make_conninfo("", **{**parameters, "application_name": NAME})
        while not stop.is_set():
            try:
                with psycopg.connect(where, autocommit=True) as connection:
                    lock = "SELECT pg_advisory_lock(%s, %s)"
                    connection.execute(lock, (PROCESSES, self._process))
                    while not stop.wait(TELL_SECONDS):
                        connection.execute("SELECT 1")
            except (psycopg.Error, OSError) as error:
                log.warning("this process does not tell that it lives", error=type(error).__name__)
                stop.wait(TELL_SECONDS / 2)
