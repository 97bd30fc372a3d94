"""The keystore's time where the machine's clock is set, corrected, or wrong from the start."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete
from structlog.testing import capture_logs

from cloud_keystore.model.clock import SLEW, SteadyClock
from cloud_keystore.model.errors import KeystoreError, OperationClosed, SessionClosed
from cloud_keystore.model.operations import DECISION_TIME, USE_TIME, State
from cloud_keystore.model.passcodes import PROOF_TIME
from cloud_keystore.model.people import User
from cloud_keystore.run.timekeeping import ClockBehind, check_clock, start_clock
from cloud_keystore.storage import tables
from cloudcard_tools.shared.processes import Nursery
from support.keystore_process import KeystoreProcess
from support.keystore_world import DATABASE, SESSIONS, TERMS, Enrolled, FakeClock, World, new_world

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
START = 1_800_000_000 * SECOND


@dataclass
class Machine:
    """A machine with a wall clock that can be set; calling `clock` tells the keystore's time."""

    wall: int = START
    monotonic: int = 5 * SECOND
    asleep: int = 0  # ns for which the process sleeps just before its next reading of the wall
    steps: list[timedelta] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SteadyClock(self._wall, lambda: self.monotonic, self.steps.append)

    def pass_time(self, nanoseconds: int, faster: int = 0) -> None:
        """Let time pass; `faster` is by how much the wall clock gains meanwhile."""
        self.monotonic += nanoseconds
        self.wall += nanoseconds + faster

    def ahead(self) -> timedelta:
        """How far the wall clock is ahead of the keystore's time."""
        return timedelta(microseconds=self.wall // 1000) - (self.clock() - EPOCH)

    def _wall(self) -> int:
        wall = self.wall
        slept, self.asleep = self.asleep, 0
        self.pass_time(slept)
        return wall


EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
MILLISECOND = timedelta(milliseconds=1)
passing = st.one_of(
    st.integers(0, 5_000), st.integers(0, 10 * SECOND), st.integers(0, DAY), st.just(0)
)
changes = st.one_of(
    st.just(0),
    st.integers(-2_000_000, 2_000_000),
    st.integers(-3 * SECOND, 3 * SECOND),
    st.integers(-400 * DAY, 400 * DAY),
)
sleeps = st.one_of(st.just(0), st.integers(0, 10 * SECOND))


@given(st.lists(st.tuples(passing, changes, sleeps), max_size=60))
def test_time_never_goes_back_and_never_runs_away(history: list[tuple[int, int, int]]) -> None:
    machine = Machine()
    started, begun = machine.clock(), machine.monotonic
    last, at = started, begun
    for passed, change, asleep in history:
        machine.pass_time(passed, change)
        machine.asleep = asleep
        now = machine.clock()
        assert now >= last
        for since, since_when in ((last, at), (started, begun)):
            passed_really = machine.monotonic - since_when
            off = (now - since) // timedelta(microseconds=1) * 1000 - passed_really
            assert abs(off) <= passed_really // SLEW + 2_000  # of rounding to microseconds
        last, at = now, machine.monotonic


@pytest.mark.parametrize("step", [-DAY, -2 * SECOND, 2 * SECOND, DAY])
def test_a_step_is_told_once_and_not_followed(step: int) -> None:
    machine = Machine()
    before = machine.clock()
    machine.pass_time(SECOND, step)
    for _ in range(100):
        machine.clock()
        machine.pass_time(SECOND)
    assert machine.clock() - before == timedelta(seconds=101)
    assert machine.steps == [timedelta(microseconds=step // 1000)]


def test_a_step_and_its_correction_are_two() -> None:
    machine = Machine()
    for step in (DAY, -DAY):
        machine.pass_time(SECOND, step)
        machine.clock()
    assert machine.steps == [timedelta(days=1), timedelta(days=-1)]
    assert machine.ahead() == timedelta(0)


@pytest.mark.parametrize("every", [SECOND // 100, SECOND, 3600 * SECOND])
@pytest.mark.parametrize("direction", [-1, 1])
def test_slow_corrections_are_followed(every: int, direction: int) -> None:
    machine = Machine()
    for _ in range(max(2, min(3600, 7200 * SECOND // every))):
        machine.pass_time(every, direction * every // SLEW)
        assert abs(machine.ahead()) < MILLISECOND
    assert machine.steps == []


def test_corrections_go_on_after_a_step() -> None:
    machine = Machine()
    machine.pass_time(SECOND, DAY)
    machine.clock()
    for _ in range(600):
        machine.pass_time(SECOND, 400_000)
    assert abs(machine.ahead() - timedelta(days=1)) < MILLISECOND


def test_less_than_a_step_is_made_up_little_by_little() -> None:
    machine = Machine()
    machine.pass_time(SECOND, 9 * SECOND // 10)
    assert machine.ahead() > timedelta(milliseconds=899)
    machine.pass_time(1800 * SECOND)
    assert abs(machine.ahead()) < MILLISECOND
    assert machine.steps == []


def test_many_small_steps_are_told_too() -> None:
    machine = Machine()
    for _ in range(4):
        machine.pass_time(SECOND, -9 * SECOND // 10)
        machine.clock()
    assert len(machine.steps) == 2
    assert sum(machine.steps, timedelta()) < timedelta(seconds=-3)


def test_a_process_that_slept_between_two_readings_sees_no_step() -> None:
    machine = Machine()
    machine.asleep = 3600 * SECOND
    machine.clock()
    assert machine.ahead() == timedelta(0)
    assert machine.steps == []


def test_this_machines_clock_goes_on() -> None:
    clock = start_clock()
    with capture_logs() as logs:
        times = [clock() for _ in range(1000)]
    assert times == sorted(times)
    assert abs(times[-1] - datetime.now(times[-1].tzinfo)) < timedelta(seconds=2)
    assert logs == []


@dataclass
class MachinesClock(FakeClock):
    """The keystore's clock on a machine whose own is set by tests."""

    machine: Machine = field(default_factory=Machine)

    def __call__(self) -> datetime:
        return self.machine.clock()

    def forward(self, **time: float) -> None:
        self.machine.pass_time(timedelta(**time) // timedelta(microseconds=1) * 1000)

    def step(self, nanoseconds: int) -> None:
        """Set the machine's clock."""
        self.machine.pass_time(0, nanoseconds)


@pytest.fixture
def clock() -> MachinesClock:
    return MachinesClock()


@pytest.fixture
def stepped(tmp_path: Path, new_keystore: Path, clock: MachinesClock) -> Iterator[World]:
    """A keystore on a machine whose clock can be set."""
    shutil.copy(new_keystore, tmp_path / DATABASE)
    world = new_world(tmp_path, clock=clock)
    yield world
    world.database.close()


@pytest.mark.parametrize("step", [-DAY, DAY])
class TestSteps:
    """What waits or lives while the machine's clock is set, forward or back."""

    def test_what_lives_goes_on(self, stepped: World, clock: MachinesClock, step: int) -> None:
        user, phone, pc, serial = people(stepped)
        session, proof = stepped.session(serial, pc, phone), stepped.proof(serial, pc)
        approved = stepped.ask(stepped.card(user), pc)
        assert stepped.decide(approved, phone) is State.APPROVED
        asked = stepped.ask(serial, pc, proof=proof)
        clock.step(step)
        stepped.sweep()
        assert stepped.decide(asked, phone) is State.APPROVED
        assert stepped.perform(asked, pc)
        assert stepped.perform(approved, pc)
        assert stepped.use(session, pc)
        assert stepped.ask(serial, pc, proof=proof)
        assert len(clock.machine.steps) == 1

    def test_what_ends_ends_in_time(self, stepped: World, clock: MachinesClock, step: int) -> None:
        user, phone, pc, serial = people(stepped)
        session, proof = stepped.session(serial, pc, phone), stepped.proof(serial, pc)
        approved = stepped.ask(stepped.card(user), pc)
        stepped.decide(approved, phone)
        asked = stepped.ask(serial, pc)
        clock.forward(seconds=USE_TIME.total_seconds() - 1)
        clock.step(step)
        clock.forward(seconds=2)
        with pytest.raises(OperationClosed, match="expired"):
            stepped.perform(approved, pc)
        clock.forward(seconds=DECISION_TIME.total_seconds())
        assert stepped.state(asked) is State.EXPIRED
        with pytest.raises(OperationClosed, match="expired"):
            stepped.decide(asked, phone)
        clock.forward(seconds=TERMS.time.total_seconds())
        with pytest.raises(SessionClosed):
            stepped.use(session, pc)
        clock.forward(seconds=PROOF_TIME.total_seconds())
        with pytest.raises(KeystoreError, match="passcode"):
            stepped.ask(serial, pc, proof=proof)

    def test_what_has_ended_stays_so(self, stepped: World, clock: MachinesClock, step: int) -> None:
        user, phone, pc, serial = people(stepped)
        session, approved = (
            stepped.session(serial, pc, phone),
            stepped.ask(stepped.card(user), pc),
        )
        stepped.decide(approved, phone)
        clock.forward(seconds=TERMS.time.total_seconds() + 1)
        clock.step(step)  # before anybody has noted that they ended
        with pytest.raises(OperationClosed, match="expired"):
            stepped.perform(approved, pc)
        with pytest.raises(SessionClosed):
            stepped.use(session, pc)


def people(world: World) -> tuple[User, Enrolled, Enrolled, str]:
    """A holder, a phone, a workstation and a card whose policy allows sessions."""
    user, phone = world.user()
    world.set_policy(SESSIONS)
    return user, phone, world.workstation(), world.card(user)


class TestStart:
    """A machine whose clock is behind what the database knows."""

    def test_times_to_come_are_refused(self, world: World) -> None:
        user, _ = world.user()
        now = world.clock()
        world.card(user)
        check_clock(world.database, now)
        check_clock(world.database, now - timedelta(seconds=59))  # a replica's is never the same
        with pytest.raises(ClockBehind, match="set the clock right"):
            check_clock(world.database, now - timedelta(seconds=61))

    def test_operations_count_without_a_journal(self, world: World) -> None:
        user, _ = world.user()
        serial, pc = world.card(user), world.workstation()
        for _ in range(3):
            world.clock.forward(minutes=10)
            world.ask(serial, pc)
        with world.database.write() as connection:
            connection.execute(delete(tables.journal))
        with pytest.raises(ClockBehind):
            check_clock(world.database, world.clock() - timedelta(minutes=5))

    def test_a_new_database_knows_no_time(self, world: World) -> None:
        check_clock(world.database, EPOCH)
        world.user()
        with pytest.raises(ClockBehind):
            check_clock(world.database, EPOCH)

    def test_serve_says_what_to_do(self, tmp_path: Path) -> None:
        with Nursery(tmp_path / "logs") as nursery:
            keystore = KeystoreProcess(tmp_path, nursery)
            keystore.holder("Ada")
            keystore.child.stop()
            database = tmp_path / "keystore" / "keystore.db"
            hour = 3600 * 1_000_000
            shift(database, hour)
            keystore.child = nursery.restart("keystore")
            assert keystore.child.wait(timeout=60) == 1
            said = keystore.child.tail()
            assert "set the clock right and start anew" in said
            assert "Traceback" not in said
            shift(database, -hour)
            keystore.restart()


def shift(database: Path, microseconds: int) -> None:
    """Move all times of the journal."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE journal SET time = time + ?", (microseconds,))
