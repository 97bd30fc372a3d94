"""Log-ins that need the holder's phone, at the pages, and what attackers get of them."""

from __future__ import annotations

import re

import pytest
from starlette.types import ASGIApp

from cloud_keystore.approval import statement
from cloud_keystore.web.me.views import FACTOR
from cloud_keystore.web.me.visiting import AGAIN, CODE, LOG_IN
from cloud_keystore.web.proofs import encoded
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import EMAIL, PASSWORD, Portal, other_than
from support.rest import Answer
from support.site import BrowserDevice, site

NUMBER = re.compile(r'id="number">(\d\d)<')


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def phone(portal: Portal, application: ASGIApp) -> BrowserDevice:
    return BrowserDevice.of(application, portal.phone)


@pytest.fixture
def ada(portal: Portal, application: ASGIApp, world: World, phone: BrowserDevice) -> Guest:
    """Ada, whose log-ins need her phone from now on."""
    made = Guest.of(portal, application)
    asked = made.post(f"{FACTOR}/ask", factor="phone")
    agree(world, portal, phone, number_in(asked))
    told = made.post(FACTOR, factor="phone", code=portal.code())
    assert told.fields["location"] == f"{FACTOR}?done=factor"
    return made


def number_in(told: Answer) -> str:
    found = NUMBER.search(told.body.decode())
    assert found is not None, told.body
    return found[1]


def agree(world: World, portal: Portal, phone: BrowserDevice, number: str) -> str:
    """Type a number on the phone's page."""
    (question,) = world.assents.waiting(portal.phone.identity)
    signature, _ = portal.phone.evidence(statement.assent(question.id, number))
    said = {"agrees": True, "is_me": True, "number": number, "signature": encoded(signature)}
    told = phone.send("POST", f"/authenticator/v1/assents/{question.id}", said)
    assert told.status == 200, told.body
    return told.body.decode()


def test_a_log_in_goes_by_the_phone(
    world: World, portal: Portal, application: ASGIApp, phone: BrowserDevice, ada: Guest
) -> None:
    """AUTH-07: the page shows the number, the phone takes it, and without it nobody is let in."""
    page = ada.text(f"{FACTOR}?done=factor")
    assert "Your log-ins need this from now on" in page
    assert "Let your phone be asked" not in ada.text("/me")
    guest = Guest(application)
    assert guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD).status == 303
    number = number_in(guest.get(CODE))
    early = guest.post(CODE, token=False)
    assert early.status == 403
    assert "has not agreed yet" in early.body.decode()
    assert number_in(early) == number
    assert "agreed" in agree(world, portal, phone, number)
    assert guest.post(CODE, token=False).fields["location"] == "/me"
    assert portal.user.display_name in guest.text("/me")


def test_a_mailed_code_is_not_enough_any_more(
    portal: Portal, application: ASGIApp, ada: Guest
) -> None:
    """The attack: somebody has the password and reads the mail."""
    assert ada.secret
    guest = Guest(application)
    guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD)
    assert not [each for each in portal.told.send() if "log in" in each.subject]
    for code in ("00000000", "", portal.forgotten()):
        assert guest.post(CODE, token=False, code=code).status == 403
    assert guest.secret == ""


def test_whoever_has_no_password_learns_nothing_of_the_phone(
    application: ASGIApp, ada: Guest
) -> None:
    """The attack: enumeration by what a log-in needs."""
    assert ada.secret
    said = set()
    for name in (EMAIL, "nobody@example.org"):
        told = Guest(application).post(LOG_IN, token=False, name=name, password="not this, Sir")
        said.add((told.status, told.body))
    assert len(said) == 1
    for path in (CODE, AGAIN):
        told = Guest(application).post(path, token=False)
        assert told.status == 403
        assert NUMBER.search(told.body.decode()) is None


def test_a_no_leads_back_to_the_question(
    world: World, portal: Portal, application: ASGIApp, phone: BrowserDevice, ada: Guest
) -> None:
    assert ada.secret
    guest = Guest(application)
    guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD)
    number = number_in(guest.get(CODE))
    assert "denied" in agree(world, portal, phone, "10" if number != "10" else "11")
    told = guest.post(CODE, token=False)
    assert told.status == 403
    assert "said no" in told.body.decode()
    again = guest.post(AGAIN, token=False)
    assert "agreed" in agree(world, portal, phone, number_in(again))
    assert guest.post(CODE, token=False).status == 303


def test_a_change_needs_code_and_phone(
    world: World, portal: Portal, application: ASGIApp, phone: BrowserDevice
) -> None:
    """AUTH-08: neither alone changes anything; what cannot be chosen says so."""
    made = Guest.of(portal, application)
    assert "Let your phone be asked" in made.text("/me")
    number = number_in(made.post(f"{FACTOR}/ask", factor="phone"))
    code = portal.code()
    early = made.post(FACTOR, factor="phone", code=code)
    assert "has not agreed yet" in early.body.decode()
    agree(world, portal, phone, number)
    wrong = made.post(FACTOR, factor="phone", code=other_than(code))
    assert "4 tries left" in wrong.body.decode()
    assert made.post(FACTOR, factor="phone", code=code).status == 303
    for chosen, why in (("sms", "verify your number"), ("x", "choose one"), ("", "choose one")):
        told = made.post(f"{FACTOR}/ask", factor=chosen)
        assert told.status == 422
        assert why in told.body.decode().lower()


@pytest.mark.parametrize("forged", ["", "wrong"])
def test_a_form_without_its_token_does_nothing(ada: Guest, forged: str) -> None:
    for path in (f"{FACTOR}/ask", FACTOR):
        assert ada.post(path, token=forged, factor="email", code="1").status == 403


def test_a_question_of_another_is_as_what_is_not_there(
    world: World, portal: Portal, application: ASGIApp, ada: Guest
) -> None:
    """The attack: a phone of somebody else, and identifiers that are guessed."""
    assert ada.secret
    guest = Guest(application)
    guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD)
    (question,) = world.assents.waiting(portal.phone.identity)
    _, stranger = world.user("Mallory")
    theirs = BrowserDevice.of(application, stranger)
    said = {"agrees": True, "is_me": True, "number": number_in(guest.get(CODE))}
    told = [
        theirs.send("POST", f"/authenticator/v1/assents/{each}", said)
        for each in (question.id, "nobody")
    ]
    assert [each.status for each in told] == [404, 404]
    assert guest.post(CODE, token=False).status == 403
