"""Any order of calls by anybody, with crashes at every commit, racers and clocks that jump: never
more uses than were approved, and none without.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from card_os.uses import KeyUse
from cloud_keystore.custody.backends.keys import Keys
from cloud_keystore.custody.use.activation import Performed
from cloud_keystore.custody.use.using_sessions import Used
from cloud_keystore.model.cards import HeldKey
from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.operations import Decision, Operation, State
from cloud_keystore.model.policies import SessionTerms
from cloud_keystore.model.sessions import Session, inputs_sha256
from cloud_keystore.storage import operations, session_uses, tables
from support.crashing import Crash, crashing
from support.keystore_world import DATABASE, OPERATOR, SESSIONS, Enrolled, World, new_world

pytestmark = pytest.mark.timeout(600)  # games take minutes on a busy computer

AN_HOUR = timedelta(hours=1)
# Most of the time nothing happens, or the steps after would find nothing to do.
CRASHES = st.sampled_from([*[None] * 12, *range(1, 13)])
SELDOM = st.sampled_from([False, False, False, True])


class Counting:
    """How often any private key was used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.uses = 0

    def count(self, inputs: Sequence[bytes]) -> None:
        with self._lock:
            self.uses += len(inputs)


COUNTING = Counting()


class CountedKeys(Keys):
    """Counts the uses of keys before they happen."""

    def use(self, key: HeldKey, key_use: KeyUse, inputs: Sequence[bytes]) -> list[bytes]:
        COUNTING.count(inputs)
        return super().use(key, key_use, inputs)


def counted(folder: Path) -> World:
    """A keystore whose uses of private keys are counted."""
    world = new_world(folder)
    custody = CountedKeys(world.custody.backends, world.custody.new)
    world.activation = replace(world.activation, custody=custody)
    world.sessions = replace(world.sessions, custody=custody)
    return world


@cache
def new_keystore() -> Path:
    """The database of a keystore that has just been made; every run begins with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="cloudcard-machine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    new_world(folder).database.close()
    return folder / DATABASE


class Keystore(RuleBasedStateMachine):
    """Against a model: what was approved, how often a key was used for it, and what came out."""

    asked = Bundle("asked")
    opened = Bundle("opened")
    uses = Bundle("uses")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cloudcard-machine-"))
        shutil.copy(new_keystore(), self.folder)
        self.world: World = counted(self.folder)
        self.approved: set[str] = set()
        self.results: dict[str, tuple[bytes, ...]] = {}  # by operation
        self.results_of_uses: dict[str, tuple[bytes, ...]] = {}
        self.made: Counter[str] = Counter()  # how often a key was used, by operation or session
        self.allowed: dict[str, int] = {}  # how often it may be
        self.ended: set[str] = set()  # sessions

    @initialize()
    def people(self) -> None:
        user, self.phone = self.world.user()
        self.mallory = self.world.user("Mallory")[1]
        self.pc, self.other_pc = self.world.workstation(), self.world.workstation("PC2")
        self.serial = self.world.card(user)
        self.world.set_policy(replace(SESSIONS, largest_batch=3))

    @rule(
        target=asked,
        data=st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=3),
        at_other=st.booleans(),
        session=st.none() | st.builds(SessionTerms, st.integers(1, 4), st.just(AN_HOUR)),
    )
    def ask(
        self, data: list[bytes], at_other: bool, session: SessionTerms | None
    ) -> tuple[Operation, list[bytes]] | None:
        workstation = self.other_pc if at_other else self.pc
        inputs = [] if session else data
        try:
            made = self.world.ask(self.serial, workstation, *inputs, session=session)
        except KeystoreError:
            return None
        self.allowed[made.id] = session.most_uses if session else len(inputs)
        return made, inputs

    @rule(
        target=asked,
        data=st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=3),
        at_other=st.booleans(),
        racers=st.sampled_from([1, 3]),
        crash=CRASHES,
    )
    def ask_and_perform(
        self, data: list[bytes], at_other: bool, racers: int, crash: int | None
    ) -> tuple[Operation, list[bytes]] | None:
        """The usual way, which luck alone rarely takes."""
        made = self.ask(data, at_other, None)
        self.decide(made, approve=True, right=True, by_mallory=False)
        if racers > 1:
            self.race(made, racers)
        else:
            self.perform(made, foreign_input=False, elsewhere=False, crash=crash)
        return made

    @rule(
        target=opened,
        at_other=st.booleans(),
        most_uses=st.integers(1, 4),
        uses=st.lists(st.tuples(st.integers(1, 2), st.sampled_from([1, 3]), CRASHES), max_size=5),
    )
    def open_and_use(
        self, at_other: bool, most_uses: int, uses: list[tuple[int, int, int | None]]
    ) -> Session | None:
        """The usual way to a session, and in it."""
        made = self.ask([], at_other, SessionTerms(most_uses, AN_HOUR))
        self.decide(made, approve=True, right=True, by_mallory=False)
        session = self.perform(made, foreign_input=False, elsewhere=False, crash=None)
        for inputs, racers, crash in uses:
            data = [b"\1"] * inputs
            self.use_again(
                self.use(session, data, elsewhere=False, racers=racers, crash=crash),
                same_input=True,
            )
        return session

    @rule(
        asked=asked,
        approve=st.booleans(),
        right=st.booleans(),
        by_mallory=st.booleans(),
    )
    def decide(
        self,
        asked: tuple[Operation, list[bytes]] | None,
        approve: bool,
        right: bool,
        by_mallory: bool,
    ) -> None:
        if asked is None:
            return
        operation, _ = asked
        number = operation.number if right else f"{(int(operation.number) + 1) % 100:02}"
        decision = Decision.APPROVE if approve else Decision.DENY
        device = self.mallory if by_mallory else self.phone
        try:
            state = self.world.decide(operation, device, decision, number if approve else "")
        except KeystoreError:
            return
        assert not by_mallory
        assert (state is State.APPROVED) == (approve and right)
        if state is State.APPROVED:
            self.approved.add(operation.id)

    @rule(
        target=opened,
        asked=asked,
        foreign_input=SELDOM,
        elsewhere=SELDOM,
        crash=CRASHES,
    )
    def perform(
        self,
        asked: tuple[Operation, list[bytes]] | None,
        foreign_input: bool,
        elsewhere: bool,
        crash: int | None,
    ) -> Session | None:
        if asked is None:
            return None
        operation, data = asked
        workstation = self._workstation(operation.workstation_id, elsewhere=elsewhere)
        sent = [*data, b"\0"] if foreign_input else data
        try:
            with self._counting(operation.id), crashing(crash):
                done = self.world.activation.perform(operation.id, sent, workstation.identity)
        except Crash:
            self._restart()
            return None
        except KeystoreError:
            return None
        assert not foreign_input
        assert not elsewhere
        assert operation.id in self.approved
        assert self.results.setdefault(operation.id, done.results) == done.results
        return done.session

    @rule(target=opened, asked=asked, times=st.integers(2, 3))
    def race(self, asked: tuple[Operation, list[bytes]] | None, times: int) -> Session | None:
        if asked is None:
            return None
        operation, data = asked
        own = self._workstation(operation.workstation_id)
        activation = self.world.activation

        def perform(_: int) -> Performed | None:
            try:
                return activation.perform(operation.id, data, own.identity)
            except KeystoreError:
                return None

        with self._counting(operation.id), ThreadPoolExecutor(times) as racers:
            done = [each for each in racers.map(perform, range(times)) if each]
        for each in done:
            assert operation.id in self.approved
            assert self.results.setdefault(operation.id, each.results) == each.results
        return done[0].session if done else None

    @rule(
        target=uses,
        session=opened,
        data=st.lists(st.binary(min_size=1, max_size=64), min_size=1, max_size=2),
        elsewhere=SELDOM,
        racers=st.sampled_from([1, 1, 3]),
        crash=CRASHES,
    )
    def use(
        self,
        session: Session | None,
        data: list[bytes],
        elsewhere: bool,
        racers: int,
        crash: int | None,
    ) -> tuple[Session, bytes, list[bytes]] | None:
        if session is None:
            return None
        workstation = self._workstation(session.workstation_id, elsewhere=elsewhere).identity
        request_id = os.urandom(16)
        sessions = self.world.sessions

        def use(_: int) -> Used | None:
            try:
                return sessions.use(session.id, request_id, data, workstation)
            except KeystoreError:
                return None

        if racers > 1:
            with self._counting(session.id), ThreadPoolExecutor(racers) as threads:
                done = [each for each in threads.map(use, range(racers)) if each]
            assert len({each.results for each in done}) <= 1
        else:
            try:
                with self._counting(session.id), crashing(crash):
                    used = use(0)
                    done = [used] if used else []
            except Crash:
                self._restart()
                done = []
        if done:
            with self.world.database.read() as connection:
                written = session_uses.find_by_request(connection, session.id, request_id)
            assert written is not None
            self.results_of_uses[written.id] = done[0].results
            assert not elsewhere
            assert session.id not in self.ended
            assert self.world.clock() < session.expire_time
        return session, request_id, data

    @rule(use=uses, same_input=st.booleans())
    def use_again(self, use: tuple[Session, bytes, list[bytes]] | None, same_input: bool) -> None:
        """A repeated request makes nothing new, whatever happened to the first."""
        if use is None:
            return
        session, request_id, data = use
        own = self._workstation(session.workstation_id).identity
        sent = data if same_input else [*data, b"\0"]
        with self.world.database.read() as connection:
            before = session_uses.find_by_request(connection, session.id, request_id)
        made = self.made[session.id]
        with self._counting(session.id), suppress(KeystoreError):
            used = self.world.sessions.use(session.id, request_id, sent, own)
            if before is not None:
                # The first may have come to nothing, and another use of the request may be written.
                assert before.input_sha256 == inputs_sha256(sent)
                kept = self.results_of_uses.setdefault(before.id, used.results)
                assert kept == used.results
        assert before is None or self.made[session.id] == made

    @rule(session=opened, really=SELDOM)
    def end(self, session: Session | None, really: bool) -> None:
        if session is not None and really:
            own = self._workstation(session.workstation_id)
            self.world.sessions.end(session.id, own.identity)
            self.ended.add(session.id)

    @rule(asked=asked)
    def cancel(self, asked: tuple[Operation, list[bytes]] | None) -> None:
        if asked is not None:
            own = self._workstation(asked[0].workstation_id)
            self.world.asking.cancel(asked[0].id, own.identity)

    @rule(seconds=st.sampled_from([1, 30, 61, 121, 601, -90]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.forward(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        self.world.sweep()

    @rule()
    def restart(self) -> None:
        self._restart()

    def _restart(self) -> None:
        clock = self.world.clock
        self.world.database.close()
        self.world = counted(self.folder)
        self.world.clock.now = clock.now

    @rule(really=SELDOM)
    def suspend_and_resume(self, really: bool) -> None:
        if not really:
            return
        self.world.cards.suspend(self.serial, actor=OPERATOR)
        self.world.cards.resume(self.serial, actor=OPERATOR)
        with self.world.database.read() as connection:
            rows = connection.execute(select(tables.session.c.id)).scalars()
            self.ended.update(rows)

    @contextmanager
    def _counting(self, approval: str) -> Iterator[None]:
        """Count how often a key is used for this approval."""
        before = COUNTING.uses
        try:
            yield
        finally:
            self.made[approval] += COUNTING.uses - before

    def _workstation(self, workstation_id: str, *, elsewhere: bool = False) -> Enrolled:
        return self.pc if (workstation_id == self.pc.identity.id) != elsewhere else self.other_pc

    @invariant()
    def no_more_uses_than_were_approved(self) -> None:
        for approval, made in self.made.items():
            assert made <= self.allowed[approval]
            assert not made or approval in self.approved

    @invariant()
    def what_succeeded_was_approved(self) -> None:
        with self.world.database.read() as connection:
            for operation_id in self.results:
                found = operations.find(connection, operation_id)
                assert found is not None
                assert found.state is State.SUCCEEDED

    def teardown(self) -> None:
        self.world.database.close()
        shutil.rmtree(self.folder)


TestKeystore = Keystore.TestCase
TestKeystore.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes, by the disk
)
