"""The outbox: what is written with its cause, sent once, tried again, and given up."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from cloud_keystore.audit import alerts
from cloud_keystore.mail.posting import PORTION
from cloud_keystore.model.errors import InvalidInput, UserNotFound
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import (
    LAST_TRY,
    LEASE_TIME,
    Outcome,
    State,
    Template,
    pause,
)
from cloud_keystore.storage import cards, tables
from cloud_keystore.storage.outbox import notifications
from cloud_keystore.storage.outbox.notifications import Terms
from cloud_keystore.storage.past import removing
from support.keystore_world import OPERATOR, World, secret_of
from support.outbox import MAIL, Told


@pytest.fixture
def told(world: World) -> Told:
    return Told(world)


def states(told: Told) -> list[State]:
    return [each.notification.state for each in told.listed()]


def test_an_invitation_is_mailed_with_the_token_that_the_operator_has(told: Told) -> None:
    _, token = told.person()
    (letter,) = told.send()
    assert letter.address == "ada@example.org"
    assert token in letter.text
    told.world.enrol(token)


def test_no_token_is_in_the_database(told: Told, world: World) -> None:
    _, token = told.person()
    secret = secret_of(token)
    with world.database.read() as connection:
        found = connection.execute(notifications.notification.select()).all()
    assert found
    kept = repr(found)
    assert token not in kept
    assert secret.hex() not in kept
    assert repr(secret) not in kept
    assert token not in repr(told.posting.take())


def test_nothing_is_written_where_no_mail_is_sent(world: World) -> None:
    world.people.add_user("Ada Byron", "ada@example.org", actor=OPERATOR)
    assert Told(world).listed() == []


def test_who_has_no_address_is_not_told(told: Told) -> None:
    told.person(email="")
    assert (told.listed(), told.send()) == ([], [])


def test_what_is_undone_is_not_told(told: Told, world: World) -> None:
    user, _ = told.person()

    def undone() -> None:
        with world.database.write() as connection:
            notifications.put(connection, Template.UNLOCKED, user.id, world.clock())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        undone()
    assert told.subjects() == ["Enrol your phone"]


def test_the_same_is_told_once(told: Told, world: World) -> None:
    user, _ = told.person()
    for _ in range(2):
        with world.database.write() as connection:
            notifications.put(connection, Template.LEFT, user.id, world.clock(), user.id)
        world.clock.forward(days=1)
    assert told.subjects().count("Your cards and phones are taken out of use") == 1


def test_who_has_the_lease_sends_alone(told: Told, world: World) -> None:
    told.person()
    (letter,) = told.posting.take()
    assert told.posting.take() == []
    world.clock.forward(seconds=LEASE_TIME.total_seconds() - 1)
    assert told.posting.take() == []
    told.posting.tell(letter.notification_id, letter.tries, Outcome.TAKEN, "")
    world.clock.forward(hours=1)
    assert (told.posting.take(), states(told)) == ([], [State.SENT])


def test_a_lost_lease_is_sent_once_more(told: Told, world: World) -> None:
    """Who ends between sending and writing it down has sent it; one more follows, and the late word
    of the first counts for nothing.
    """
    told.person()
    (first,) = told.posting.take()
    world.clock.forward(seconds=LEASE_TIME.total_seconds())
    (second,) = told.posting.take()
    assert (second.notification_id, second.tries) == (first.notification_id, 2)
    told.posting.tell(first.notification_id, first.tries, Outcome.REFUSED, "550")
    assert states(told) == [State.SENDING]
    told.posting.tell(second.notification_id, second.tries, Outcome.TAKEN, "")
    assert states(told) == [State.SENT]


def test_who_ends_gives_back_what_it_has_not_tried(told: Told) -> None:
    told.person()
    (letter,) = told.posting.take()
    told.posting.tell(letter.notification_id, letter.tries, Outcome.UNTRIED, "")
    (again,) = told.posting.take()
    assert again.tries == 1


def test_what_can_be_taken_later_is_tried_for_a_day(told: Told, world: World) -> None:
    """BUG-25: retry with back-off, then the failed state that the operator sees."""
    user, _ = told.person()
    began, waits = world.clock(), []
    for tries in range(1, LAST_TRY + 1):
        (letter,) = told.posting.take()
        assert letter.tries == tries
        told.posting.tell(letter.notification_id, tries, Outcome.LATER, "451 Later")
        assert told.posting.take() == []
        (listing,) = told.listed()
        if tries < LAST_TRY:
            assert listing.notification.state is State.WAITING
            waits.append(listing.notification.next_time - world.clock())
            world.clock.now = listing.notification.next_time
    assert waits == [pause(tries) for tries in range(1, LAST_TRY)]
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert max(waits) == timedelta(hours=2)
    assert timedelta(days=1) <= world.clock() - began < timedelta(days=1, hours=1)
    (failed,) = told.listed(user, failed=True)
    assert (failed.notification.state, failed.notification.why) == (State.FAILED, "451 Later")
    assert failed.user_display_name == "Ada Byron"
    alerts = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert [each.alert.kind.value for each in alerts] == ["undelivered"]


def test_what_is_refused_for_ever_fails_at_once_and_raises_one_alert(
    told: Told, world: World
) -> None:
    """BUG-25: no alert names an address."""
    for number in range(3):
        told.person(f"ada{number}@example.org")
    for letter in told.posting.take():
        told.posting.tell(letter.notification_id, letter.tries, Outcome.REFUSED, "550 Unknown")
    assert states(told) == [State.FAILED] * 3
    (listing,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert "@" not in listing.alert.text


def test_what_has_failed_goes_to_the_address_of_now(told: Told, world: World) -> None:
    user, token = told.person("adda@example.org")
    (letter,) = told.posting.take()
    told.posting.tell(letter.notification_id, letter.tries, Outcome.REFUSED, "550 Unknown")
    world.people.change_user(user.id, None, "ada@example.org", actor=OPERATOR)
    assert told.notifications.retry(user.id, actor=OPERATOR) == 1
    assert told.notifications.retry(user.id, actor=OPERATOR) == 0
    letters = {each.subject: each for each in told.send()}
    again = letters["Enrol your phone"]
    assert (again.address, again.tries, token in again.text) == ("ada@example.org", 1, True)
    (entry,) = world.journal(Kind.NOTIFICATIONS_RETRIED)
    assert (entry.actor, entry.user_id, entry.details) == (OPERATOR, user.id, {"notifications": 1})


def test_all_that_has_failed_is_tried_again(told: Told) -> None:
    for number in range(3):
        told.person(f"ada{number}@example.org")
    for letter in told.posting.take():
        told.posting.tell(letter.notification_id, letter.tries, Outcome.REFUSED, "550 Unknown")
    assert told.notifications.retry("", actor=OPERATOR) == 3
    assert len(told.send()) == 3


def test_a_test_goes_to_any_address(told: Told, world: World) -> None:
    told.notifications.test("o'brien+x@example.org", actor=OPERATOR)
    (letter,) = told.send()
    assert (letter.address, letter.subject) == ("o'brien+x@example.org", "Test")
    (entry,) = world.journal(Kind.NOTIFICATION_TESTED)
    assert entry.actor == OPERATOR
    with pytest.raises(InvalidInput, match="give an address"):
        told.notifications.test("", actor=OPERATOR)


def test_a_keystore_without_mail_says_so(told: Told, world: World) -> None:
    silent = type(told.notifications)(world.database, world.clock, sends=False)
    with pytest.raises(InvalidInput, match="--mail-server"):
        silent.test("ada@example.org", actor=OPERATOR)
    with pytest.raises(InvalidInput, match="--mail-server"):
        silent.retry("", actor=OPERATOR)


def test_nobody_unknown_is_listed(told: Told) -> None:
    with pytest.raises(UserNotFound):
        told.notifications.list_all("nobody", failed=False, actor=OPERATOR)
    with pytest.raises(UserNotFound):
        told.notifications.retry("nobody", actor=OPERATOR)


def test_people_are_reminded_until_they_have_enrolled(told: Told, world: World) -> None:
    """COM-03: on days 3, 7 and 12, once each, and never after enrolment."""
    _, token = told.person()
    reminded: list[int] = []
    told.send()
    for day in range(1, 15):
        world.clock.forward(days=1)
        for letter in told.send():
            assert letter.subject == "Reminder: enrol your phone"
            assert token in letter.text
            reminded.append(day)
        assert told.send() == []
    assert reminded == [3, 7, 12]


def test_a_letter_names_who_helps_in_the_organisation(told: Told, world: World) -> None:
    """COM-02: as its organisation says, or the one above; else as the keystore does."""
    told.person()
    (letter,) = told.send()
    assert "Need help? Ask the service desk, 020 7946 0000." in letter.text
    trust = world.organisations.add("Trust", world.operator().identity)
    world.organisations.change(trust.id, contact="Mona <b>", actor=OPERATOR)
    ward = world.organisations.add("Ward", world.operator().identity, trust.id)
    world.people.add_user("Bo", "bo@example.org", organisation_id=ward.id, actor=OPERATOR)
    (letter,) = told.send()
    assert "Need help? Ask Mona <b>. Nobody" in letter.text
    assert "Need help? Ask Mona &lt;b&gt;. Nobody" in letter.html


def test_notifications_are_listed_by_pages(told: Told, world: World) -> None:
    for each in ("Ada", "Bo", "Cy"):
        told.person(f"{each}@example.org", each)
    whole = told.notifications.list_all("", failed=False, actor=OPERATOR)
    assert len(whole) == 3 * (1 + len(MAIL.remind_days))
    paged, after = [], ""
    while some := told.notifications.list_all("", Page(5, after), failed=False, actor=OPERATOR):
        assert len(some) <= 5
        paged += some
        after = some[-1].notification.id
    assert paged == whole
    ward = world.organisations.add("Ward", world.operator().identity)
    token = world.people.add_operator("Ida", "ra-agent", ward.id, actor=OPERATOR)
    ida = world.enrol(token.text).identity.actor
    assert told.notifications.list_all("", Page(5), failed=False, actor=ida) == []


def test_who_is_pending_shows_reminders_and_what_failed(told: Told, world: World) -> None:
    """USER-22."""
    told.person()
    told.send()
    world.clock.forward(days=3)
    (reminder,) = told.posting.take()
    world.clock.forward(seconds=1)
    told.posting.tell(reminder.notification_id, reminder.tries, Outcome.TAKEN, "")
    (pending,) = world.reports.pending(actor=OPERATOR)
    assert (pending.remind_time, pending.undelivered) == (world.clock(), 0)
    world.clock.forward(days=4)
    (reminder,) = told.posting.take()
    told.posting.tell(reminder.notification_id, reminder.tries, Outcome.REFUSED, "550")
    (after,) = world.reports.pending(actor=OPERATOR)
    assert (after.remind_time, after.undelivered) == (pending.remind_time, 1)
    assert after.progress.until is not None
    assert after.card_profile


@pytest.mark.parametrize("what", ["enrolled", "removed", "closed", "no address"])
def test_nobody_is_reminded_without_need(told: Told, world: World, what: str) -> None:
    """COM-03: never after enrolment or closing."""
    user, token = told.person()
    operator = world.operator().identity
    told.send()
    match what:
        case "enrolled":
            world.enrol(token)
        case "removed":
            world.devices.remove(world.phone_of(user).id, "wrong person", operator)
        case "closed":
            world.leaving.close(user.id, "left", operator)
        case "no address":
            world.people.change_user(user.id, None, "", actor=OPERATOR)
    told.send()
    world.clock.forward(days=13)
    assert told.send() == []
    found = told.notifications.list_all(user.id, failed=False, actor=OPERATOR)
    reminders = [each.notification for each in found if each.notification.template == "reminder"]
    assert [each.state for each in reminders] == [State.CANCELLED] * 3


def test_who_has_enrolled_by_a_second_invitation_is_not_reminded_of_the_first(
    told: Told, world: World
) -> None:
    """COM-03"""
    user, _ = told.person()
    told.send()
    world.enrol(world.people.invite_device(user.id, actor=OPERATOR).text)
    told.send()
    world.clock.forward(days=13)
    assert told.send() == []


def test_an_invitation_that_has_ended_is_not_mailed(told: Told, world: World) -> None:
    told.person()
    world.clock.forward(days=15)
    assert told.send() == []
    assert states(told) == [State.CANCELLED]


def test_what_is_of_no_use_keeps_nobody_waiting(told: Told, world: World) -> None:
    """A keystore that was out of service for long has many reminders of what has ended."""
    for number in range(PORTION):
        told.person(f"late.{number}@example.org", f"Late {number}")
    told.send()
    world.clock.forward(days=100)
    told.person()
    [letter] = told.posting.take()
    assert letter.address == "ada@example.org"


def test_what_was_told_long_ago_is_removed(told: Told, world: World) -> None:
    told.enrolled()
    before = world.clock() + timedelta(seconds=1)
    told.person("bob@example.org")
    with world.database.write() as connection:
        removing.remove(connection, before)
    # What still waits stays: the reminders.
    left = told.notifications.list_all("", failed=False, actor=OPERATOR)
    assert {each.notification.state for each in left} == {State.WAITING}


@pytest.mark.parametrize("what", ["user", "facts"])
def test_a_record_that_cannot_be_used_keeps_no_other_waiting(
    told: Told, world: World, what: str
) -> None:
    """Somebody has changed the record of a user; an earlier version has told other facts."""
    user, _ = told.person()
    if what == "user":
        with world.database.write() as connection:
            forged = update(tables.user).where(tables.user.c.id == user.id)
            connection.execute(forged.values(email="eve@example.org"))
    else:
        told.send()
        with world.database.write() as connection:
            notifications.put(connection, Template.DEVICE_ADDED, user.id, world.clock())
    told.person("bob@example.org", "Bob")
    (letter,) = told.send()
    assert letter.address == "bob@example.org"
    with world.database.read() as connection:
        states = connection.execute(select(notifications.n.why)).scalars().all()
    assert any(each.endswith(("is damaged", "cannot write it")) for each in states)


def test_a_chat_is_told_of_alerts_and_of_nobody(told: Told) -> None:
    """COM-05: off by default; no name, address or card in it."""
    world = told.world
    user, phone = told.enrolled()
    serial = world.card(user)
    told.send()
    world.cards.suspend(serial, actor=OPERATOR)

    def alert() -> None:
        with world.database.write() as connection:
            card = cards.named(connection, serial)
            alerts.repeated_unlocks(connection, card, 2, world.clock(), os.urandom)
            alerts.new_device(connection, phone.identity, world.clock(), os.urandom)

    told.send()
    alert()
    assert told.send() == []
    [raised] = world.alerts.list_all(include_acknowledged=False, actor=OPERATOR)
    world.alerts.acknowledge(raised.alert.id, world.operator().identity)
    world.database.tell_people(Terms((), media=frozenset({Medium.CHAT})))
    alert()
    [letter] = told.send()
    assert (letter.medium, letter.address) == (Medium.CHAT, "chat")
    assert 'alert "repeated-unlocks" was raised' in letter.text
    for secret in (serial, user.display_name, user.email, user.id):
        assert secret not in letter.text
    [listed] = [each for each in told.listed() if each.notification.template is Template.ALERT]
    assert (listed.user_display_name, listed.notification.address) == ("", "chat")
