"""A restored database: nothing that was open at the backup can be used."""

from __future__ import annotations

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.errors import (
    IllegalCardChange,
    OperationClosed,
    PasscodeNeeded,
    SessionClosed,
    TokenRejected,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import User
from cloud_keystore.run.restoring import end_the_past, newest_entry
from support.keystore_world import OPERATOR, PASSCODE, SESSIONS, Enrolled, World


def test_all_that_was_open_ends(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    world.set_policy(SESSIONS)
    serial = world.card(ada[0])
    session, proof = world.session(serial, pc, ada[1]), world.proof(serial, pc)
    approved = world.ask(serial, pc)
    world.decide(approved, ada[1])
    token = world.people.add_workstation("PC2", "", actor=OPERATOR)[1]
    world.unlocking.ask(serial, actor=OPERATOR)
    before = newest_entry(world.database)
    assert before == world.clock()
    world.clock.forward(seconds=1)
    ended = end_the_past(world.database, world.clock(), {"backup": "of today"})
    assert (ended.operations, ended.sessions) == (1, 1)
    assert world.state(approved) is State.CANCELLED
    with pytest.raises(OperationClosed):
        world.perform(approved, pc)
    with pytest.raises(SessionClosed):
        world.use(session, pc)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)
    with pytest.raises(TokenRejected):
        world.enrol(token.text)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 1
    world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 3
    with pytest.raises(IllegalCardChange, match="nobody has asked"):
        world.unlocking.agree(serial, ada[1].identity)
    (entry,) = world.journal(Kind.KEYSTORE_RESTORED)
    assert entry.details == {"backup": "of today"}
    again = end_the_past(world.database, world.clock(), {})
    assert (again.operations, again.sessions, again.tokens) == (0, 0, 0)
