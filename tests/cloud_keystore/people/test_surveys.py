"""Holders are asked whether they recommend the card: where a policy says so, rarely, and in the way
of nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from cloud_keystore.model.clock import new_id
from cloud_keystore.model.errors import IllegalCardChange, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.surveys.answers import (
    ASK_AGAIN,
    FEWEST,
    LONGEST_TEXT,
    MOST_COMMENTS,
    Answer,
    Scores,
)
from cloud_keystore.people.surveys import remove_old
from cloud_keystore.storage.surveys import answers, removing
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
    (told,) = world.journal(Kind.SURVEY_ANSWERED)
    assert told.actor == phone.identity.actor
    assert told.details == {"answered": True}
    world.clock.forward(days=ASK_AGAIN.days)
    assert world.surveys.find(phone.identity).is_due


def put(world: World, holder: User, serial: str, comments: Iterable[str]) -> None:
    card_id = world.find(serial).card.id
    with world.database.write() as connection:
        for comment in comments:
            own = new_id(world.clock(), os.urandom)
            given = Answer(own, holder.id, card_id, 9, comment, world.clock())
            answers.add(connection, given)


def test_nobody_learns_from_scores_who_gave_which(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """Neither from few answers, nor by comparing two results, nor from the order of comments."""
    put(world, ada[0], serial, (f"{number}" for number in reversed(range(FEWEST - 1))))
    world.clock.forward(days=31)
    assert world.feedback.scores(90, actor=OPERATOR) == Scores(0, 0, 0)
    put(world, ada[0], serial, ["my boss is horrible"])
    for days in (1, 90):
        assert world.feedback.scores(days, actor=OPERATOR) == Scores(0, 0, 0)
    world.clock.forward(days=8)  # the year is over, and so is the month
    scores = world.feedback.scores(90, actor=OPERATOR)
    assert (scores.answers, scores.nps) == (FEWEST, 100)
    assert scores.comments == (*map(str, range(FEWEST - 1)), "my boss is horrible")
    put(world, ada[0], serial, ["one more"])
    world.clock.forward(days=31)
    assert world.feedback.scores(90, actor=OPERATOR) == scores
    assert world.feedback.scores(9, actor=OPERATOR).answers == 0


def test_a_forged_answer_stops_nothing(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """And of many comments, the newest hundred leave the database alone."""
    put(world, ada[0], serial, (f"{number:03}" for number in range(MOST_COMMENTS + 20)))
    with world.database.write() as connection:
        first = select(func.min(answers.a.id)).scalar_subquery()
        forged = update(answers.survey_answer).where(answers.a.id == first)
        connection.execute(forged.values(score=0))
    world.clock.forward(days=31)
    scores = world.feedback.scores(90, actor=OPERATOR)
    assert (scores.answers, scores.nps) == (MOST_COMMENTS + 19, 100)
    assert len(scores.comments) == MOST_COMMENTS


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


def test_answers_and_feedback_are_kept_for_a_time(
    world: World, ada: tuple[User, Enrolled], serial: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """COM-06, COM-07: the oldest go first, a portion at a time, and the journal has how many."""
    monkeypatch.setattr(removing, "PORTION", 2)
    put(world, ada[0], serial, "123")
    world.feedback.add("More light", actor=OPERATOR)
    world.clock.forward(days=1)
    put(world, ada[0], serial, "4")
    world.feedback.add("Thank you", actor=OPERATOR)
    keep_time = timedelta(days=200)
    world.clock.forward(days=199)
    assert not remove_old(world.database, world.clock(), keep_time)
    world.clock.forward(hours=1)
    while remove_old(world.database, world.clock(), keep_time):
        pass
    assert [each.details for each in world.journal(Kind.SURVEYS_REMOVED)] == [
        {"feedback": 1, "answers": 2},
        {"feedback": 0, "answers": 1},
    ]
    assert [each.feedback.text for each in world.feedback.list_all(actor=OPERATOR)] == ["Thank you"]
    begin = world.clock() - timedelta(days=300)
    with world.database.read() as connection:
        (left,) = answers.between(connection, begin, world.clock())
    assert left.comment == "4"
