"""Calls that have begun and have not brought their message yet: how many one caller can have, and
for how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from cloud_keystore.model.errors import MessageOverdue, TooManyCalls
from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics

M = TypeVar("M")

BACK_SECONDS = 5.0  # after which a caller who has too many may begin another call


@dataclass(slots=True, eq=False)
class Waiting:
    """A call whose message is awaited."""

    task: asyncio.Task[object] | None
    since: float  # of the event loop
    is_overdue: bool = False


@dataclass(slots=True)
class Begun:
    """The calls of one process. Used from its event loop."""

    limits: Limits
    metrics: Metrics
    _waiting: dict[Waiting, None] = field(default_factory=dict)  # oldest first
    _of_one: dict[Hashable, int] = field(default_factory=dict)
    _timer: asyncio.TimerHandle | None = None  # one for all: each call has the same time

    async def message(self, caller: Hashable, reading: Coroutine[object, object, M]) -> M:
        """The message that `reading` gives. Raises TooManyCalls if the caller has too many calls
        without one, and MessageOverdue if it does not come in time.
        """
        begun = self._of_one.get(caller, 0)
        if begun >= self.limits.begun_of_one:
            reading.close()
            self.metrics.limited("begun")
            raise TooManyCalls("too many calls have begun and bring no message", BACK_SECONDS)
        self._of_one[caller] = begun + 1
        waiting = Waiting(asyncio.current_task(), asyncio.get_running_loop().time())
        self._waiting[waiting] = None
        if self._timer is None:
            self._time()
        try:
            return await reading
        except asyncio.CancelledError:
            if not waiting.is_overdue or waiting.task is None:
                raise
            waiting.task.uncancel()
            self.metrics.limited("message")
            raise MessageOverdue(
                f"no message came within {self.limits.message_seconds:g} seconds: call again"
            ) from None
        finally:
            del self._waiting[waiting]
            left = self._of_one.pop(caller) - 1
            if left:
                self._of_one[caller] = left

    def _time(self) -> None:
        """Look again when the oldest call is overdue."""
        oldest = next(iter(self._waiting), None)
        self._timer = None
        if oldest is not None:
            when = oldest.since + self.limits.message_seconds
            self._timer = asyncio.get_running_loop().call_at(when, self._end)

    def _end(self) -> None:
        """End the calls that are overdue."""
        last = asyncio.get_running_loop().time() - self.limits.message_seconds
        for each in self._waiting:
            if each.since > last:
                break
            if each.task is not None and not each.is_overdue:
                each.is_overdue = True
                each.task.cancel()
        self._time()
