"""Wakes coroutines that wait for a change, from whichever thread made it.

Only a hint: who is woken reads the row. So a wake-up too many costs a query, and one too few a
poll.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from cloud_keystore.model.errors import Stopping

WOKEN_PER_SECOND = 2000  # of all, when something may have been missed

Wake: TypeAlias = Callable[[Iterable[str]], None]  # what use cases are given


class Wakeups:
    """Topics are ids of operations and users. Made and waited on in one event loop; `wake` is for
    any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = asyncio.Event()
        self.tell_others: Wake | None = None  # processes; called in the loop

    def wake(self, topics: Iterable[str]) -> None:
        """Wake all who wait for one of the topics."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake, frozenset(topics))

    def wake_own(self, topics: Iterable[str]) -> None:
        """Wake those of this process alone, from any thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self.wake_here, frozenset(topics))

    def subscribe(self, topic: str) -> Subscription:
        """Start listening; wake-ups from now on are not missed."""
        return Subscription(topic, self._waiting, self._closed)

    def wake_here(self, topics: Iterable[str]) -> None:
        """Wake those of this process; called in its loop."""
        for topic in self._waiting.keys() & frozenset(topics):
            for event in self._waiting[topic]:
                event.set()

    def wake_all(self) -> None:
        """Wake all of this process, which may have missed something; called in its loop.

        One after the other: each looks at its row, and thousands at once would be refused.
        """
        for number, event in enumerate(self._everybody()):
            self._loop.call_later(number / WOKEN_PER_SECOND, event.set)

    def close(self) -> None:
        """End all waiting, now and from now on, with Stopping; called in the loop."""
        self._closed.set()
        for event in self._everybody():
            event.set()

    def _everybody(self) -> list[asyncio.Event]:
        return [event for events in self._waiting.values() for event in events]

    def _wake(self, topics: frozenset[str]) -> None:
        self.wake_here(topics)
        if self.tell_others is not None:
            self.tell_others(topics)


class Subscription:
    """One waiter for one topic, as a context manager."""

    def __init__(
        self,
        topic: str,
        waiting: defaultdict[str, set[asyncio.Event]],
        closed: asyncio.Event,
    ) -> None:
        self._topic = topic
        self._waiting = waiting
        self._closed = closed
        self._event = asyncio.Event()

    def __enter__(self) -> Subscription:
        self._waiting[self._topic].add(self._event)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting[self._topic].discard(self._event)
        if not self._waiting[self._topic]:
            del self._waiting[self._topic]

    async def wait(self, seconds: float) -> None:
        """Return at the next wake-up, or after `seconds`; raises Stopping once there are none."""
        if not self._closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):  # without a task of its own: there are many
                    await self._event.wait()
        self._event.clear()
        if self._closed.is_set():
            raise Stopping("this process of the keystore stops: another one goes on")
