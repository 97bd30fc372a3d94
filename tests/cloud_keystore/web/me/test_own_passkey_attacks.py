"""Holders' passkeys at the pages, and what attackers get of them."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from starlette.types import ASGIApp

from cloud_keystore.web.me.views import FACTOR, PASSKEYS
from cloud_keystore.web.me.visiting import CODE, CODE_ASKED, LOG_IN
from cloud_keystore.web.proofs import decoded, encoded
from cloudcard_tools.authenticator import passkey
from cloudcard_tools.authenticator.passkey import SoftwarePasskey
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import EMAIL, PASSWORD, Portal, other_than
from support.site import site

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def ada(portal: Portal, application: ASGIApp) -> Guest:
    return Guest.of(portal, application)


def added(portal: Portal, ada: Guest, name: str = "Laptop") -> SoftwarePasskey:
    """A passkey that she adds."""
    assert ada.post(f"{PASSKEYS}/code").status == 200
    asked = json.loads(ada.post(f"{PASSKEYS}/asked").body)
    own = passkey.new(asked["rp_id"], asked["origin"], decoded(asked["user_handle"]))
    made = own.create(decoded(asked["challenge"]))
    said = {
        "name": name,
        "challenge": asked["challenge"],
        "attestation_object": encoded(made.attestation_object),
        "client_data": encoded(made.client_data),
    }
    code = portal.code()
    wrong = ada.post(PASSKEYS, code=other_than(code), **said)
    assert (wrong.status, "4 tries left" in wrong.body.decode()) == (422, True)
    told = ada.post(PASSKEYS, code=code, **said)
    assert told.fields["location"] == f"{PASSKEYS}?done=passkey"
    return own


def test_a_log_in_goes_by_the_passkey(portal: Portal, application: ASGIApp, ada: Guest) -> None:
    """AUTH-07: the page asks it for this log-in alone, and without it nobody is let in."""
    own = added(portal, ada)
    assert ada.post(f"{FACTOR}/ask", factor="passkey").status == 200
    assert ada.post(FACTOR, factor="passkey", code=portal.code()).status == 303
    guest = Guest(application)
    assert guest.post(LOG_IN, token=False, name=EMAIL, password=PASSWORD).status == 303
    asked = json.loads(guest.post(CODE_ASKED, token=False).body)
    assert asked["allowed"] == [encoded(own.credential_id)]
    said, _ = own.get(decoded(asked["challenge"]))
    answer = {
        "challenge": asked["challenge"],
        "credential_id": encoded(said.credential_id),
        "authenticator_data": encoded(said.authenticator_data),
        "client_data": encoded(said.client_data),
        "signature": encoded(said.signature),
    }
    wrong = guest.post(CODE, token=False, **{**answer, "signature": encoded(b"?" * 70)})
    assert (wrong.status, guest.secret) == (403, "")
    assert "its answer is not right" in wrong.body.decode()
    unreadable = guest.post(CODE, token=False, **{**answer, "signature": "???"})
    assert (unreadable.status, guest.secret) == (403, "")


def test_without_the_password_no_passkey_is_asked(
    portal: Portal, application: ASGIApp, ada: Guest
) -> None:
    """The attack: enumeration of the credential ids of others."""
    added(portal, ada)
    told = Guest(application).post(CODE_ASKED, token=False)
    assert (told.status, told.body) == (403, b"")


@pytest.mark.parametrize("forged", ["", "wrong"])
def test_a_form_without_its_token_does_nothing(ada: Guest, forged: str) -> None:
    for path in (f"{PASSKEYS}/code", f"{PASSKEYS}/asked", PASSKEYS, f"{PASSKEYS}/x/remove"):
        assert ada.post(path, token=forged, code="1").status == 403


def test_a_name_is_never_markup(portal: Portal, ada: Guest) -> None:
    added(portal, ada, SCRIPT)
    assert SCRIPT not in ada.text(PASSKEYS)
    told = ada.get(f"{PASSKEYS}?{urlencode({'done': SCRIPT})}")
    assert SCRIPT not in told.body.decode()


def test_what_is_nobodys_is_not_there(ada: Guest) -> None:
    assert ada.get(f"{PASSKEYS}/nobody/remove").status == 404
    assert ada.post(f"{PASSKEYS}/nobody/remove", code="12345678").status == 404
