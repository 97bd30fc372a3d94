"""Tends the connections of a process every two seconds, whatever else it has to do, and at once if
many are made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from cloud_keystore.config import Settings
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.people.callers import Callers
from cloud_keystore.rpc.connections.connections import Connections

log = structlog.get_logger()

TEND_SECONDS = 2.0
LONGEST_SECONDS = 10.0
SHARE = 0.02  # of the time
HURRY_SECONDS = 0.1
HURRY_SHARE = 0.1  # of the time, while many connections are made


@dataclass(slots=True)
class Tending:
    """Ends the connections that are too many, silent, or of removed identities."""

    callers: Callers | None  # None: none of the connections is of an identity
    settings: Settings
    connections: Connections
    # The threads of the use cases can all be busy, which is when this is needed.
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "tending"))
    _last: int | None = None  # entry of the journal

    async def keep_tending(self) -> None:
        """Tend until cancelled."""
        loop, took, ended = asyncio.get_running_loop(), 0.0, 0
        with suppress(KeystoreError):  # the first look begins from there then
            await loop.run_in_executor(self._thread, self._removed, ())
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
        if self.callers is None:
            return ()
        found = self.callers.removed(callers, self._last)
        self._last = found.last
        return found.certificates
