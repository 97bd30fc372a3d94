"""The holder is told of every change that staff make, and of what makes a card useless."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.operations import Decision
from cloud_keystore.model.passcodes import Mismatch
from cloud_keystore.model.people import User
from cloud_keystore.storage import cards, passcodes
from support.keystore_world import OPERATOR, PASSCODE, SECOND, Enrolled, World
from support.outbox import Told
from support.portal import link_in

LOCKED = "Your card is locked: get a new passcode"


@dataclass
class Holder:
    """Somebody with a phone and a card, who has got all e-mails about that."""

    told: Told
    world: World
    user: User
    phone: Enrolled
    serial: str
    pc: Enrolled
    operator: Enrolled

    def wrong(self) -> None:
        outcome = self.world.passcodes.verify(self.serial, KeyRef.PIN, b"864209", self.pc.identity)
        assert isinstance(outcome, Mismatch)

    def lock(self) -> None:
        for _ in range(3):
            self.wrong()


@pytest.fixture
def ada(world: World) -> Holder:
    told = Told(world)
    user, phone = told.enrolled()
    serial = world.card(user)
    told.send()
    return Holder(told, world, user, phone, serial, world.workstation(), world.operator())


def test_from_the_invitation_to_a_card_in_use(world: World) -> None:
    """COM-01: invitation, successfully enrolled, set-up, set-up complete."""
    told = Told(world)
    user, token = told.person()
    assert told.subjects() == ["Enrol your phone"]
    world.enrol(token)
    assert told.subjects() == ["Your phone is enrolled"]
    request = os.urandom(16)
    for _ in range(2):  # a repeated request is the same card
        made = world.issuing.issue(request, user.id, "p256", actor=OPERATOR).card
    assert told.subjects() == ["Your card is ready: choose a passcode"]
    world.passcodes.set_first(made.serial, PASSCODE, world.phone_of(user))
    assert told.subjects() == ["Your card is set up"]


CHANGES: dict[str, Callable[[Holder], object]] = {
    "Your card is suspended": lambda ada: ada.world.cards.suspend(ada.serial, actor=OPERATOR),
    "Your card is revoked": lambda ada: ada.world.cards.revoke(ada.serial, "lost", actor=OPERATOR),
    "Your phone was removed": lambda ada: ada.world.devices.remove(
        ada.phone.identity.id, "lost", ada.operator.identity
    ),
    "Your name was changed": lambda ada: ada.world.people.change_user(
        ada.user.id, "Ada Lovelace", None, actor=OPERATOR
    ),
    "Enrol your phone": lambda ada: ada.world.people.invite_device(ada.user.id, actor=OPERATOR),
    "Agree to unlock your card": lambda ada: ada.world.unlocking.ask(ada.serial, actor=OPERATOR),
    "Your cards and phones are taken out of use": lambda ada: ada.world.leaving.close(
        ada.user.id, "left", ada.operator.identity
    ),
}


@pytest.mark.parametrize("subject", CHANGES)
def test_the_holder_is_told_of_what_staff_change(ada: Holder, subject: str) -> None:
    CHANGES[subject](ada)
    (letter,) = ada.told.send()
    assert (letter.subject, letter.address) == (subject, "ada@example.org")


def test_each_card_is_told(ada: Holder) -> None:
    serials = {ada.serial, ada.world.card(ada.user)}
    ada.told.send()
    for serial in serials:
        ada.world.cards.suspend(serial, actor=OPERATOR)
    texts = [each.text for each in ada.told.send()]
    assert len(texts) == 2
    assert all(any(serial in text for text in texts) for serial in serials)


def test_reasons_are_told(ada: Holder) -> None:
    ada.world.cards.revoke(ada.serial, "left the trust", actor=OPERATOR)
    (letter,) = ada.told.send()
    assert "left the trust" in letter.text
    assert ada.serial in letter.text


def test_the_holder_is_told_that_a_card_is_back(ada: Holder) -> None:
    ada.world.cards.suspend(ada.serial, actor=OPERATOR)
    ada.world.cards.resume(ada.serial, actor=OPERATOR)
    assert ada.told.subjects() == ["Your card is suspended", "Your card is back in use"]


def test_both_addresses_are_told_of_a_new_one(ada: Holder) -> None:
    """USER-17, BUG-02: also where the new one has an apostrophe and a plus."""
    new = "o'brien+x@example.org"
    ada.world.people.change_user(ada.user.id, None, new, actor=OPERATOR)
    assert ada.world.addresses.follow(link_in(ada.told.send())).is_verified
    letters = ada.told.send()
    assert {each.address for each in letters} == {"ada@example.org", new}
    assert {each.subject for each in letters} == {"Your e-mail address was changed"}
    ada.world.cards.suspend(ada.serial, actor=OPERATOR)
    (letter,) = ada.told.send()
    assert letter.address == new


def test_a_second_phone_is_told(ada: Holder) -> None:
    token = ada.world.people.invite_device(ada.user.id, actor=OPERATOR)
    ada.world.enrol(token.text)
    # The invitation is not mailed any more: nobody waits for it.
    assert ada.told.subjects() == ["Your phone is enrolled"]


@pytest.mark.parametrize("how", ["verify", "change", "unlocked before"])
def test_a_locked_card_is_always_told(ada: Holder, how: str) -> None:
    """BUG-08: whichever path locked the card. It is told once for each time, not for each try."""
    match how:
        case "verify":
            ada.lock()
        case "change":
            for _ in range(3):
                ada.world.passcodes.change(
                    ada.serial, KeyRef.PIN, b"864209", b"975318", ada.pc.identity
                )
        case "unlocked before":
            ada.lock()
            ada.world.unlock(ada.serial)
            ada.told.send()
            ada.world.clock.forward(hours=1)
            for _ in range(3):
                ada.wrong()
                ada.world.clock.forward(days=1)
    (letter,) = [each for each in ada.told.send() if each.subject == LOCKED]
    assert "PIN" in letter.text
    ada.wrong()
    assert LOCKED not in ada.told.subjects()


def test_a_locked_puk_is_told(ada: Holder) -> None:
    """BUG-08"""
    for _ in range(3):
        ada.world.passcodes.reset(ada.serial, b"00000001", b"975318", ada.pc.identity)
    (letter,) = ada.told.send()
    assert letter.subject == LOCKED
    assert "A wrong PUK" in letter.text


def test_a_card_that_lost_its_last_try_in_a_crash_is_told_at_the_next(ada: Holder) -> None:
    """BUG-08: a try is spent before the comparison, and the process can end in between."""
    with ada.world.database.write() as connection:
        card = cards.named(connection, ada.serial)
        for _ in range(3):
            passcodes.spend_try(connection, card.id, KeyRef.PIN, ada.world.clock())
    assert ada.told.send() == []
    ada.wrong()
    assert ada.told.subjects() == [LOCKED]


def test_an_unlock_is_told(ada: Holder) -> None:
    ada.lock()
    for operator in (OPERATOR, SECOND):
        ada.world.unlocking.ask(ada.serial, actor=operator)
    assert ada.told.subjects() == [LOCKED, "Agree to unlock your card", "Your card is unlocked"]


def test_a_changed_passcode_is_told(ada: Holder) -> None:
    ada.world.passcodes.change(ada.serial, KeyRef.PIN, PASSCODE, b"975318", ada.pc.identity)
    (letter,) = ada.told.send()
    assert letter.subject == "A passcode of your card was changed"
    assert "975318" not in letter.text


def test_not_me_is_told(ada: Holder) -> None:
    asked = ada.world.ask(ada.serial, ada.pc)
    ada.world.decide(asked, ada.phone, Decision.NOT_ME)
    (letter,) = ada.told.send()
    assert letter.subject == "Your card is suspended"
    assert "by you" in letter.text
