"""Staff say what they think, as often as they like within reason; it is kept and mailed."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from cloud_keystore.model.errors import InvalidInput, NotAllowed, TooManyCalls
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.notifications import Template
from cloud_keystore.model.surveys.answers import LONGEST_TEXT, MOST_OF_ONE
from cloud_keystore.people import giving_feedback
from cloud_keystore.storage.outbox import notifications
from cloud_keystore.storage.outbox.notifications import Terms
from cloud_keystore.storage.surveys import feedback
from support.keystore_world import OPERATOR, SECOND, World

TEXT = "The list of cards could be sorted by ward, says Ada."


def test_it_is_kept_and_can_be_given_twice_in_a_row(world: World) -> None:
    """COM-06, BUG-27."""
    for _ in range(2):
        world.feedback.add(TEXT, actor=OPERATOR)
    found = world.feedback.list_all(actor=SECOND)
    assert [each.feedback.text for each in found] == [TEXT, TEXT]
    assert len({each.feedback.id for each in found}) == 2


def test_who_looks_after_the_service_is_told_by_e_mail(world: World) -> None:
    world.database.tell_people(Terms((), "owner@example.org"))
    for _ in range(2):
        world.feedback.add(TEXT, actor=OPERATOR)
    with world.database.read() as connection:
        told = notifications.list_all(connection, "", failed=False)
    assert [(each.template, each.address) for each in told] == [
        (Template.FEEDBACK, "owner@example.org")
    ] * 2
    world.database.tell_people(Terms(()))
    world.feedback.add(TEXT, actor=OPERATOR)
    with world.database.read() as connection:
        assert len(notifications.list_all(connection, "", failed=False)) == 2


def test_the_journal_says_who_and_not_what(world: World) -> None:
    given = world.feedback.add(TEXT, actor=OPERATOR)
    (told,) = world.journal(Kind.FEEDBACK_GIVEN)
    assert (told.actor, told.details) == (
        OPERATOR,
        {"feedback": given.id, "characters": len(TEXT)},
    )


@pytest.mark.parametrize("text", ["", "  ", "x" * (LONGEST_TEXT + 1), "two\nlines", "\x1b[2J"])
def test_what_cannot_be_shown_is_refused(world: World, text: str) -> None:
    with pytest.raises(InvalidInput, match="text"):
        world.feedback.add(text, actor=OPERATOR)
    assert world.feedback.list_all(actor=OPERATOR) == []


def test_a_forged_piece_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of many pieces, the newest are listed."""
    monkeypatch.setattr(giving_feedback, "MOST_LISTED", 3)
    for number in range(5):
        world.feedback.add(f"piece {number}", actor=OPERATOR)
        world.clock.forward(minutes=1)
    with world.database.write() as connection:
        forged = update(feedback.feedback).where(feedback.f.text == "piece 3")
        connection.execute(forged.values(text="forged"))
    found = world.feedback.list_all(actor=OPERATOR)
    assert [each.feedback.text for each in found] == ["piece 2", "piece 4"]


def test_nobody_fills_the_table(world: World) -> None:
    for _ in range(MOST_OF_ONE):
        world.feedback.add(TEXT, actor=OPERATOR)
    with pytest.raises(TooManyCalls):
        world.feedback.add(TEXT, actor=OPERATOR)
    world.feedback.add(TEXT, actor=SECOND)
    world.clock.forward(days=1)
    world.feedback.add(TEXT, actor=OPERATOR)


def test_who_has_no_role_says_nothing_and_sees_nothing(world: World) -> None:
    stranger, _ = (world.operator().identity for _ in range(2))
    [granted] = [
        each.assignment.id
        for each in world.roles.list_all(actor=OPERATOR)
        if each.assignment.identity_id == stranger.id
    ]
    world.roles.withdraw(granted, actor=OPERATOR)
    with pytest.raises(NotAllowed):
        world.feedback.add(TEXT, actor=stranger.actor)
    for look in (world.feedback.list_all, lambda actor: world.feedback.scores(90, actor=actor)):
        with pytest.raises(NotAllowed):
            look(actor=stranger.actor)


@pytest.mark.parametrize("days", [0, 3651])
def test_how_far_scores_look_back(world: World, days: int) -> None:
    with pytest.raises(InvalidInput, match="days"):
        world.feedback.scores(days, actor=OPERATOR)
