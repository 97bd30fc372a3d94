"""Holders are reminded of cards that end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloud_keystore.mail import reminding
from cloud_keystore.model.cards import Card, days_left
from support.keystore_world import OPERATOR, World
from support.outbox import Told


@pytest.fixture
def told(world: World) -> Told:
    return Told(world)


def holder_of(told: Told) -> Card:
    """A card of somebody who has been told everything else."""
    user, token = told.person()
    told.world.enrol(token)
    card = told.world.find(told.world.card(user)).card
    told.send()
    return card


def days_until(told: Told, days: int) -> None:
    """Let the time come so many days before the end of a card that is issued now."""
    told.world.clock.forward(days=730 - days)


def reminders(told: Told) -> list[str]:
    """In how many days cards end, as what is sent after a look says."""
    reminding.remind(told.world.database, told.world.clock())
    return [letter.text.partition("ends in ")[2].partition(" days")[0] for letter in told.send()]


def test_holders_are_reminded_once_on_each_of_three_days(told: Told, world: World) -> None:
    """CARD-13: from 90 days before, with the days and the type of the card."""
    holder_of(told)
    days_until(told, 91)
    said: list[tuple[int, str]] = []
    for day in range(91, -2, -1):
        said += [(day, each) for each in reminders(told)]
        assert reminders(told) == []
        world.clock.forward(days=1)
    assert said == [(90, "90"), (30, "30"), (7, "7")]


def test_who_gets_another_card_in_time_is_not_reminded(told: Told, world: World) -> None:
    card = holder_of(told)
    days_until(told, 89)
    world.prolonging.renew(card.serial, None, actor=OPERATOR)
    assert [letter.subject for letter in told.send()] == ["Your card was renewed"]
    assert reminders(told) == []
    days_until(told, 90)
    assert reminders(told) == ["90"]
    world.replacing.replace(card.serial, "damaged", actor=OPERATOR)
    world.clock.forward(days=60)
    told.send()
    assert reminders(told) == []


def test_a_keystore_that_stood_still_leaves_old_reminders_out(told: Told, world: World) -> None:
    holder_of(told)
    days_until(told, 88)
    assert reminders(told) == ["88"]
    world.clock.forward(days=65)
    assert reminders(told) == []


def test_many_cards_are_told_of_in_portions(
    told: Told, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminding, "PORTION", 2)
    user, token = told.person()
    world.enrol(token)
    for _ in range(5):
        world.card(user)
    told.send()
    days_until(told, 90)
    assert reminders(told) == ["90"] * 5


def test_without_mail_nothing_is_looked_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[object] = []
    monkeypatch.setattr("cloud_keystore.storage.cards.ending", looked.append)
    reminding.remind(world.database, world.clock())
    assert not looked


@pytest.mark.parametrize(
    ("left", "days"), [(90.0, 90), (89.9, 89), (1.0, 1), (0.9, 0), (0.0, 0), (-5.0, 0)]
)
def test_days_that_are_left(told: Told, left: float, days: int) -> None:
    """CARD-13: whole days; none when it has ended."""
    card = holder_of(told)
    assert days_left(card, card.expire_time - timedelta(days=left)) == days
