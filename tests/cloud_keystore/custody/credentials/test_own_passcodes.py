"""Holders choose another passcode on the phone, also while the card is suspended."""

from __future__ import annotations

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.actors import ActorKind
from cloud_keystore.model.errors import (
    CardNotFound,
    CardNotInUse,
    PasscodeNeeded,
    TooManyGuesses,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import Mismatch, PolicyViolation, Verified
from cloud_keystore.model.people import User
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

WRONG, NEW = b"000000", b"246802"
DONE = Verified(b"")  # no proof: nothing is used from a phone


@pytest.fixture
def phone(ada: tuple[User, Enrolled]) -> Enrolled:
    return ada[1]


def with_puk(world: World, phone: Enrolled) -> tuple[str, bytes]:
    user_id = phone.identity.user_id or ""
    serial = world.issuing.issue(b"\1" * 16, user_id, "p256", actor=OPERATOR).card.serial
    return serial, world.passcodes.set_first(serial, PASSCODE, phone.identity).encode()


@pytest.mark.parametrize("suspended", [False, True])
def test_the_passcode_is_changed(
    world: World, serial: str, phone: Enrolled, pc: Enrolled, suspended: bool
) -> None:
    if suspended:
        world.cards.suspend(serial, actor=OPERATOR)
    change = world.passcodes.change_own
    assert change(serial, WRONG, NEW, phone.identity) == Mismatch(2)
    assert change(serial, PASSCODE, b"12", phone.identity) == PolicyViolation("6 to 8 digits")
    assert change(serial, PASSCODE, NEW, phone.identity) == DONE
    told = world.journal(Kind.PASSCODE_SET)[-1]
    assert (told.actor.kind, told.actor.id) == (ActorKind.DEVICE, phone.identity.id)
    if suspended:
        world.cards.resume(serial, actor=OPERATOR)
    assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(2)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, NEW, pc.identity), Verified)


@pytest.mark.parametrize("suspended", [False, True])
def test_the_puk_gives_another_passcode(
    world: World, phone: Enrolled, pc: Enrolled, suspended: bool
) -> None:
    """AUTH-10."""
    serial, puk = with_puk(world, phone)
    for _ in range(3):
        world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    assert world.find(serial).passcode_state == "locked"
    if suspended:
        world.cards.suspend(serial, actor=OPERATOR)
    wrong = b"00000000" if puk != b"00000000" else b"00000001"
    reset = world.passcodes.reset_own
    assert reset(serial, wrong, NEW, phone.identity) == Mismatch(2)
    assert reset(serial, puk, NEW, phone.identity) == DONE
    if suspended:
        world.cards.resume(serial, actor=OPERATOR)
    assert world.find(serial).passcode_state == "ok"
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, NEW, pc.identity), Verified)


def test_a_phone_guesses_no_more_than_a_workstation(
    world: World, serial: str, phone: Enrolled, pc: Enrolled
) -> None:
    change = world.passcodes.change_own
    outcomes = [change(serial, WRONG, NEW, phone.identity) for _ in range(4)]
    assert outcomes == [Mismatch(2), Mismatch(1), Mismatch(0), Mismatch(0)]
    assert change(serial, PASSCODE, NEW, phone.identity) == Mismatch(0)
    assert world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity) == Mismatch(0)
    # Failures outlive an unlock, and make the next guess wait, wherever it is made.
    world.unlock(serial)
    assert change(serial, WRONG, NEW, phone.identity) == Mismatch(2)
    with pytest.raises(TooManyGuesses, match="1 min"):
        change(serial, PASSCODE, NEW, phone.identity)


def test_what_rested_on_the_passcode_ends(
    world: World, serial: str, phone: Enrolled, pc: Enrolled
) -> None:
    proof = world.proof(serial, pc)
    assert world.passcodes.change_own(serial, PASSCODE, NEW, phone.identity) == DONE
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, proof=proof)


def test_nobody_elses_card(world: World, serial: str) -> None:
    mallory = world.user("Mallory")[1].identity
    before = len(world.journal())
    for call in (world.passcodes.change_own, world.passcodes.reset_own):
        with pytest.raises(CardNotFound, match="you have no card"):
            call(serial, PASSCODE, NEW, mallory)
        with pytest.raises(CardNotFound, match="you have no card"):
            call("1" * 16, PASSCODE, NEW, mallory)
    assert len(world.journal()) == before
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 3


@pytest.mark.parametrize("state", ["pending", "revoked"])
def test_a_card_without_use(world: World, phone: Enrolled, state: str) -> None:
    user_id = phone.identity.user_id or ""
    serial = world.issuing.issue(b"\1" * 16, user_id, "p256", actor=OPERATOR).card.serial
    if state == "revoked":
        world.passcodes.set_first(serial, PASSCODE, phone.identity)
        world.cards.revoke(serial, "lost", actor=OPERATOR)
    with pytest.raises(CardNotInUse, match=state):
        world.passcodes.change_own(serial, PASSCODE, NEW, phone.identity)
