"""Who begins at the pages by an invitation, and what attackers get."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from cloud_keystore.model.policies import Policy
from cloud_keystore.web.me.visiting import (
    AREA,
    BEGIN,
    BEGUN,
    EMAIL,
    EMAIL_SEND,
    FIRST_PASSWORD,
    LEAVE,
    LETTERS,
    PASSCODE,
    PHONE,
    TASKS,
)
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import EMAIL as ADDRESS
from support.portal import PASSWORD, code_in
from support.site import site
from support.visitor import TOKEN as FORM_TOKEN

PAGES = (TASKS, EMAIL, FIRST_PASSWORD, PHONE, PASSCODE)
FORMS = (EMAIL_SEND, EMAIL, FIRST_PASSWORD, LETTERS, LEAVE)
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def told(world: World) -> Told:
    world.set_policy(Policy(portal_passwords=True))
    return Told(world)


@pytest.fixture
def token(told: Told) -> str:
    """That of Ada's invitation."""
    _, found = told.person(ADDRESS)
    told.send()
    return found


@pytest.fixture
def application(world: World) -> ASGIApp:
    return site(world)


@pytest.fixture
def ada(application: ASGIApp, token: str) -> Guest:
    """Ada, who has begun."""
    made = Guest(application)
    answer = made.post(BEGIN, token=False, invitation=token)
    assert (answer.status, answer.fields["location"]) == (303, TASKS)
    return made


def form_token(guest: Guest) -> str:
    found = FORM_TOKEN.search(guest.text(TASKS))
    assert found is not None
    return found[1]


def test_an_invitation_leads_through_all_tasks(told: Told, ada: Guest) -> None:
    """At most six screens, forms alone: code, list, e-mail, password, phone, passcode."""
    assert len({BEGIN, *PAGES}) == 6
    token = form_token(ada)
    assert "To do" in ada.text(TASKS)
    sent = ada.post(EMAIL_SEND, token=token)
    assert "on its way" in sent.body.decode()
    code = code_in(told.send()[-1].text)
    wrong = ada.post(EMAIL, token=token, code="1")
    assert wrong.status == 422
    assert "4 tries left" in wrong.body.decode()
    assert ada.post(EMAIL, token=token, code=code).fields["location"] == TASKS
    unequal = ada.post(FIRST_PASSWORD, token=token, **{"new": PASSWORD, "once-more": "x"})
    assert unequal.status == 422
    both = {"new": PASSWORD, "once-more": PASSWORD}
    assert ada.post(FIRST_PASSWORD, token=token, **both).fields["location"] == TASKS
    letters = ada.post(LETTERS, token=token)
    assert letters.status == 200
    assert "cards.example.org/authenticator" in letters.body.decode()
    assert "has to be connected first" in ada.text(PASSCODE)
    assert ada.post(LEAVE, token=token).fields["location"] == BEGIN
    assert ada.kept[BEGUN] == ""
    assert ada.get(TASKS).fields["location"] == BEGIN


def test_the_cookie_stays_here_and_is_new_each_time(application: ASGIApp, token: str) -> None:
    """Fixation: who has planted one does not know that of later."""
    planted = "ccbegin_" + "A" * 43
    victim = Guest(application, {BEGUN: planted})
    said = victim.post(BEGIN, token=False, invitation=token).fields["set-cookie"]
    assert said.startswith(f"{BEGUN}=ccbegin_")
    assert said.endswith("; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert victim.kept[BEGUN] != planted
    stolen = Guest(application, {BEGUN: planted})
    assert stolen.get(TASKS).status == 403
    assert stolen.kept[BEGUN] == ""


def test_a_beginning_is_no_visit(application: ASGIApp, ada: Guest) -> None:
    """The attack: its secret in the place of another."""
    secret = ada.kept[BEGUN]
    for each in (secret, secret.replace("ccbegin_", "ccown_")):
        told = Guest(application, {AREA.cookie: each}).get("/me/phones")
        assert told.status == 303
        assert told.fields["location"].startswith("/me/log-in")


def test_nobody_learns_which_tokens_there_are(
    world: World, application: ASGIApp, token: str
) -> None:
    """The attack: enumeration. What is wrong, used, or for an operator is answered alike."""
    operator = world.people.add_operator("Mallory", actor=world.actor).text
    world.enrol(token)
    said = set()
    for text in ("", "x", token, operator, "cc1." + "A" * 64, "BCDF-GHJK-LMNP", SCRIPT):
        answer = Guest(application).post(BEGIN, token=False, invitation=text)
        assert "set-cookie" not in answer.fields
        said.add((answer.status, answer.body))
    assert [status for status, _ in said] == [403]


def test_tokens_are_not_tried_for_long(application: ASGIApp) -> None:
    guest = Guest(application)
    answers = [guest.post(BEGIN, token=False, invitation="x").status for _ in range(40)]
    assert (answers[0], answers[-1]) == (403, 429)


@pytest.mark.parametrize("forged", ["", "wrong", "A" * 43])
def test_a_form_without_its_token_does_nothing(told: Told, ada: Guest, forged: str) -> None:
    for path in FORMS:
        assert ada.post(path, token=forged).status == 403
    assert told.send() == []
    assert ada.get(TASKS).status == 200


@pytest.mark.parametrize(
    "sent", [{"origin": "https://evil.example"}, {"origin": "null"}, {"content-type": "text/plain"}]
)
def test_forms_of_others_do_nothing(
    told: Told, application: ASGIApp, token: str, ada: Guest, sent: dict[str, str]
) -> None:
    own = form_token(ada)
    ada.sent = sent
    assert ada.post(EMAIL_SEND, token=own).status in (400, 403)
    assert told.send() == []
    attacker = Guest(application, sent=sent)
    assert attacker.post(BEGIN, token=False, invitation=token).status in (400, 403)
    assert attacker.kept == {}


def test_strangers_are_asked_for_the_code(application: ASGIApp) -> None:
    for path in PAGES:
        assert Guest(application).get(path).fields["location"] == BEGIN
    for path in FORMS:
        assert Guest(application).post(path, token="x").fields["location"] == BEGIN


def test_a_name_is_never_markup(world: World, application: ASGIApp) -> None:
    name = f"{SCRIPT}\" onmouseover='x"
    _, token = world.people.add_user(name, ADDRESS, actor=world.actor)
    assert token is not None
    guest = Guest(application)
    guest.post(BEGIN, token=False, invitation=token.text)
    for path in PAGES:
        assert SCRIPT not in guest.text(path)
    assert "&lt;script&gt;" in guest.text(TASKS)
