"""Forgotten passwords that need more than the mailed code, at the pages, and what attackers get."""

from __future__ import annotations

import json
import re

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.portal.assents import AssentState
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.web.me.visiting import ANSWERS, FORGOTTEN, RESET, RESET_AGAIN, RESET_ASKED
from cloud_keystore.web.proofs import decoded, encoded
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import EMAIL, OTHER, PASSWORD, Portal
from support.rest import Answer
from support.second_factors import Chosen
from support.site import site

NUMBER = re.compile(r'id="number">(\d\d)<')
NOBODY = "nobody@example.org"
NEW = {"new": OTHER, "once-more": OTHER}
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.fixture
def guest(world: World) -> Guest:
    application: ASGIApp = site(world)
    return Guest(application)


def forgotten(portal: Portal, guest: Guest) -> dict[str, str]:
    """What somebody has who has asked for a code."""
    assert guest.post(FORGOTTEN, token=False, name=EMAIL).status == 200
    return {"name": EMAIL, "code": portal.code()}


def send(guest: Guest, path: str, **said: str) -> Answer:
    return guest.post(path, token=False, **said)


def test_another_password_goes_by_the_phone(portal: Portal, guest: Guest) -> None:
    """AUTH-07: the page shows the number, and goes on showing it; without the phone's yes it sets
    nothing.
    """
    chosen = Chosen.of(portal, Factor.PHONE)
    said = forgotten(portal, guest)
    page = send(guest, ANSWERS, **said).body.decode()
    (number,) = NUMBER.findall(page)
    assert "/me/help" in page
    shown = {"factor": "phone", "number": number}
    for wrong, why in (
        (NEW, "has not agreed yet"),
        ({**NEW, "once-more": "x"}, "not the same"),
        (dict.fromkeys(NEW, "Password1234"), "harder to guess"),
    ):
        told = send(guest, RESET, **said, **shown, **wrong).body.decode()
        assert why in told
        assert NUMBER.findall(told) == [number]
    chosen.agree("10" if number != "10" else "11")
    assert "said no" in send(guest, RESET, **said, **shown, **NEW).body.decode()
    (number,) = NUMBER.findall(send(guest, RESET_AGAIN, **said, by="phone").body.decode())
    assert chosen.agree(number) is AssentState.AGREED
    assert "Your password is set" in send(guest, RESET, **said, **shown, **NEW).body.decode()
    assert portal.enter(OTHER)


def test_another_password_goes_by_sms(portal: Portal, guest: Guest) -> None:
    """AUTH-07, COM-04."""
    chosen = Chosen.of(portal, Factor.SMS)
    said = forgotten(portal, guest)
    assert "Code from the SMS" in send(guest, ANSWERS, **said).body.decode()
    (former,) = chosen.texts()
    assert "good no longer" in send(guest, RESET_AGAIN, **said).body.decode()
    (code,) = chosen.texts()
    told = send(guest, RESET, **said, **NEW, factor="sms", second=former)
    assert (told.status, "4 tries left" in told.body.decode()) == (403, True)
    assert "Code from the SMS" in told.body.decode()
    done = send(guest, RESET, **said, **NEW, factor="sms", second=f" {code} ")
    assert "Your password is set" in done.body.decode()


def test_another_password_goes_by_the_passkey(portal: Portal, guest: Guest) -> None:
    """AUTH-07: the page asks it for this reset alone."""
    chosen = Chosen.of(portal, Factor.PASSKEY)
    said = forgotten(portal, guest)
    page = send(guest, ANSWERS, **said).body.decode()
    assert f'data-asked="{RESET_ASKED}"' in page
    assert "Ask my phone instead" in page
    asked = json.loads(send(guest, RESET_ASKED, **said).body)
    answer = chosen.answer(decoded(asked["challenge"]))
    assert asked["allowed"] == [encoded(answer.credential_id)]
    form = {
        "challenge": asked["challenge"],
        "credential_id": encoded(answer.credential_id),
        "authenticator_data": encoded(answer.authenticator_data),
        "client_data": encoded(answer.client_data),
        "signature": encoded(answer.signature),
    }
    for forged, why in ((encoded(b"?" * 70), "its answer is not right"), ("???", "cannot be read")):
        wrong = send(guest, RESET, **{**said, **NEW, **form, "signature": forged})
        assert wrong.status == 403
        assert why in wrong.body.decode()
    done = send(guest, RESET, **said, **NEW, **form)
    assert "Your password is set" in done.body.decode()


@pytest.mark.parametrize("factor", [Factor.PHONE, Factor.SMS, Factor.PASSKEY])
def test_the_mailed_code_is_not_enough(portal: Portal, guest: Guest, factor: Factor) -> None:
    """The attack: a thief of the mailbox sends the form of somebody who needs nothing else."""
    Chosen.of(portal, factor)
    said = forgotten(portal, guest)
    for claimed in ("email", "", "x", str(factor)):
        told = send(guest, RESET, **said, **NEW, factor=claimed, second=said["code"])
        assert told.status == 403
    assert portal.enter(PASSWORD)


@pytest.mark.parametrize("factor", [None, Factor.PHONE, Factor.SMS, Factor.PASSKEY])
def test_nobody_learns_without_the_code_who_needs_what(
    portal: Portal, guest: Guest, factor: Factor | None
) -> None:
    """The attack: enumeration of names, and of what somebody's log-ins need."""
    if factor is not None:
        Chosen.of(portal, factor)
    told = []
    for name in (EMAIL, NOBODY):
        given = {"name": name, "code": "00000000"}
        answers = [
            send(guest, FORGOTTEN, name=name),
            send(guest, ANSWERS, **given),
            send(guest, RESET_AGAIN, **given, by="phone"),
            send(guest, RESET_ASKED, **given),
            send(guest, RESET, **given, **NEW),
        ]
        told.append([(each.status, each.body.decode().replace(name, "X")) for each in answers])
    assert told[0] == told[1]
    assert [status for status, _ in told[0]] == [200, 403, 403, 403, 403]


def test_what_a_page_says_again_is_never_markup(portal: Portal, guest: Guest) -> None:
    said = forgotten(portal, guest)
    shown = {"factor": SCRIPT, "number": SCRIPT, "question-1": SCRIPT, "can-phone": SCRIPT}
    for factor in (SCRIPT, "phone"):
        form = {**said, **shown, "factor": factor, "new": SCRIPT, "once-more": "x"}
        assert SCRIPT not in send(guest, RESET, **form).body.decode()
