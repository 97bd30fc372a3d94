"""Guessing gets slower and slower, for each passcode and for each workstation, and is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from card_os.piv.names import KeyRef
from cloud_keystore.model.alerts import AlertKind
from cloud_keystore.model.errors import TooManyGuesses
from cloud_keystore.model.finding import Sort
from cloud_keystore.model.passcodes import (
    FACTORY_PASSCODES,
    MOST_GUESSES,
    Mismatch,
    PolicyViolation,
    Status,
    Verified,
)
from cloud_keystore.model.people import User
from cloud_keystore.people.finding import Finding
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

WRONG = b"000000"
DAY = timedelta(days=1)


def guess(world: World, serial: str, pc: Enrolled) -> object:
    """A wrong passcode's outcome, or the refusal to compare it."""
    try:
        return world.passcodes.verify(serial, KeyRef.PIN, WRONG, pc.identity)
    except TooManyGuesses as refused:
        return refused


def kinds(world: World) -> list[AlertKind]:
    return [
        each.alert.kind
        for each in world.alerts.list_all(include_acknowledged=True, actor=world.actor)
    ]


def test_unlocking_again_and_again_finds_no_passcode(
    world: World, serial: str, pc: Enrolled
) -> None:
    """The attack: an operator unlocked the card after every third guess at a workstation, and found
    a passcode after 151 guesses, in 20 seconds.
    """
    begun, compared = world.clock(), 0
    while world.clock() - begun < 30 * DAY:
        world.unlock(serial)
        while isinstance(outcome := guess(world, serial, pc), Mismatch) and outcome.tries_left:
            compared += 1
        compared += isinstance(outcome, Mismatch)
        world.clock.forward(hours=3)
    assert compared < 45
    assert AlertKind.REPEATED_UNLOCKS in kinds(world)


def test_only_the_right_passcode_forgets_failures(world: World, serial: str, pc: Enrolled) -> None:
    for _ in range(3):
        guess(world, serial, pc)
    world.unlock(serial)
    assert guess(world, serial, pc) == Mismatch(2)  # at once after the unlock
    assert world.passcodes.status(serial, KeyRef.PIN).failures == 4
    with pytest.raises(TooManyGuesses, match=r"wrong 4 times .* try again in 1 min"):
        world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
    assert world.passcodes.status(serial, KeyRef.PIN).tries_left == 2
    world.clock.forward(minutes=1)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)
    status = world.passcodes.status(serial, KeyRef.PIN)
    assert (status.failures, status.unlocks, status.retry_time) == (0, 0, None)


@pytest.mark.parametrize(
    ("failures", "delay"),
    [
        (3, None),
        (4, timedelta(minutes=1)),
        (5, timedelta(minutes=2)),
        (8, timedelta(minutes=16)),
        (14, timedelta(minutes=1024)),
        (15, DAY),
        (10**6, DAY),
    ],
)
def test_delays_grow(world: World, failures: int, delay: timedelta | None) -> None:
    now = world.clock()
    status = Status(tries_left=1, failures=failures, fail_time=now)
    assert status.retry_time == (None if delay is None else now + delay)


def test_the_puk_is_slowed_down_too(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> None:
    serial = world.card(ada[0])
    outcomes = [world.passcodes.reset(serial, b"", b"", pc.identity) for _ in range(3)]
    world.unlock(serial)
    outcomes.append(world.passcodes.reset(serial, b"", b"", pc.identity))
    assert outcomes == [Mismatch(2), Mismatch(1), Mismatch(0), Mismatch(2)]
    with pytest.raises(TooManyGuesses):
        world.passcodes.change(serial, KeyRef.PUK, b"", b"", pc.identity)


def test_a_workstation_locks_few_cards_and_is_told_of(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: malware on one workstation locked 30 cards of other people, one after the other,
    and nobody was told.
    """
    cards = [world.card(ada[0]) for _ in range(8)]
    outcomes = [guess(world, serial, pc) for serial in cards for _ in range(3)]
    assert sum(isinstance(each, Mismatch) for each in outcomes) == MOST_GUESSES
    assert all(isinstance(each, TooManyGuesses) for each in outcomes[MOST_GUESSES:])
    (told,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert told.alert.kind is AlertKind.WRONG_PASSCODES
    assert told.workstation_display_name == pc.identity.display_name
    finding = Finding(world.database, world.clock)
    (found,) = finding.find(Sort.ALERT, pc.identity.display_name, actor=world.actor)
    assert found.id == told.alert.id
    elsewhere = world.workstation("WARD8-PC1").identity
    right = world.passcodes.verify(cards[-1], KeyRef.PIN, PASSCODE, elsewhere)
    assert isinstance(right, Verified)
    with pytest.raises(TooManyGuesses, match="at this workstation"):
        world.passcodes.verify(cards[-1], KeyRef.PIN, PASSCODE, pc.identity)
    world.clock.forward(hours=1)
    right = world.passcodes.verify(cards[-1], KeyRef.PIN, PASSCODE, pc.identity)
    assert isinstance(right, Verified)


def test_right_passcodes_do_not_count_for_a_workstation(
    world: World, serial: str, pc: Enrolled
) -> None:
    for _ in range(MOST_GUESSES + 1):
        outcome = world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity)
        assert isinstance(outcome, Verified)
    assert kinds(world) == []


def test_cards_whose_passcodes_everybody_knows_do_not_count(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """Yubico's tools block such a card, at fifteen tries each, to reset it."""
    serial = world.card(ada[0], "developer")
    pin, puk = FACTORY_PASSCODES[KeyRef.PIN], FACTORY_PASSCODES[KeyRef.PUK]
    administrator = world.administrator(serial, pc)
    proof = world.proof(serial, pc)
    world.administration.set_tries(administrator, proof, 15, 15)
    for _ in range(15):
        world.passcodes.verify(serial, KeyRef.PIN, b"999999", pc.identity)
        world.passcodes.reset(serial, b"99999999", pin, pc.identity)
    world.administration.reset_card(serial, pc.identity)
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, pin, pc.identity), Verified)
    changed = world.passcodes.change(serial, KeyRef.PUK, puk, b"87654321", pc.identity)
    assert changed == Verified(b"")
    assert kinds(world) == []


def test_a_passcode_that_is_guessed_first_is_refused(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: 000000 and 123456 were accepted, which a guesser tries first."""
    serial = world.issuing.issue(b"\5" * 16, ada[0].id, "p256", actor=OPERATOR).card.serial
    puk = world.passcodes.set_first(serial, PASSCODE, ada[1].identity).encode()
    for outcome in (
        world.passcodes.change(serial, KeyRef.PIN, PASSCODE, b"123456", pc.identity),
        world.passcodes.change(serial, KeyRef.PUK, puk, b"12121212", pc.identity),
        world.passcodes.reset(serial, puk, b"000000", pc.identity),
    ):
        assert isinstance(outcome, PolicyViolation)
        assert outcome.rule.startswith("harder to guess")
    assert isinstance(world.passcodes.verify(serial, KeyRef.PIN, PASSCODE, pc.identity), Verified)
