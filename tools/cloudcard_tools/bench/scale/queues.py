"""What work waits for: a simulated clock, and processors, threads, locks and disks in its time.

All times are in seconds. Whoever waits gives the function that goes on afterwards.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

Then: TypeAlias = Callable[[], None]


class Clock:
    """The simulated time, and what happens in it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._coming: list[tuple[float, int, Then]] = []
        self._number = 0

    def after(self, seconds: float, then: Then) -> None:
        """Have something happen later. What happens at the same time keeps its order."""
        self._number += 1
        heapq.heappush(self._coming, (self.now + seconds, self._number, then))

    def run(self, until: float) -> None:
        """Let everything happen until this time."""
        while self._coming and self._coming[0][0] <= until:
            self.now, _, then = heapq.heappop(self._coming)
            then()
        self.now = until


@dataclass(slots=True)
class Cores:
    """Processors that take work in the order in which it comes, each to its end."""

    clock: Clock
    count: int
    spent: Counter[str] = field(default_factory=Counter)  # seconds, by whose work it was
    _busy: int = 0
    _waiting: deque[tuple[float, Then]] = field(default_factory=deque)

    def work(self, whose: str, seconds: float, then: Then) -> None:
        """Work as soon as a processor is free, then go on."""
        self.spent[whose] += seconds  # type: ignore[assignment]  # typeshed counts in whole numbers
        if self._busy < self.count:
            self._busy += 1
            self.clock.after(seconds, partial(self._done, then))
        else:
            self._waiting.append((seconds, then))

    def _done(self, then: Then) -> None:
        if self._waiting:
            seconds, following = self._waiting.popleft()
            self.clock.after(seconds, partial(self._done, following))
        else:
            self._busy -= 1
        then()

    def utilisation(self, seconds: float) -> float:
        """The share of a time in which they worked."""
        return sum(self.spent.values()) / (seconds * self.count)


@dataclass(slots=True)
class Thread:
    """One thread of a program: it does one thing after the other, on any of a computer's cores."""

    cores: Cores
    whose: str
    _busy: bool = False
    _waiting: deque[tuple[float, Then]] = field(default_factory=deque)

    def work(self, seconds: float, then: Then) -> None:
        """Work when all that came before is done, then go on."""
        self._waiting.append((seconds, then))
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            seconds, then = self._waiting.popleft()
            self.cores.work(self.whose, seconds, partial(self._done, then))

    def _done(self, then: Then) -> None:
        then()
        self._next()


@dataclass(slots=True)
class Lock:
    """A lock that one writer holds alone, or several share. Whoever comes first gets it first, so
    that those who would share it wait behind one who wants it alone.
    """

    clock: Clock
    alone: Counter[str] = field(default_factory=Counter)  # seconds for which each has held it alone
    _sharing: int = 0
    _holder: str = ""
    _since: float = 0.0
    _shut: float | None = None  # since when nobody can begin to share it
    _was_shut: float = 0.0
    _waiting: deque[tuple[str, Then]] = field(default_factory=deque)  # no name: to share it

    def take(self, who: str, then: Then) -> None:
        """Get the lock alone, then go on."""
        self._waiting.append((who, then))
        self._grant()

    def share(self, then: Then) -> None:
        """Get the lock beside others, then go on."""
        self._waiting.append(("", then))
        self._grant()

    def leave(self) -> None:
        """Give it back."""
        if self._holder:
            self.alone[self._holder] += self.clock.now - self._since  # type: ignore[assignment]
            self._holder = ""
        else:
            self._sharing -= 1
        self._grant()

    def _grant(self) -> None:
        given: list[Then] = []
        while self._waiting and not self._holder:
            who, then = self._waiting[0]
            if who and self._sharing:
                break
            self._waiting.popleft()
            self._holder, self._since = who, self.clock.now
            self._sharing += not who
            given.append(then)
        self._note(shut=bool(self._holder or self._waiting))
        for then in given:
            then()

    def _note(self, *, shut: bool) -> None:
        if shut and self._shut is None:
            self._shut = self.clock.now
        elif not shut and self._shut is not None:
            self._was_shut += self.clock.now - self._shut
            self._shut = None

    @property
    def shut(self) -> float:
        """The seconds in which nobody could begin to share it."""
        return self._was_shut + (0.0 if self._shut is None else self.clock.now - self._shut)


@dataclass(slots=True)
class Disk:
    """A disk with a write-ahead log: commits that come while it writes are written together."""

    clock: Clock
    seconds: float  # until what it writes is durable
    busy: float = 0.0
    _writing: bool = False
    _waiting: list[Then] = field(default_factory=list)

    def commit(self, then: Then) -> None:
        """Be durable, then go on."""
        self._waiting.append(then)
        if not self._writing:
            self._write()

    def _write(self) -> None:
        self._writing = bool(self._waiting)
        if self._writing:
            together, self._waiting = self._waiting, []
            self.busy += self.seconds
            self.clock.after(self.seconds, partial(self._written, together))

    def _written(self, together: list[Then]) -> None:
        for then in together:
            then()
        self._write()
