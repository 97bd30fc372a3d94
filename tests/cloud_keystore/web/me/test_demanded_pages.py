"""Log-ins at the portal for which a policy demands more than a mailed code, at the pages."""

from __future__ import annotations

import re

import pytest

from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.web.me.views import (
    CONTACT,
    FACTOR,
    HISTORY,
    PASSKEYS,
    PASSWORD,
    PHONES,
    QUESTIONS,
    SESSIONS,
)
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import Portal
from support.site import site
from support.visitor import TOKEN

NUMBER = re.compile(r'id="number">(\d\d)<')
DEMANDED = Policy(portal_passwords=True, portal_factors=frozenset({Factor.PHONE, Factor.PASSKEY}))


@pytest.fixture
def portal(world: World) -> Portal:
    opened = Portal.open(Told(world))
    world.set_policy(DEMANDED)
    return opened


@pytest.fixture
def ada(world: World, portal: Portal) -> Guest:
    """Ada, who has logged in by the mailed code."""
    return Guest.of(portal, site(world))


def test_every_page_leads_to_the_choice(ada: Guest) -> None:
    """AUTH-07: before anything else is shown; what is needed for it opens."""
    for path in ("/me", PHONES, SESSIONS, HISTORY, PASSWORD, QUESTIONS, f"{HISTORY}?done=factor"):
        told = ada.get(path)
        assert (told.status, told.fields["location"]) == (303, FACTOR)
    page = ada.text(FACTOR)
    assert "nothing else opens until then" in page
    assert 'value="phone"' in page
    assert 'value="passkey"' in page
    assert 'value="email"' not in page
    assert 'value="sms"' not in page
    for path in (CONTACT, PASSKEYS, "/me/help"):
        assert ada.get(path).status == 200


def test_every_form_leads_to_the_choice(ada: Guest) -> None:
    """The attack: forms are sent without their page."""
    token = TOKEN.search(ada.text(FACTOR))
    assert token is not None
    for path in (
        PASSWORD,
        QUESTIONS,
        "/me/sessions/x/end",
        f"{PHONES}/x/remove",
        f"{CONTACT}/email/send",
    ):
        told = ada.post(path, token=token[1], code="1")
        assert told.status in {303, 404}
        assert told.fields.get("location", FACTOR) == FACTOR
    refused = ada.post(f"{FACTOR}/ask", token=token[1], factor="email")
    assert refused.status == 422
    assert "a passkey or a yes of your authenticator" in refused.body.decode()


def test_whoever_has_chosen_goes_on(portal: Portal, ada: Guest) -> None:
    """AUTH-08: with the code to the address, and the phone's yes."""
    token = TOKEN.search(ada.text(FACTOR))
    assert token is not None
    page = ada.post(f"{FACTOR}/ask", token=token[1], factor="phone").body.decode()
    code = portal.code()
    (number,) = NUMBER.findall(page)
    portal.say_yes(number)
    told = ada.post(FACTOR, token=token[1], factor="phone", code=code)
    assert told.fields["location"] == f"{FACTOR}?done=factor"
    assert "Your organisation demands one of these" in ada.text(f"{FACTOR}?done=factor")
    assert portal.user.display_name in ada.text("/me")
