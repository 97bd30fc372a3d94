"""Which pages are rung, for how long, and when no longer (AUTH-01)."""

from __future__ import annotations

import pytest

from cloud_keystore.custody.credentials import push_keys
from cloud_keystore.mail.push.rings import CONTENT, Ring, Rings
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Channel, Decision
from cloud_keystore.model.outbox.bells import LEASE_TIME, LONGEST_PAUSE, QUIET_TIME
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.model.people import User
from cloud_keystore.model.portal.assents import ANSWER_TIME, Subject
from cloud_keystore.storage.outbox import bells as rows
from support.keystore_world import Enrolled, World
from support.push_browser import PushBrowser, claims

ENDPOINT = "https://updates.push.services.mozilla.com/wpush/v2/secret"
SUBJECT = "https://cards.example.org"
UPN = "ada@example.org"


@pytest.fixture
def browser(world: World, ada: tuple[User, Enrolled]) -> PushBrowser:
    """The browser in which her page is rung."""
    made = PushBrowser()
    world.bells.hang(made.address(ENDPOINT), ada[1].identity)
    world.clock.forward(seconds=1)
    return made


@pytest.fixture
def rings(world: World) -> Rings:
    return Rings(world.database, world.clock, lambda size: b"s" * size, world.seal, SUBJECT)


def tell(rings: Rings, ring: Ring, outcome: Outcome, why: str = "") -> None:
    rings.tell(ring.device_id, ring.tries, outcome, why)


def test_a_request_rings_once_and_says_nothing(
    world: World, rings: Rings, browser: PushBrowser, serial: str, pc: Enrolled
) -> None:
    assert rings.take() == []
    asked = world.ask(serial, pc)
    (ring,) = rings.take()
    assert browser.read(ring.body) == CONTENT
    assert ring.endpoint == ENDPOINT
    with world.database.write() as connection:
        key = push_keys.find_or_make(connection, world.seal).public
    said = claims(ring.authorization, key)
    assert (said["aud"], said["sub"]) == ("https://updates.push.services.mozilla.com", SUBJECT)
    assert 0 < ring.seconds <= (asked.expire_time - world.clock()).total_seconds()
    assert "secret" not in repr(ring)
    # It is this process's alone to send, and once it is taken it is not sent again.
    assert rings.take() == []
    tell(rings, ring, Outcome.TAKEN)
    world.clock.forward(seconds=30)
    assert rings.take() == []


def test_what_is_asked_for_shortly_after_is_told_of_later(
    world: World, rings: Rings, browser: PushBrowser, serial: str, pc: Enrolled
) -> None:
    """Many requests ring no phone without end."""
    assert browser.secret
    world.ask(serial, pc)
    tell(rings, rings.take()[0], Outcome.TAKEN)
    for _ in range(3):
        world.clock.forward(milliseconds=1)
        world.ask(serial, pc)
    assert rings.take() == []
    world.clock.now += QUIET_TIME
    (ring,) = rings.take()
    tell(rings, ring, Outcome.TAKEN)
    world.clock.now += QUIET_TIME
    assert rings.take() == []


@pytest.mark.parametrize("ended", ["decided", "expired", "claimed", "scanned", "cancelled"])
def test_what_waits_no_longer_rings_nobody(
    world: World,
    rings: Rings,
    browser: PushBrowser,
    ada: tuple[User, Enrolled],
    serial: str,
    pc: Enrolled,
    ended: str,
) -> None:
    assert browser.secret
    channels = {"claimed": Channel, "scanned": [Channel.QR]}.get(ended, [Channel.PUSH])
    asked = world.ask(serial, pc, channels=channels)
    match ended:
        case "decided":
            world.decide(asked, ada[1], Decision.DENY)
        case "expired":
            world.clock.now = asked.expire_time
        case "claimed":
            world.deciding.claim(world.qr_text(asked), ada[1].identity)
        case "cancelled":
            world.asking.cancel(asked.id, pc.identity)
    assert rings.take() == []


@pytest.mark.usefixtures("serial")
def test_a_sign_in_rings_too(world: World, rings: Rings, pc: Enrolled) -> None:
    user, phone = world.user("Bea Blum", UPN)
    world.card(user)
    world.bells.hang(PushBrowser().address(ENDPOINT), phone.identity)
    world.clock.forward(seconds=1)
    world.signing_in.begin(b"r" * 16, "", pc.identity)  # with a QR code
    assert rings.take() == []
    world.signing_in.begin(b"s" * 16, UPN, pc.identity)
    (ring,) = rings.take()
    assert ring.device_id == phone.identity.id


def test_what_is_done_at_the_portal_rings_too(
    world: World, rings: Rings, browser: PushBrowser, ada: tuple[User, Enrolled]
) -> None:
    """As long as the phone can agree to it, and no longer than until it has answered."""
    user, phone = ada
    for answers in (True, False):
        with world.database.write() as connection:
            ask = world.assents.ask
            asked = ask(connection, user, Subject.LOG_IN, "visit", phone.identity)
        (ring,) = rings.take()
        assert browser.read(ring.body) == CONTENT
        assert 0 < ring.seconds <= ANSWER_TIME.total_seconds()
        tell(rings, ring, Outcome.LATER)
        if answers:
            world.assents.answer(asked.id, "", phone.identity, agrees=False, is_me=True)
        world.clock.now += ANSWER_TIME if not answers else LEASE_TIME
        assert rings.take() == []


def test_each_phone_of_the_holder_rings_and_nobody_elses(
    world: World,
    rings: Rings,
    browser: PushBrowser,
    ada: tuple[User, Enrolled],
    serial: str,
    pc: Enrolled,
) -> None:
    _, other = world.user("Bea Blum")
    second = world.enrol(world.people.invite_device(ada[0].id, actor=world.actor).text)
    for phone in (other, second):
        world.bells.hang(browser.address(ENDPOINT), phone.identity)
    world.clock.forward(seconds=1)
    world.ask(serial, pc)
    found = {each.device_id for each in rings.take()}
    assert found == {ada[1].identity.id, second.identity.id}


def test_what_is_not_taken_comes_again_later_and_later(
    world: World, rings: Rings, browser: PushBrowser, serial: str, pc: Enrolled
) -> None:
    assert browser.secret
    asked = world.ask(serial, pc)
    pauses: list[float] = []
    for _ in range(4):
        while not (found := rings.take()):
            world.clock.forward(milliseconds=500)
        pauses.append((world.clock() - asked.create_time).total_seconds())
        tell(rings, found[0], Outcome.LATER, "there was no answer in time")
    assert pauses == [0, 2, 6, 14]
    world.clock.now += LONGEST_PAUSE
    (ring,) = rings.take()
    tell(rings, ring, Outcome.UNTRIED)
    (again,) = rings.take()
    assert again.tries == ring.tries
    # Whoever had it has gone: another process has it after the lease.
    world.clock.now += LEASE_TIME
    world.ask(serial, pc)
    (ring,) = rings.take()
    assert ring.tries == again.tries + 1
    tell(rings, again, Outcome.REFUSED)  # comes too late to count
    tell(rings, ring, Outcome.TAKEN)
    assert world.journal(Kind.BELL_GONE) == []


def test_a_browser_that_is_gone_is_forgotten(
    world: World,
    rings: Rings,
    browser: PushBrowser,
    ada: tuple[User, Enrolled],
    serial: str,
    pc: Enrolled,
) -> None:
    world.ask(serial, pc)
    (ring,) = rings.take()
    tell(rings, ring, Outcome.REFUSED, "the answer was 410")
    with world.database.read() as connection:
        assert rows.sealed_of(connection, ring.device_id) is None
    (told,) = world.journal(Kind.BELL_GONE)
    assert (told.device_id, told.details["why"]) == (ring.device_id, "the answer was 410")
    world.clock.forward(seconds=30)
    world.ask(serial, pc)
    assert rings.take() == []
    # The page hangs it anew when it is opened.
    world.bells.hang(browser.address(ENDPOINT), ada[1].identity)
    world.clock.forward(seconds=1)
    world.ask(serial, pc)
    assert len(rings.take()) == 1
