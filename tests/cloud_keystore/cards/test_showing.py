"""One person on one screen, with what happened in words."""

from __future__ import annotations

import pytest

from cloud_keystore.cards.showing import MOST_EVENTS
from cloud_keystore.model.errors import UserNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Stage, User
from support.keystore_world import OPERATOR, Enrolled, World


def test_a_person_with_everything(world: World, ada: tuple[User, Enrolled], serial: str) -> None:
    operator = world.operator()
    world.cards.suspend(serial, actor=operator.identity.actor)
    world.devices.remove(ada[1].identity.id, "lost on the train", operator.identity)
    shown = world.showing.show(ada[0].id, operator.identity)
    assert shown.user == ada[0]
    assert [each.card.serial for each in shown.cards] == [serial]
    assert [each.device.display_name for each in shown.devices] == ["phone"]
    said = [each.text for each in shown.events]
    assert said[:2] == [
        "Operator Olga removed phone phone: lost on the train",
        f"Operator Olga suspended card {serial}",
    ]
    assert said[-1] == "Operator added the person"  # whom the world does not know by name
    assert shown.progress.stage is Stage.NO_PHONE
    assert shown.progress.since == world.journal(Kind.IDENTITY_REMOVED)[0].time


def test_who_lost_the_last_phone_after_an_invitation_ended_waits_since_then(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    operator = world.operator()
    world.people.invite_device(ada[0].id, actor=OPERATOR)
    world.clock.forward(days=30)
    world.devices.remove(ada[1].identity.id, "lost", operator.identity)
    progress = world.showing.show(ada[0].id, operator.identity).progress
    assert progress.stage is Stage.INVITATION_EXPIRED
    assert progress.since == world.journal(Kind.IDENTITY_REMOVED)[0].time


def test_the_last_events_of_this_person_alone(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    operator = world.operator()
    other = world.card(world.user("Bo")[0])
    for _ in range(MOST_EVENTS):
        world.clock.forward(seconds=1)
        world.cards.suspend(serial, actor=OPERATOR)
        world.cards.resume(serial, actor=OPERATOR)
        world.cards.suspend(other, actor=OPERATOR)
        world.cards.resume(other, actor=OPERATOR)
    shown = world.showing.show(ada[0].id, operator.identity)
    assert len(shown.events) == MOST_EVENTS
    times = [each.time for each in shown.events]
    assert times == sorted(times, reverse=True)
    assert not any(other in each.text for each in shown.events)
    # What bundles hold is found too.
    world.take_in()
    assert world.showing.show(ada[0].id, operator.identity).events == shown.events


def test_the_journal_tells_who_looked_but_not_as_an_event_of_the_person(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    operator = world.operator()
    world.showing.show(ada[0].id, operator.identity)
    shown = world.showing.show(ada[0].id, operator.identity)
    (first, _) = world.journal(Kind.JOURNAL_READ)
    assert first.actor == operator.identity.actor
    assert first.details == {"call": "show", "user": ada[0].id}
    assert Kind.JOURNAL_READ not in [each.kind for each in shown.events]


def test_nobody(world: World) -> None:
    with pytest.raises(UserNotFound):
        world.showing.show("nobody", world.operator().identity)
    assert world.journal(Kind.JOURNAL_READ) == []
