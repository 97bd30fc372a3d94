"""Steps of the wall clock are reported and not followed; drift is followed slowly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.steady_clock import SLEW, SteadyClock

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND


class Clocks:
    """A wall clock and a monotonic one that tests turn."""

    def __init__(self) -> None:
        self.wall = START
        self.monotonic = 5 * SECOND
        self.steps: list[timedelta] = []
        self.now = SteadyClock(lambda: self.wall, lambda: self.monotonic, self.steps.append)

    def pass_(self, seconds: float) -> None:
        self.wall += round(seconds * SECOND)
        self.monotonic += round(seconds * SECOND)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START // SECOND, UTC) + timedelta(seconds=seconds)


def test_it_goes_as_both_clocks_go() -> None:
    clocks = Clocks()
    assert clocks.now() == at(0)
    clocks.pass_(90.5)
    assert clocks.now() == at(90.5)
    assert clocks.steps == []


def test_a_step_in_either_direction_changes_nothing_and_is_told_once() -> None:
    for hours in (-3, 3):
        clocks = Clocks()
        clocks.wall += hours * 3600 * SECOND
        clocks.pass_(10)
        assert clocks.now() == at(10)
        clocks.pass_(10)
        assert clocks.now() == at(20)
        assert clocks.steps == [timedelta(hours=hours)]


def test_a_clock_that_is_set_right_again_is_told_of_too() -> None:
    clocks = Clocks()
    clocks.wall += 60 * SECOND
    clocks.now()
    clocks.wall -= 60 * SECOND
    clocks.pass_(1)
    assert clocks.now() == at(1)
    assert clocks.steps == [timedelta(minutes=1), timedelta(minutes=-1)]


def test_drift_is_followed_no_faster_than_a_time_server_slews() -> None:
    clocks = Clocks()
    clocks.wall += SECOND // 2
    clocks.pass_(100)
    assert clocks.now() == at(100.05)
    for _ in range(2000):
        clocks.pass_(1)
        clocks.now()
    assert clocks.now() == at(2100.5)
    assert clocks.steps == []


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(-(10**15), 10**15)), max_size=30))
def test_time_never_goes_back_nor_runs(turns: list[tuple[int, int]]) -> None:
    clocks = Clocks()
    before = clocks.now()
    for passed, stepped in turns:
        clocks.monotonic += passed
        clocks.wall += passed + stepped
        now = clocks.now()
        most = timedelta(microseconds=(passed + clocks.monotonic // SLEW) // 1000 + 2)
        assert before <= now <= before + most
        before = now
