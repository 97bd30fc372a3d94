"""Two agree to an unlock: an operator, and the holder's device or another operator."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.approval import statement
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import ApprovalRejected, CardNotFound, IllegalCardChange
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.passcodes import UNLOCK_TIME, Mismatch
from cloud_keystore.model.people import User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from cloudcard_tools.authenticator.passkey import USER_PRESENT
from support.keystore_world import OPERATOR, PASSCODE, SECOND, Enrolled, World, sign

WRONG = b"999999"


def lock(world: World, serial: str, pc: Enrolled) -> None:
    while world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity) != Mismatch(0):
        world.clock.forward(days=1)


def tries(world: World, serial: str) -> int:
    return world.passcodes.status(serial, KeyRef.PIN).tries_left


def test_one_operator_unlocks_nothing(world: World, serial: str, pc: Enrolled) -> None:
    """The attack: one operator gave a card three more tries as often as they liked."""
    lock(world, serial, pc)
    waits = [world.unlocking.ask(serial, actor=OPERATOR).expire_time for _ in range(3)]
    assert waits[0] is not None
    assert len(set(waits)) == 1
    assert tries(world, serial) == 0
    assert len(world.journal(Kind.UNLOCK_ASKED)) == 1


def test_a_second_operator_agrees(world: World, serial: str, pc: Enrolled) -> None:
    lock(world, serial, pc)
    world.unlocking.ask(serial, actor=OPERATOR)
    assert world.unlocking.ask(serial, actor=SECOND).expire_time is None
    assert tries(world, serial) == 3
    (told,) = world.journal(Kind.PASSCODE_UNBLOCKED)
    assert (told.actor, told.details) == (SECOND, {"asked_by": OPERATOR.id})


def test_the_holder_agrees_once(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    lock(world, serial, pc)
    world.unlocking.ask(serial, actor=OPERATOR)
    assert world.unlocking.agree(serial, ada[1].identity).passcode_state == "ok"
    (told,) = world.journal(Kind.PASSCODE_UNBLOCKED)
    assert told.actor == ada[1].identity.actor
    with pytest.raises(IllegalCardChange, match="nobody has asked"):
        world.unlocking.agree(serial, ada[1].identity)


def test_a_phone_is_told_which_unlocks_wait_for_it(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """Until somebody has agreed, or it is too late; others are told nothing."""
    own, stranger = ada[1].identity, world.user("Mallory")[1].identity
    assert world.unlocking.waiting(own) == ()
    until = world.unlocking.ask(serial, actor=OPERATOR).expire_time
    assert until is not None
    assert (world.unlocking.waiting(own), world.unlocking.waiting(stranger)) == ((serial,), ())
    world.unlocking.agree(serial, own)
    assert world.unlocking.waiting(own) == ()
    again = world.unlocking.ask(serial, actor=OPERATOR).expire_time
    assert again is not None
    assert world.unlocking.waiting(own) == (serial,)
    world.clock.now = again
    assert world.unlocking.waiting(own) == ()


def test_a_device_alone_unlocks_nothing(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    lock(world, serial, pc)
    with pytest.raises(IllegalCardChange, match="ask your registration authority"):
        world.unlocking.agree(serial, ada[1].identity)
    world.unlocking.ask(serial, actor=OPERATOR)
    _, stranger = world.user("Mallory")
    with pytest.raises(CardNotFound):
        world.unlocking.agree(serial, stranger.identity)
    assert tries(world, serial) == 0


def test_a_phone_agrees_to_no_unlock_without_its_pin(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """The attack: an operator and the finder of a phone would have more tries together."""
    lock(world, serial, pc)
    world.unlocking.ask(serial, actor=OPERATOR)
    phone = ada[1].identity
    assert world.app_pins.choose(b"246802", phone).is_right
    with pytest.raises(ApprovalRejected, match="asks for its PIN"):
        world.unlocking.agree(serial, phone)
    assert tries(world, serial) == 0
    assert world.app_pins.check(b"246802", serial, phone).is_right
    assert world.unlocking.agree(serial, phone).passcode_state == "ok"


@pytest.fixture
def by_passkey(world: World, ada: tuple[User, Enrolled]) -> Enrolled:
    """A phone of hers that decides by a passkey, which counts nothing: so a counter stops no
    replay.
    """
    phone = world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    return uncounted(phone)


def uncounted(phone: Enrolled, **changes: int) -> Enrolled:
    assert phone.passkey is not None
    return replace(phone, passkey=replace(phone.passkey, sign_count=-1, **changes))


def asked(world: World, serial: str, phone: Enrolled) -> str:
    """What an operator has asked for, as the phone is told."""
    world.unlocking.ask(serial, actor=OPERATOR)
    (card,) = world.cards.list_of(phone.identity)
    return card.unlock_id


def test_a_phone_with_a_passkey_agrees_to_no_unlock_without_it(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, by_passkey: Enrolled
) -> None:
    """The attack: an operator and whoever has the phone unlocked, or its browser's key, and no
    finger; or an answer for something else, or of another passkey of the same holder's.
    """
    lock(world, serial, pc)
    unlock_id = asked(world, serial, by_passkey)
    own, phone = statement.unlock(unlock_id), by_passkey.identity
    other = world.enrol_passkey(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    present = uncounted(by_passkey, flags=USER_PRESENT)
    for evidence in (
        (b"", None),
        (sign(by_passkey.private, own), None),
        by_passkey.evidence(statement.unlock("another")),
        uncounted(by_passkey).evidence(statement.assent(unlock_id, "")),
        uncounted(by_passkey).evidence(
            statement.statement(unlock_id.encode(), Decision.APPROVE, "")
        ),
        other.evidence(own),
        present.evidence(own),
    ):
        with pytest.raises(ApprovalRejected):
            world.unlocking.agree(serial, phone, *evidence)
        assert tries(world, serial) == 0
    signature, assertion = uncounted(by_passkey).evidence(own)
    assert world.unlocking.agree(serial, phone, signature, assertion).passcode_state == "ok"


def test_a_passkeys_answer_is_for_one_unlock_alone(
    world: World, serial: str, pc: Enrolled, by_passkey: Enrolled
) -> None:
    """The attack: an operator asks again and again, and an answer of before is repeated."""
    lock(world, serial, pc)
    first = asked(world, serial, by_passkey)
    evidence = by_passkey.evidence(statement.unlock(first))
    world.unlocking.agree(serial, by_passkey.identity, *evidence)
    with pytest.raises(IllegalCardChange, match="nobody has asked"):
        world.unlocking.agree(serial, by_passkey.identity, *evidence)
    lock(world, serial, pc)
    assert asked(world, serial, by_passkey) != first
    with pytest.raises(ApprovalRejected):
        world.unlocking.agree(serial, by_passkey.identity, *evidence)
    assert tries(world, serial) == 0


def test_the_holder_alone_is_told_which_unlock_waits(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    (card,) = world.cards.list_of(ada[1].identity)
    assert card.unlock_id == ""
    assert asked(world, serial, ada[1])
    assert world.find(serial).unlock_id == ""
    world.clock.forward(hours=12)
    (card,) = world.cards.list_of(ada[1].identity)
    assert card.unlock_id == ""


def test_an_unlock_from_before_they_had_identifiers_is_asked_for_again(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    lock(world, serial, pc)
    before = {
        "card_id": world.find(serial).card.id,
        "asked_by": OPERATOR.id,
        "expire_time": world.clock.now + UNLOCK_TIME,
    }
    with world.database.write() as connection:
        rows.add(connection, tables.unlock, before)
    with pytest.raises(IllegalCardChange, match="nobody has asked"):
        world.unlocking.agree(serial, ada[1].identity)
    assert world.unlocking.ask(serial, actor=SECOND).expire_time is not None
    assert world.unlocking.agree(serial, ada[1].identity).passcode_state == "ok"


def test_nobody_agrees_to_what_was_asked_long_ago(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    lock(world, serial, pc)
    world.unlocking.ask(serial, actor=OPERATOR)
    world.clock.forward(hours=12)
    with pytest.raises(IllegalCardChange):
        world.unlocking.agree(serial, ada[1].identity)
    assert world.unlocking.ask(serial, actor=SECOND).expire_time is not None  # asked anew
    assert tries(world, serial) == 0


def test_unlocking_needs_a_passcode(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR).card.serial
    with pytest.raises(IllegalCardChange, match="no passcode yet"):
        world.unlocking.ask(serial, actor=OPERATOR)
    world.passcodes.set_first(serial, PASSCODE, ada[1].identity)
    world.unlock(serial)


def test_repeated_unlocks_are_told_to_registration_authority_and_holder(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled
) -> None:
    """The attack: a card was unlocked fifty times in a row, and nobody was told."""
    lock(world, serial, pc)
    world.unlock(serial)
    assert world.alerts.told_to(ada[1].identity) == []
    lock(world, serial, pc)
    world.unlock(serial)
    (told,) = world.alerts.told_to(ada[1].identity)
    assert told.alert.kind is AlertKind.REPEATED_UNLOCKS
    assert [told] == world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert ada[0].id in world.woken
    _, stranger = world.user("Mallory")
    assert world.alerts.told_to(stranger.identity) == []
    world.alerts.acknowledge(told.alert.id, world.operator().identity)
    assert world.alerts.told_to(ada[1].identity) == []


def test_unlocks_with_the_right_passcode_in_between_are_not_told(
    world: World, serial: str, pc: Enrolled
) -> None:
    for _ in range(3):
        lock(world, serial, pc)
        world.unlock(serial)
        world.clock.forward(days=1)
        world.proof(serial, pc)
    assert world.alerts.list_all(include_acknowledged=True, actor=world.actor) == []
