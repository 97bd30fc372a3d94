"""Limits of how fast one caller may call, and of how many calls may wait; a call beyond them is
refused before any work.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import ParamSpec, TypeVar

from prometheus_client import Gauge

from cloud_keystore.model.errors import Overloaded, TooManyCalls
from cloud_keystore.model.limits import Limits
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.rpc.connections.begun import Begun
from cloud_keystore.rpc.connections.connections import Connections
from cloud_keystore.rpc.connections.heard import Heard

P = ParamSpec("P")
R = TypeVar("R")

MOST_CALLERS = 10_000  # remembered at once; the caller silent for longest is forgotten first
STREAM_SECONDS = 5.0  # after which a caller may ask for a stream again


@dataclass(slots=True)
class Buckets:
    """A token bucket for each caller: `burst` calls at once, and `per_second` in the long run. Used
    from one thread.
    """

    per_second: float
    burst: float
    monotonic: Callable[[], float]
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)

    def admit(self, caller: Hashable) -> None:
        """Count one call; raises TooManyCalls, with the time to wait, if there is none left."""
        now = self.monotonic()
        level, since = self._buckets.pop(caller, (self.burst, now))
        level = min(self.burst, level + (now - since) * self.per_second)
        allowed = level >= 1
        self._buckets[caller] = (level - 1 if allowed else level, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyCalls(
                "too many calls: wait a few seconds, then go slower",
                retry_seconds=(1 - level) / self.per_second,
            )


@dataclass(slots=True)
class Places:
    """Places of what waits: so many for one caller, and for all together. Used from one thread."""

    what: str
    of_one: int
    of_all: int
    metrics: Metrics
    gauge: Gauge
    _taken: Counter[Hashable] = field(default_factory=Counter)  # by caller
    _all: int = 0

    def take(self, caller: Hashable) -> None:
        """Take a place; raises TooManyCalls or Overloaded if there is none."""
        if self._taken[caller] >= self.of_one:
            self.metrics.limited(f"{self.what} of one")
            raise TooManyCalls(f"too many {self.what} are open: close some", STREAM_SECONDS)
        if self._all >= self.of_all:
            self.metrics.limited(self.what)
            raise Overloaded(f"the keystore holds as many {self.what} as it can", STREAM_SECONDS)
        self._taken[caller] += 1
        self._all += 1
        self.gauge.inc()

    def give_back(self, caller: Hashable) -> None:
        """Give a place back."""
        self.gauge.dec()
        self._all -= 1
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]


class Limiter:
    """All limits of a process. Used from its event loop."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float], metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics
        self.message_seconds = limits.message_seconds
        self._buckets = {
            name: Buckets(rate.per_second, rate.burst, monotonic)
            for name, rate in limits.rates.items()
        }
        self._streams = Places(
            "streams", limits.streams_of_one, limits.streams, metrics, metrics.streams
        )
        self.watched = Places(
            "watched operations", limits.watched_of_one, limits.watched, metrics, metrics.watched
        )
        self._under_way = 0
        self.looks = asyncio.Semaphore(limits.looks)
        # Of these, at which nothing has woken anybody: one at a time, so that no news wait for them
        self.routine = asyncio.Semaphore(1)
        self.connections = Connections(limits, monotonic)
        self.begun = Begun(limits, metrics)
        self.heard = Heard(monotonic)

    def admit(self, name: str, caller: Hashable) -> None:
        """Count one call against a limit of the table; raises TooManyCalls."""
        try:
            self._buckets[name].admit(caller)
        except TooManyCalls:
            self._metrics.limited(name)
            raise

    @contextmanager
    def call(self) -> Iterator[None]:
        """Hold a place for a call or a stream; raises Overloaded if there is none."""
        if self._under_way >= self._limits.under_way:
            self._metrics.limited("under way")
            raise Overloaded("the keystore holds as many calls as it can", STREAM_SECONDS)
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    @contextmanager
    def stream(self, caller: Hashable) -> Iterator[None]:
        """Hold a place for a stream; raises TooManyCalls or Overloaded if there is none."""
        self._streams.take(caller)
        try:
            yield
        finally:
            self._streams.give_back(caller)


class Workers(ThreadPoolExecutor):
    """The threads on which use cases run: the event loop's executor, with a bounded queue."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits.threads, "use-case")
        self._places = BoundedSemaphore(limits.threads + limits.calls)

    def submit(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Queue a call; raises Overloaded if the queue is full."""
        if not self._places.acquire(blocking=False):
            raise Overloaded("the keystore has more to do than it can: try again")
        try:
            future = super().submit(call, *args, **kwargs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(lambda _: self._places.release())
        return future
