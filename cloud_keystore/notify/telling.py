"""Wake-ups of a process in which nobody waits: it passes them on to those that face the network,
and to other replicas.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from cloud_keystore.notify.siblings import EVERYBODY, Siblings
from cloud_keystore.notify.wakeups import Wake


class Telling:
    """Passes on wake-ups. Made in the event loop; `wake` can be called from any thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, siblings: Siblings) -> None:
        self._loop = loop
        self._siblings = siblings
        self.tell_others: Wake | None = None  # tells other replicas; called in the loop

    def wake(self, topics: Iterable[str]) -> None:
        """Wake whoever waits for one of the topics, in other processes and replicas."""
        named = frozenset(topics)
        self._siblings.tell(named)
        if self.tell_others is not None:
            with suppress(RuntimeError):  # the loop has closed
                self._loop.call_soon_threadsafe(self.tell_others, named)

    def wake_here(self, topics: Iterable[str]) -> None:
        """Pass on what another replica tells."""
        self._siblings.tell(topics)

    def wake_all(self) -> None:
        """Wake everybody, after wake-ups were perhaps missed."""
        self._siblings.tell([EVERYBODY])
