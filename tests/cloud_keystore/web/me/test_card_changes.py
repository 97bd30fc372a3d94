"""Passcodes that are chosen, and cards that are renewed, at the portal: what needs the phone, and
what attackers get.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cloud_keystore.model.cards import RENEWED_BEFORE
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.passcodes import Mismatch, Verified
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.assents import USE_TIME
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import Portal
from support.rest import Answer
from support.site import site

ALLOWED = Policy(portal_passwords=True, portal_changes=True)
NEW = "582046"
BOTH = {"new": NEW, "once-more": NEW}
NUMBER = re.compile(r'id="number">(\d\d)<')
PUK = re.compile(r'cloudcard-secret">(\d{8})<')
PIN = 0x80


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world), ALLOWED)


@pytest.fixture
def serial(world: World, portal: Portal) -> str:
    """Ada's card, whose passcode she has chosen on her phone."""
    return world.card(portal.user)


@pytest.fixture
def ada(world: World, portal: Portal, serial: str) -> Guest:
    assert serial
    return Guest.of(portal, site(world))


def number_in(told: Answer) -> str:
    found = NUMBER.search(told.body.decode())
    assert found is not None, told.body
    return found[1]


def agree(world: World, portal: Portal, number: str, *, agrees: bool = True) -> None:
    """Answer on Ada's phone."""
    if agrees:
        portal.say_yes(number)
        return
    (question,) = world.assents.waiting(portal.phone.identity)
    world.assents.answer(question.id, number, portal.phone.identity, agrees=False, is_me=True)


def verified(world: World, serial: str, passcode: str) -> object:
    return world.passcodes.verify(serial, PIN, passcode.encode(), world.workstation().identity)


def test_a_locked_passcode_is_replaced_with_the_phone(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    """AUTH-09: the second factor is required. The counter is reset, the PUK is another one, and the
    journal says by whom, and by which phone.
    """
    for _ in range(3):
        assert isinstance(verified(world, serial, "999999"), Mismatch)
    world.clock.forward(hours=1)
    ada = Guest.of(portal, ada.application)
    assert "Its passcode is locked" in ada.text("/me")
    at = f"/me/cards/{serial}/passcode"
    assert "Another one unlocks it" in ada.text(at)
    asked = ada.post(f"{at}/ask")
    early = ada.post(at, **BOTH)
    assert early.status == 403
    assert "has not agreed yet" in early.body.decode()
    agree(world, portal, number_in(asked))
    assert ada.post(at, new=NEW, **{"once-more": "1"}).status == 422
    weak = ada.post(at, **dict.fromkeys(BOTH, "123456"))
    assert weak.status == 422
    done = ada.post(at, **BOTH)
    assert done.status == 200
    assert PUK.search(done.body.decode()) is not None
    assert isinstance(verified(world, serial, NEW), Verified)
    told = world.journal(Kind.PASSCODE_UNBLOCKED)[-1]
    assert told.actor.id == portal.user.id
    assert told.details["device"] == portal.phone.identity.id
    assert NEW not in repr(world.journal())
    again = ada.post(at, **BOTH)
    assert again.status == 403
    assert PUK.search(again.body.decode()) is None


def test_without_a_yes_nothing_changes(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    """AUTH-09: the attack: a browser that was left open, or password and mail of somebody."""
    at = f"/me/cards/{serial}/passcode"
    assert ada.post(at, **BOTH).status == 403
    asked = ada.post(f"{at}/ask")
    agree(world, portal, number_in(asked), agrees=False)
    assert "said no" in ada.post(at, **BOTH).body.decode()
    agree(world, portal, number_in(ada.post(f"{at}/ask")))
    world.clock.now += USE_TIME
    assert "took too long" in ada.post(at, **BOTH).body.decode()
    assert isinstance(verified(world, serial, NEW), Mismatch)


def test_a_phone_of_an_operator_does_not_count(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    """The attack: an operator invites another phone, and has the mail and the password. Only the
    phone counts on which the passcode in force was chosen; without it, nothing is asked.
    """
    token = world.people.invite_device(portal.user.id, actor=world.actor).text
    theirs = world.enrol(token)
    at = f"/me/cards/{serial}/passcode"
    ada.post(f"{at}/ask")
    assert world.assents.waiting(theirs.identity) == ()
    assert len(world.assents.waiting(portal.phone.identity)) == 1
    world.devices.remove(portal.phone.identity.id, "lost", world.operator().identity)
    for told in (ada.get(at), ada.post(f"{at}/ask")):
        assert told.status == 409
        assert "unlock code" in told.body.decode()


def test_it_is_off_by_policy_and_says_so(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    world.set_policy(Policy(portal_passwords=True))
    for path in ("passcode", "renew"):
        told = ada.get(f"/me/cards/{serial}/{path}")
        assert told.status == 409
        assert "--portal-changes" in told.body.decode()
    assert portal.user.display_name in ada.text("/me")


def test_cards_of_others_are_as_what_is_not_there(world: World, ada: Guest) -> None:
    theirs = world.card(world.user("Mallory")[0])
    for path in ("passcode", "renew"):
        told = [ada.get(f"/me/cards/{each}/{path}") for each in (theirs, "1500000000000000")]
        assert [each.status for each in told] == [404, 404]
        posted = ada.post(f"/me/cards/{theirs}/{path}/ask")
        assert posted.status == 404


@pytest.mark.parametrize("forged", ["", "wrong"])
def test_a_form_without_its_token_does_nothing(
    world: World, portal: Portal, serial: str, ada: Guest, forged: str
) -> None:
    for path in ("passcode/ask", "passcode", "renew/ask", "renew"):
        assert ada.post(f"/me/cards/{serial}/{path}", token=forged).status == 403
    assert world.assents.waiting(portal.phone.identity) == ()


def test_a_card_is_renewed_in_its_last_days(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    """The same card with later ends, once for each yes; the journal names its holder."""
    at = f"/me/cards/{serial}/renew"
    early = ada.get(at)
    assert early.status == 409
    assert "can be renewed from" in early.body.decode()
    end = world.cards.find(serial, actor=world.actor).card.expire_time
    world.clock.now = end - RENEWED_BEFORE + timedelta(days=1)
    ada = Guest.of(portal, ada.application)
    assert "Renew it" in ada.text("/me")
    assert "keeps its passcode" in ada.text(at)
    asked = ada.post(f"{at}/ask")
    assert ada.post(at).status == 403
    agree(world, portal, number_in(asked))
    told = ada.post(at)
    assert (told.status, told.fields["location"]) == (303, "/me?done=renewed")
    assert "Your card is renewed" in ada.text(told.fields["location"])
    renewed = world.cards.find(serial, actor=world.actor).card
    assert renewed.expire_time > end
    (entry,) = world.journal(Kind.CARD_RENEWED)
    assert entry.actor.id == portal.user.id
    assert ada.post(at).status == 409


def test_a_yes_for_one_thing_is_none_for_another(
    world: World, portal: Portal, serial: str, ada: Guest
) -> None:
    """The attack: the phone is asked about a renewal, and the passcode is changed by that."""
    end = world.cards.find(serial, actor=world.actor).card.expire_time
    world.clock.now = end - RENEWED_BEFORE + timedelta(days=1)
    ada = Guest.of(portal, ada.application)
    agree(world, portal, number_in(ada.post(f"/me/cards/{serial}/renew/ask")))
    assert ada.post(f"/me/cards/{serial}/passcode", **BOTH).status == 403
    assert isinstance(verified(world, serial, NEW), Mismatch)
