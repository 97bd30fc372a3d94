"""Security questions at the portal, and what attackers get of them."""

from __future__ import annotations

import re

import pytest

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.passwords import MOST_WRONG
from cloud_keystore.web.me.views import QUESTIONS as AT
from support.guest import Guest
from support.keystore_world import World
from support.outbox import Told
from support.portal import ANSWERS, OTHER, PASSWORD, QUESTIONS, Portal
from support.site import site

FILLED = {f"question-{n}": each.text for n, each in enumerate(QUESTIONS, 1)} | {
    f"answer-{n}": each for n, each in enumerate(ANSWERS, 1)
}


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world), Policy(portal_passwords=True, security_answers=2))


@pytest.fixture
def ada(world: World, portal: Portal) -> Guest:
    return Guest.of(portal, site(world))


def test_questions_are_chosen_and_answers_never_shown(
    world: World, portal: Portal, ada: Guest
) -> None:
    """AUTH-14: answers are typed unseen, kept hashed, and neither on a page nor in the journal."""
    page = ada.text(AT)
    fields = re.findall(r'<input[^>]* name="answer-\d"[^>]*>', page)
    assert len(fields) == 5
    assert all('type="password"' in each for each in fields)
    told = ada.post(AT, password=PASSWORD, **FILLED)
    assert (told.status, told.fields["location"]) == (303, f"{AT}?done=questions")
    page = ada.text(told.fields["location"])
    assert "Your security questions are set" in page
    assert QUESTIONS[0].text in page
    assert "See or change them" in ada.text("/me/password")
    entries = world.journal(Kind.QUESTIONS_SET)
    assert [each.actor for each in entries] == [Actor(ActorKind.HOLDER, portal.user.id)]
    for each in ANSWERS:
        assert each not in page
        assert each not in repr(entries)
    code = portal.forgotten()
    assert not portal.reset(code).is_set
    assert portal.reset(code, OTHER, ANSWERS[:2]).is_set


def test_whoever_finds_a_browser_open_changes_none(ada: Guest) -> None:
    """The attack: a visit without the password, which locks as at the log-in."""
    said = [ada.post(AT, password="not this one, Sir", **FILLED) for _ in range(MOST_WRONG + 1)]
    assert [each.status for each in said] == [403] * MOST_WRONG + [429]
    assert QUESTIONS[0].text not in ada.text(AT)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"question-3": "", "answer-3": ""}, "choose 3 to 5 questions"),
        ({"answer-1": ""}, "the answer to question 1"),
        ({"answer-2": ANSWERS[0]}, "two questions have the same answer"),
        ({"question-1": "Miss Moppet was my pet"}, "is in the question"),
    ],
)
def test_what_does_not_do_is_said_and_not_repeated(
    ada: Guest, changed: dict[str, str], why: str
) -> None:
    told = ada.post(AT, password=PASSWORD, **{**FILLED, **changed})
    page = told.body.decode()
    assert told.status == 422
    assert why in page.lower()
    assert not [each for each in ANSWERS if f'value="{each}"' in page]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_form_without_its_token_does_nothing(ada: Guest, token: str) -> None:
    assert ada.post(AT, token=token, password=PASSWORD, **FILLED).status == 403
    assert QUESTIONS[0].text not in ada.text(AT)


def test_a_question_is_never_markup(ada: Guest) -> None:
    asked = {**FILLED, "question-1": "<script>alert(1)</script> my pet?"}
    assert ada.post(AT, password=PASSWORD, **asked).status == 303
    assert "<script>alert" not in ada.text(AT)
