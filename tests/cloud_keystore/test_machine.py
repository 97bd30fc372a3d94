"""Any order of calls by anybody: at most one use for one approval, and none without."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from cloud_keystore.model.errors import KeystoreError
from cloud_keystore.model.operations import STALLED_TIME, Decision, Operation, State
from cloud_keystore.storage import operations
from keystore_world import DATABASE, World, new_world


@cache
def new_keystore() -> Path:
    """The database of a keystore that has just been made; every run begins with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="cloudcard-machine-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    new_world(folder).database.close()
    return folder / DATABASE


class Keystore(RuleBasedStateMachine):
    """Against a model of three sets: what was approved, what was used, and what came out."""

    asked = Bundle("asked")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="cloudcard-machine-"))
        shutil.copy(new_keystore(), self.folder)
        self.world: World = new_world(self.folder)
        self.approved: set[str] = set()
        self.dead: set[str] = set()  # approvals whose process died while using them
        self.results: dict[str, bytes] = {}

    @initialize()
    def people(self) -> None:
        user, self.phone = self.world.user()
        self.mallory = self.world.user("Mallory")[1]
        self.pc, self.other_pc = self.world.workstation(), self.world.workstation("PC2")
        self.serial = self.world.card(user)

    @rule(target=asked, data=st.binary(min_size=1, max_size=64), at_other=st.booleans())
    def ask(self, data: bytes, at_other: bool) -> tuple[Operation, bytes] | None:
        workstation = self.other_pc if at_other else self.pc
        try:
            return self.world.ask(self.serial, workstation, data), data
        except KeystoreError:
            return None

    @rule(
        asked=asked,
        approve=st.booleans(),
        right=st.booleans(),
        by_mallory=st.booleans(),
    )
    def decide(
        self,
        asked: tuple[Operation, bytes] | None,
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

    @rule(asked=asked, same_input=st.booleans(), elsewhere=st.booleans(), crash=st.booleans())
    def perform(
        self,
        asked: tuple[Operation, bytes] | None,
        same_input: bool,
        elsewhere: bool,
        crash: bool,
    ) -> None:
        if asked is None:
            return
        operation, data = asked
        if crash:
            with self.world.database.write() as connection:
                if operations.start_use(connection, operation.id, self.world.clock()):
                    assert operation.id not in self.results
                    self.dead.add(operation.id)
            return
        own = self.pc if operation.workstation_id == self.pc.identity.id else self.other_pc
        foreign = self.other_pc if own is self.pc else self.pc
        workstation = foreign if elsewhere else own
        sent = data if same_input else data + b"\0"
        try:
            result = self.world.perform(operation, workstation, sent)
        except KeystoreError:
            return
        assert same_input
        assert not elsewhere
        assert operation.id in self.approved - self.dead
        assert self.results.setdefault(operation.id, result) == result

    @rule(asked=asked)
    def cancel(self, asked: tuple[Operation, bytes] | None) -> None:
        if asked is not None:
            own = self.pc if asked[0].workstation_id == self.pc.identity.id else self.other_pc
            self.world.asking.cancel(asked[0].id, own.identity)

    @rule(seconds=st.sampled_from([1, 30, 61, 121, 601, -90]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.forward(seconds=seconds)

    @rule()
    def sweep(self) -> None:
        with self.world.database.write() as connection:
            operations.sweep(connection, self.world.clock(), STALLED_TIME)

    @rule()
    def restart(self) -> None:
        clock = self.world.clock
        self.world.database.close()
        self.world = new_world(self.folder)
        self.world.clock.now = clock.now

    @rule()
    def suspend_and_resume(self) -> None:
        self.world.cards.suspend(self.serial)
        self.world.cards.resume(self.serial)

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
TestKeystore.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
