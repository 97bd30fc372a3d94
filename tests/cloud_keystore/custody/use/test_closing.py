"""What ends with a card, a workstation or a device, and what stays."""

from __future__ import annotations

import pytest

from cloud_keystore.approval import qr
from cloud_keystore.custody.use.closing import (
    close_card,
    close_device,
    close_workstation,
    end_sessions,
    withdraw,
)
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import Card
from cloud_keystore.model.errors import AdministratorNeeded, PasscodeNeeded
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Channel, Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.model.sessions import Session
from cloud_keystore.operations.asking import qr_secret
from cloud_keystore.storage.sessions import Which
from support.keystore_world import DIGEST, OPERATOR, SESSIONS, Enrolled, World


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A developer's card, whose policy allows sessions."""
    world.set_policy(SESSIONS)
    return world.card(ada[0], "developer")


@pytest.fixture
def elsewhere(world: World) -> Enrolled:
    """Another workstation."""
    return world.workstation("PC2")


def card_of(world: World, serial: str) -> Card:
    return world.find(serial).card


def ended(world: World) -> list[tuple[str | None, object]]:
    """What the journal says of sessions that ended and operations that were withdrawn."""
    told = world.journal(Kind.SESSION_ENDED, Kind.OPERATION_CANCELLED)
    assert {entry.actor for entry in told} <= {KEYSTORE}
    return [(entry.operation_id, entry.details["why"]) for entry in told]


def used(world: World, operation: Operation, pc: Enrolled, phone: Enrolled) -> Operation:
    """The same, after its use."""
    world.decide(operation, phone)
    world.perform(operation, pc, DIGEST)
    return operation


def proofs(world: World, serial: str, pc: Enrolled) -> tuple[bytes, bytes]:
    """Of the passcode and of the management key."""
    return world.proof(serial, pc), world.administrator(serial, pc).proof


def holding(world: World, serial: str, pc: Enrolled, proofs: tuple[bytes, bytes]) -> list[bool]:
    """Which of the two still hold."""
    held = []
    try:
        world.ask(serial, pc, proof=proofs[0])
    except PasscodeNeeded:
        held.append(False)
    else:
        held.append(True)
    with world.database.read() as connection:
        try:
            world.management_keys.check(
                connection, card_of(world, serial), proofs[1], pc.identity.id
            )
        except AdministratorNeeded:
            return [*held, False]
    return [*held, True]


def test_only_what_waits_is_withdrawn(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, elsewhere: Enrolled
) -> None:
    done = used(world, world.ask(serial, pc), pc, ada[1])
    waits, approved = world.ask(serial, pc), world.ask(serial, elsewhere)
    world.decide(approved, ada[1])
    asked = ["no such operation", done.id, waits.id, approved.id, waits.id]
    with world.database.write() as connection:
        cancelled = withdraw(connection, asked, world.clock(), KEYSTORE, "tired")
    assert cancelled == [waits.id, approved.id]
    assert ended(world) == [(waits.id, "tired"), (approved.id, "tired")]
    assert [world.state(each) for each in (done, waits, approved)] == [
        State.SUCCEEDED,
        State.CANCELLED,
        State.CANCELLED,
    ]


def test_sessions_that_end_are_returned(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, elsewhere: Enrolled
) -> None:
    mine, other = (world.session(serial, at, ada[1]) for at in (pc, elsewhere))
    at_mine = Which(workstation_id=pc.identity.id)
    for expected in ([mine.id], []):
        with world.database.write() as connection:
            assert end_sessions(connection, world.clock(), KEYSTORE, "tired", at_mine) == expected
    assert ended(world) == [(mine.id, "tired")]
    assert len(world.use(other, elsewhere)) == 1


def opened(
    world: World, ada: tuple[User, Enrolled], at: tuple[str, Enrolled]
) -> tuple[Session, Operation]:
    """An open session and an operation that waits, of a card at a workstation."""
    serial, pc = at
    return world.session(serial, pc, ada[1]), world.ask(serial, pc)


def test_all_of_a_card_ends(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, elsewhere: Enrolled
) -> None:
    other = world.card(ada[0], "developer")
    session, waits = opened(world, ada, (serial, pc))
    kept = opened(world, ada, (other, elsewhere))[1]
    mine, others = proofs(world, serial, pc), proofs(world, other, elsewhere)
    card = card_of(world, serial)
    with world.database.write() as connection:
        assert close_card(connection, card.id, world.clock(), KEYSTORE, "lost") == [waits.id]
    assert ended(world) == [(session.id, "lost"), (waits.id, "lost")]
    assert world.state(kept) is State.PENDING
    assert holding(world, serial, pc, mine) == [False, False]
    assert holding(world, other, elsewhere, others) == [True, True]


def test_all_at_a_workstation_ends_and_its_holders_are_woken(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, elsewhere: Enrolled
) -> None:
    session, waits = opened(world, ada, (serial, pc))
    kept = opened(world, ada, (serial, elsewhere))[1]
    mine, others = proofs(world, serial, pc), proofs(world, serial, elsewhere)
    with world.database.write() as connection:
        topics = close_workstation(connection, pc.identity.id, world.clock(), KEYSTORE, "stolen")
    assert topics == {waits.id, ada[0].id}
    assert ended(world) == [(session.id, "stolen"), (waits.id, "stolen")]
    assert world.state(kept) is State.PENDING
    assert holding(world, serial, pc, mine) == [False, False]
    assert holding(world, serial, elsewhere, others) == [True, True]


def test_what_depends_on_a_device_ends(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, elsewhere: Enrolled
) -> None:
    phone, second = ada[1], world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    session = world.session(serial, pc, phone)
    kept = world.session(serial, elsewhere, second)
    approved, waits = world.ask(serial, pc), world.ask(serial, elsewhere)
    world.decide(approved, phone)
    claimed = world.ask(world.card(ada[0]), pc, channels=(Channel.QR,))
    code = qr.text(claimed.id, qr_secret(world.seal, claimed.id))
    world.deciding.claim(code, phone.identity)
    with world.database.write() as connection:
        withdrawn = close_device(connection, phone.identity, world.clock(), KEYSTORE, "lost")
    assert set(withdrawn) == {approved.id, claimed.id}
    assert {each for each, _ in ended(world)} == {session.id, approved.id, claimed.id}
    assert world.state(waits) is State.PENDING
    assert len(world.use(kept, elsewhere)) == 1
