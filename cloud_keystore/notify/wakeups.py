"""Wakes coroutines that wait for a change; any thread can report the change.

Wake-ups are hints: a woken coroutine reads the row. A needless wake-up only costs a query, and a
missing one a poll.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from cloud_keystore.model.errors import Stopping

WOKEN_PER_SECOND = 2000  # when all are woken, because a wake-up was perhaps missed

Wake: TypeAlias = Callable[[Iterable[str]], None]  # the form in which use cases get `Wakeups.wake`


class Wakeups:
    """Wakes coroutines by topic, which is the id of an operation or a user. Made and waited on in
    one event loop; `wake` can be called from any thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._closed = asyncio.Event()
        self.tell_others: Wake | None = None  # tells other processes; called in the loop

    def wake(self, topics: Iterable[str]) -> None:
        """Wake all coroutines that wait for one of the topics, also in other processes."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake, frozenset(topics))

    def wake_own(self, topics: Iterable[str]) -> None:
        """Wake coroutines of this process only; called from any thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self.wake_here, frozenset(topics))

    def subscribe(self, topic: str) -> Subscription:
        """Start listening; wake-ups from now on are not missed."""
        return Subscription(topic, self._waiting, self._closed)

    def wake_here(self, topics: Iterable[str]) -> None:
        """Wake coroutines of this process only; called in its loop."""
        for topic in self._waiting.keys() & frozenset(topics):
            for event in self._waiting[topic]:
                event.set()

    def wake_all(self) -> None:
        """Wake all coroutines of this process, after wake-ups were perhaps missed; called in its
        loop.

        They are woken one after the other: each reads its row, and of thousands at the same time
        many would be refused.
        """
        for number, event in enumerate(self._everybody()):
            self._loop.call_later(number / WOKEN_PER_SECOND, event.set)

    def close(self) -> None:
        """Make all present and future waits raise Stopping; called in the loop."""
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
        """Return at the next wake-up, or after `seconds`; raises Stopping after `close`."""
        if not self._closed.is_set():
            with suppress(TimeoutError):
                # Unlike wait_for of Python 3.11, this makes no task: there are many waits.
                async with asyncio.timeout(seconds):
                    await self._event.wait()
        self._event.clear()
        if self._closed.is_set():
            raise Stopping("this process of the keystore stops: another one goes on")
