"""Wakes coroutines that wait for a change; any thread can report the change.

Wake-ups are hints: a woken coroutine reads the row. A needless wake-up only costs a query, and a
missing one a poll.
"""

from __future__ import annotations

import asyncio
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
        self.listening: dict[str, tuple[Subscription, ...]] = {}  # by topic
        self.is_closed = False
        self.tell_others: Wake | None = None  # tells other processes; called in the loop

    def wake(self, topics: Iterable[str]) -> None:
        """Wake all coroutines that wait for one of the topics, also in other processes."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self._wake, frozenset(topics))

    def wake_own(self, topics: Iterable[str]) -> None:
        """Wake coroutines of this process only; called from any thread."""
        with suppress(RuntimeError):  # the loop has closed: nobody waits
            self._loop.call_soon_threadsafe(self.wake_here, frozenset(topics))

    def subscribe(self, *topics: str) -> Subscription:
        """What waits for topics from when it is entered on; wake-ups are not missed then."""
        return Subscription(topics, self)

    def wake_here(self, topics: Iterable[str]) -> None:
        """Wake coroutines of this process only; called in its loop."""
        for topic in self.listening.keys() & frozenset(topics):
            for each in self.listening[topic]:
                each.wake((topic,))

    def wake_all(self) -> None:
        """Wake all coroutines of this process, after wake-ups were perhaps missed; called in its
        loop.

        They are woken one after the other: each reads its rows, and of thousands at the same time
        many would be refused.
        """
        number = 0
        for each in self._everybody():
            self._loop.call_later(number / WOKEN_PER_SECOND, each.wake, each.topics)
            number += len(each.topics)

    def close(self) -> None:
        """Make all present and future waits raise Stopping; called in the loop."""
        self.is_closed = True
        for each in self._everybody():
            each.wake()

    def _everybody(self) -> Iterable[Subscription]:
        return dict.fromkeys(each for some in self.listening.values() for each in some)

    def _wake(self, topics: frozenset[str]) -> None:
        self.wake_here(topics)
        if self.tell_others is not None:
            self.tell_others(topics)


class Subscription:
    """One waiter, for one topic or thousands, as a context manager. There are many, so each has
    little: a future and a timer while it waits, and no event, whose queue alone has 600 bytes. A
    further topic takes a place in two tables.
    """

    __slots__ = ("_alone", "_first", "_is_woken", "_waiter", "_wakeups", "topics", "woken")

    def __init__(self, first: Iterable[str], wakeups: Wakeups) -> None:
        self._first = first
        self._wakeups = wakeups
        self._waiter: asyncio.Future[None] | None = None
        self._is_woken = False
        self._alone: tuple[Subscription, ...] = ()  # one for all topics that have no other waiter
        self.topics: set[str] = set()
        self.woken: set[str] = set()  # topics, until somebody takes them out

    def __enter__(self) -> Subscription:
        self._alone = (self,)
        for topic in self._first:
            self.add(topic)
        return self

    def __exit__(self, *_: object) -> None:
        for topic in tuple(self.topics):
            self.discard(topic)
        self._alone = ()

    def add(self, topic: str) -> None:
        """Wait for this topic too; wake-ups from now on are not missed."""
        if topic not in self.topics:
            self.topics.add(topic)
            listening = self._wakeups.listening
            others = listening.get(topic)
            listening[topic] = self._alone if others is None else (*others, self)

    def discard(self, topic: str) -> None:
        """Wait for this topic no longer."""
        if topic in self.topics:
            self.topics.remove(topic)
            self.woken.discard(topic)
            listening = self._wakeups.listening
            listening[topic] = tuple(each for each in listening[topic] if each is not self)
            if not listening[topic]:
                del listening[topic]

    def wake(self, topics: Iterable[str] = ()) -> None:
        """End the present wait, or the next one, because of some topics."""
        self.woken.update(topics)
        self._is_woken = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, seconds: float) -> None:
        """Return at the next wake-up, or after `seconds`; raises Stopping after `close`."""
        if not self._is_woken and not self._wakeups.is_closed:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(seconds, self.wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self._is_woken = False
        if self._wakeups.is_closed:
            raise Stopping("this process of the keystore stops: another one goes on")
