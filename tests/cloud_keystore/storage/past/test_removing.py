"""Rows of what was over long ago are removed, and nothing else."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select, update

from cloud_keystore.model.errors import (
    NoResult,
    OperationNotFound,
    SessionNotFound,
    SignInNotFound,
)
from cloud_keystore.model.operations import STALLED_TIME, Decision
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import LONGEST_SESSION, Policy, SessionTerms
from cloud_keystore.model.sign_ins import SIGN_IN_TIME
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.past import removing
from cloud_keystore.storage.sign_ins import sign_in
from support.exports import exported, findings
from support.keystore_world import DIGEST, Enrolled, World

KEEP_TIME = timedelta(days=2)  # the shortest
LONGEST = SessionTerms(10, LONGEST_SESSION)
TABLES = (t.session_use, t.session, t.operation, sign_in)


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    world.set_policy(Policy(session=LONGEST))
    return world.card(ada[0])


def remove(world: World) -> int:
    """Remove what is due, as the upkeep does."""
    before, removed = world.clock() - KEEP_TIME, 0
    while True:
        with world.database.read() as connection:
            if not removing.is_due(connection, before):
                return removed
        with world.database.write() as connection:
            some = removing.remove(connection, before)
        assert 0 < some <= removing.PORTION
        removed += some


def left(world: World) -> Counter[str]:
    with world.database.read() as connection:
        return +Counter({table.name: _count(connection, table.c.id) for table in TABLES})


def _count(connection: Connection, column: object) -> int:
    return int(connection.execute(select(func.count(column))).scalar_one())  # type: ignore[arg-type]


def test_what_was_over_long_ago_is_removed_and_the_journal_has_it(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    serial: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(removing, "PORTION", 2)
    begun = world.clock()
    session, request_id = world.session(serial, pc, ada[1], LONGEST), os.urandom(16)
    for _ in range(3):
        world.use(session, pc)
    world.use(session, pc, request_id=request_id)
    operation = world.ask(serial, pc)
    world.decide(operation, ada[1], Decision.DENY)
    seen = world.signing_in.begin(os.urandom(16), "", pc.identity)
    world.admit(seen, ada[1])
    world.clock.forward(seconds=(SIGN_IN_TIME + timedelta(minutes=1)).total_seconds())
    world.sweep()
    world.take_in()
    journal, before = world.journal(), findings(exported(world))
    world.clock.now = begun + KEEP_TIME
    assert remove(world) == 0
    assert left(world) == {"session_use": 4, "session": 1, "operation": 2, "sign_in": 1}
    with pytest.raises(NoResult):
        world.use(session, pc, request_id=request_id)
    world.clock.forward(seconds=1)
    assert remove(world) == 4
    assert left(world) == {"session": 1, "operation": 2, "sign_in": 1}
    world.clock.now += removing.LATER
    assert remove(world) == 4
    assert not left(world).total()
    with pytest.raises(SessionNotFound):
        world.use(session, pc, request_id=request_id)
    with pytest.raises(OperationNotFound):
        world.activation.perform(operation.id, [DIGEST], pc.identity)
    with pytest.raises(SignInNotFound):
        world.signing_in.find(seen.sign_in.id, pc.identity)
    assert world.journal() == journal
    assert findings(exported(world)) == before


def test_what_is_open_keeps_each_use_that_was_made(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """Else a request that is repeated would use the key again."""
    session, request_id = world.session(serial, pc, ada[1], LONGEST), os.urandom(16)
    signature = world.use(session, pc, request_id=request_id)
    waiting = world.ask(serial, pc)
    for before in (world.clock() - KEEP_TIME, world.clock() - timedelta(hours=1)):
        with world.database.write() as connection:
            assert not removing.is_due(connection, before)
            assert removing.remove(connection, before) == 0
    assert world.use(session, pc, request_id=request_id) == signature
    assert world.decide(waiting, ada[1])


def test_what_no_sweep_has_ended_stays(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled, serial: str
) -> None:
    """The journal still has to say what became of it."""
    session = world.session(serial, pc, ada[1], LONGEST)
    world.use(session, pc)
    world.ask(serial, pc)
    world.signing_in.begin(os.urandom(16), "", pc.identity)
    with world.database.write() as connection:
        connection.execute(update(t.session_use).values(end_time=None))
    world.clock.now += KEEP_TIME + removing.LATER + timedelta(days=1)
    assert remove(world) == 0
    assert left(world) == {"session_use": 1, "session": 1, "operation": 2, "sign_in": 1}
    world.sweep()
    assert remove(world) == 5


def test_rows_are_removed_a_portion_at_a_time(
    world: World,
    ada: tuple[User, Enrolled],
    pc: Enrolled,
    serial: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = world.session(serial, pc, ada[1], LONGEST)
    for _ in range(3):
        world.use(session, pc)
    world.clock.forward(seconds=STALLED_TIME.total_seconds())
    world.clock.now += KEEP_TIME + removing.LATER + timedelta(days=1)
    world.sweep()
    monkeypatch.setattr(removing, "PORTION", 2)
    found = []
    for _ in range(4):
        with world.database.write() as connection:
            found.append(removing.remove(connection, world.clock() - KEEP_TIME))
    assert found == [2, 2, 1, 0]  # the session with its last use, and then its operation
