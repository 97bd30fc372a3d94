"""Tends the connections of a process every two seconds, whatever else it has to do, and at once if
many are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from cloud_keystore.config import Settings
from cloud_keystore.model.journal import Kind
from cloud_keystore.rpc.connections.connections import Connections
from cloud_keystore.storage import journal, people
from cloud_keystore.storage.engine import Database

log = structlog.get_logger()

TEND_SECONDS = 2.0
LONGEST_SECONDS = 10.0
SHARE = 0.02  # of the time
HURRY_SECONDS = 0.1
HURRY_SHARE = 0.1  # of the time, while many connections are made


@dataclass(slots=True)
class Tending:
    """Ends the connections that are too many, silent, or of removed identities."""

    database: Database
    settings: Settings
    connections: Connections
    # The threads of the use cases can all be busy, which is when this is needed.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "tending"))
    _last: int | None = None  # entry of the journal

    async def keep_tending(self) -> None:
        """Tend until cancelled."""
        loop, took, ended = asyncio.get_running_loop(), 0.0, 0
        while True:
            await self._wait(took, is_attacked=ended > 0)
            began, ended = time.monotonic(), 0
            try:
                ended = await loop.run_in_executor(self._thread, self._tend)
            # The next time can succeed.
            except Exception:
                log.exception("connections were not tended")
            else:
                if ended:
                    log.warning("connections were ended", count=ended)
            took = time.monotonic() - began

    async def _wait(self, took: float, *, is_attacked: bool) -> None:
        """Wait for the next time. Thousands of connections take longer, and calls come first."""
        end = time.monotonic() + max(TEND_SECONDS, min(took / SHARE, LONGEST_SECONDS))
        while True:
            await asyncio.sleep(max(HURRY_SECONDS, took / HURRY_SHARE))
            if is_attacked or time.monotonic() >= end or self.connections.have_grown():
                return

    def _tend(self) -> int:
        main, enrolment = self.settings.listen.port, self.settings.enrol_listen.port
        return self.connections.tend(main, [enrolment], self._removed)

    def _removed(self, callers: Collection[bytes]) -> Iterable[bytes]:
        """The certificates among these whose identities have just been removed."""
        with self.database.read() as connection:
            last, before = journal.last(connection), self._last
            kinds = (Kind.IDENTITY_REMOVED,)
            removed: set[bytes] = set()
            if before is not None and journal.subjects(connection, before, last, kinds):
                removed = people.removed_among(connection, callers)
        self._last = last
        return removed
