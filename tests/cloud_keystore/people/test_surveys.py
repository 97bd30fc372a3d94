"""Holders are asked whether they recommend the card: where a policy says so, rarely, and in the way
of nothing.
"""

from __future__ import annotations

import pytest

from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.surveys.answers import ASK_AGAIN, LONGEST_TEXT
from support.keystore_world import OPERATOR, Enrolled, World

AFTER_TWO = Policy(survey_after=2)


@pytest.fixture
def phone(ada: tuple[User, Enrolled]) -> Enrolled:
    return ada[1]


def authenticate(world: World, serial: str, pc: Enrolled, phone: Enrolled, key_ref: int) -> None:
    operation = world.ask(serial, pc, key_ref=key_ref)
    world.decide(operation, phone)
    world.perform(operation, pc)


def test_nobody_is_asked_unless_a_policy_says_so(
    world: World, serial: str, pc: Enrolled, phone: Enrolled
) -> None:
    """COM-07: off by default."""
    authenticate(world, serial, pc, phone, 0x9A)
    assert not world.surveys.find(phone.identity).is_due
    with pytest.raises(IllegalCardChange):
        world.surveys.answer(9, "", phone.identity)


def test_a_holder_is_asked_after_so_many_authentications(
    world: World, serial: str, pc: Enrolled, phone: Enrolled
) -> None:
    """COM-07: a signature counts for nothing, nor does what was not approved."""
    world.set_policy(AFTER_TWO)
    authenticate(world, serial, pc, phone, 0x9A)
    authenticate(world, serial, pc, phone, 0x9C)
    world.ask(serial, pc)
    assert not world.surveys.find(phone.identity).is_due
    authenticate(world, serial, pc, phone, 0x9A)
    survey = world.surveys.find(phone.identity)
    assert (survey.is_due, survey.card_serial, survey.authentications) == (True, serial, 2)
    _, stranger = world.user("Mallory")
    assert not world.surveys.find(stranger.identity).is_due


def test_who_has_answered_is_not_asked_for_long(
    world: World, serial: str, pc: Enrolled, phone: Enrolled
) -> None:
    world.set_policy(Policy(survey_after=1))
    authenticate(world, serial, pc, phone, 0x9A)
    world.surveys.answer(9, "nothing to forget at home", phone.identity)
    assert not world.surveys.find(phone.identity).is_due
    with pytest.raises(IllegalCardChange, match="nothing is asked"):
        world.surveys.answer(0, "", phone.identity)
    scores = world.feedback.scores(90, actor=OPERATOR)
    assert (scores.answers, scores.nps) == (1, 100)
    assert scores.comments == ("nothing to forget at home",)
    (told,) = world.journal(Kind.SURVEY_ANSWERED)
    assert told.actor == phone.identity.actor
    assert told.details == {"answered": True}
    world.clock.forward(days=ASK_AGAIN.days)
    assert world.surveys.find(phone.identity).is_due
    assert world.feedback.scores(90, actor=OPERATOR).answers == 0


def test_who_does_not_want_to_be_asked_is_left_alone(
    world: World, serial: str, pc: Enrolled, phone: Enrolled
) -> None:
    world.set_policy(Policy(survey_after=1))
    authenticate(world, serial, pc, phone, 0x9A)
    world.surveys.answer(None, "", phone.identity)
    assert not world.surveys.find(phone.identity).is_due
    assert world.feedback.scores(90, actor=OPERATOR).nps is None
    authenticate(world, serial, pc, phone, 0x9A)  # and nothing is in the way


def test_a_card_out_of_use_asks_nothing(
    world: World, serial: str, pc: Enrolled, phone: Enrolled
) -> None:
    world.set_policy(Policy(survey_after=1))
    authenticate(world, serial, pc, phone, 0x9A)
    world.cards.suspend(serial, actor=OPERATOR)
    assert not world.surveys.find(phone.identity).is_due


@pytest.mark.parametrize(
    ("score", "comment"),
    [(-1, ""), (11, ""), (None, "why"), (9, "x" * (LONGEST_TEXT + 1)), (9, "a\x1b[2J")],
)
def test_what_is_no_answer(world: World, phone: Enrolled, score: int | None, comment: str) -> None:
    with pytest.raises(InvalidInput):
        world.surveys.answer(score, comment, phone.identity)


@pytest.mark.parametrize("after", [-1, 1001])
def test_what_a_policy_can_say(after: int) -> None:
    with pytest.raises(InvalidInput, match="1 to 1000"):
        Policy(survey_after=after)
