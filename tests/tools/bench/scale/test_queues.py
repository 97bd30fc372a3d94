"""Simulated queues are as long as theory says, and locks and disks serve in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import factorial
from random import Random

import pytest

from cloudcard_tools.bench.scale.queues import Clock, Cores, Disk, Lock, Thread

ARRIVALS = 60_000
SERVICE = 0.001  # seconds, in the mean
SEED = 7


def mean_wait(count: int, load: float, service: Callable[[Random], float]) -> float:
    """The mean seconds that work waits for one of so many processors."""
    clock, chance = Clock(), Random(SEED)
    cores, waits = Cores(clock, count), list[float]()
    rate = load * count / SERVICE

    def come() -> None:
        began, seconds = clock.now, service(chance)
        cores.work("work", seconds, lambda: waits.append(clock.now - began - seconds))
        if len(waits) < ARRIVALS:
            clock.after(chance.expovariate(rate), come)

    come()
    clock.run(1e9)
    return sum(waits) / len(waits)


def erlang_c(count: int, load: float) -> float:
    """The mean wait in an M/M/c queue (Erlang's C formula)."""
    offered = load * count
    waiting = offered**count / factorial(count) / (1 - load)
    probability = waiting / (sum(offered**n / factorial(n) for n in range(count)) + waiting)
    return probability * SERVICE / (count * (1 - load))


@pytest.mark.parametrize(("count", "load"), [(1, 0.5), (1, 0.7), (4, 0.7)])
def test_exponential_service_waits_as_long_as_in_an_m_m_c_queue(count: int, load: float) -> None:
    waited = mean_wait(count, load, lambda chance: chance.expovariate(1 / SERVICE))
    assert waited == pytest.approx(erlang_c(count, load), rel=0.05)


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_constant_service_waits_as_long_as_in_an_m_d_1_queue(load: float) -> None:
    """Pollaczek and Khinchine's formula, without variance of the service."""
    assert mean_wait(1, load, lambda _: SERVICE) == pytest.approx(
        load * SERVICE / (2 * (1 - load)), rel=0.05
    )


def noting(clock: Clock, notes: list[tuple[str, float]], name: str) -> Callable[[], None]:
    return lambda: notes.append((name, round(clock.now, 9)))


def test_what_happens_at_the_same_time_keeps_its_order() -> None:
    clock, notes = Clock(), list[tuple[str, float]]()
    for name in "abc":
        clock.after(1, noting(clock, notes, name))
    clock.after(3, noting(clock, notes, "late"))
    clock.run(2)
    assert notes == [("a", 1), ("b", 1), ("c", 1)]
    assert clock.now == 2


def test_a_thread_uses_one_core_however_many_are_free() -> None:
    clock, notes = Clock(), list[tuple[str, float]]()
    cores = Cores(clock, 4)
    thread = Thread(cores, "front")
    for name in "ab":
        thread.work(2, noting(clock, notes, name))
    cores.work("other", 3, noting(clock, notes, "other"))
    clock.run(10)
    assert notes == [("a", 2), ("other", 3), ("b", 4)]
    assert cores.spent == {"front": 4, "other": 3}
    assert cores.utilisation(10) == pytest.approx(7 / 40)


class Held:
    """A lock, who has had it, and when."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lock = Lock(self.clock)
        self.notes: list[tuple[str, float]] = []

    def ask(self, at: float, name: str, seconds: float) -> None:
        """Ask at a time, and hold for some seconds; a capital letter asks for it alone."""

        def got() -> None:
            self.notes.append((name, self.clock.now))
            self.clock.after(seconds, self.lock.leave)

        take = partial(self.lock.take, name) if name.isupper() else self.lock.share
        self.clock.after(at, partial(take, got))


def test_those_who_share_a_lock_wait_behind_one_who_wants_it_alone() -> None:
    held = Held()
    for at, name, seconds in [(0, "a", 4), (1, "b", 1), (2, "W", 3), (3, "c", 1), (3, "d", 5)]:
        held.ask(at, name, seconds)
    held.clock.run(20)
    assert held.notes == [("a", 0), ("b", 1), ("W", 4), ("c", 7), ("d", 7)]
    assert held.lock.alone == {"W": 3}
    assert held.lock.shut == 5  # since W waits, until W has left


def test_one_alone_at_a_time() -> None:
    held = Held()
    for name in "VWX":
        held.ask(0, name, 2)
    held.clock.run(5)
    assert held.notes == [("V", 0), ("W", 2), ("X", 4)]
    assert held.lock.shut == 5  # X has it still


def test_commits_that_come_while_the_disk_writes_go_together() -> None:
    clock, notes = Clock(), list[tuple[str, float]]()
    disk = Disk(clock, 2)
    for at, name in [(0, "a"), (0.5, "b"), (1, "c"), (9, "d")]:
        clock.after(at, partial(disk.commit, noting(clock, notes, name)))
    clock.run(20)
    assert notes == [("a", 2), ("b", 4), ("c", 4), ("d", 11)]
    assert disk.busy == 6
