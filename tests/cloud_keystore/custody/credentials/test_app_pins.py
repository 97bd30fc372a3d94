"""PINs that phones ask for before they approve, and how an operator lets a holder choose another
one: BUG-14, BUG-15.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cloud_keystore.model.errors import (
    ApprovalRejected,
    DeviceNotFound,
    IdentityRejected,
    InvalidInput,
    NoAppPin,
    NotAllowed,
)
from cloud_keystore.model.fields.app_pins import CODE_TIME, CODE_TRIES, PIN_TRIES, Asked, Tried
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import Decision, Operation, State
from cloud_keystore.model.people import User
from cloud_keystore.storage.credentials import app_pins
from support.keystore_world import OPERATOR, Enrolled, World
from support.outbox import Told

PIN, OTHER, WRONG = b"246802", b"135791", b"975310"
RIGHT = Tried(is_right=True, tries_left=PIN_TRIES)


@pytest.fixture
def phone(world: World, ada: tuple[User, Enrolled]) -> Enrolled:
    """Ada's phone, which asks for a PIN."""
    assert world.app_pins.choose(PIN, ada[1].identity) == RIGHT
    return ada[1]


@pytest.fixture
def operation(world: World, ada: tuple[User, Enrolled], pc: Enrolled) -> Operation:
    return world.ask(world.card(ada[0]), pc)


def code(world: World, phone: Enrolled) -> bytes:
    return world.app_pins.make_code(phone.identity.id, actor=OPERATOR).code.encode()


def test_without_its_pin_a_phone_approves_nothing(
    world: World, ada: tuple[User, Enrolled], phone: Enrolled, operation: Operation, pc: Enrolled
) -> None:
    """AUTH-06: and the PIN for one request permits no other one."""
    with pytest.raises(ApprovalRejected, match="asks for its PIN"):
        world.decide(operation, phone)
    other = world.ask(world.card(ada[0]), pc)
    assert world.app_pins.check(PIN, other.id, phone.identity) == RIGHT
    with pytest.raises(ApprovalRejected):
        world.decide(operation, phone)
    assert world.app_pins.check(WRONG, operation.id, phone.identity) == Tried(False, PIN_TRIES - 1)
    for each in (operation, other):  # a wrong one takes back what was permitted
        with pytest.raises(ApprovalRejected):
            world.decide(each, phone)
    assert world.app_pins.check(PIN, operation.id, phone.identity) == RIGHT
    assert world.decide(operation, phone) is State.APPROVED


def test_a_pin_is_good_for_two_minutes_and_denying_needs_none(
    world: World, phone: Enrolled, operation: Operation
) -> None:
    world.app_pins.check(PIN, operation.id, phone.identity)
    with world.database.read() as connection:
        pin = app_pins.find(connection, phone.identity.id)
    assert pin is not None
    now = world.clock()
    assert pin.permits(operation.id, now)
    assert not pin.permits(operation.id, now + timedelta(minutes=2))
    assert not pin.permits("", now)
    world.app_pins.check(WRONG, operation.id, phone.identity)
    assert world.decide(operation, phone, Decision.DENY) is State.DENIED


def test_a_sign_in_needs_it_too(
    world: World, ada: tuple[User, Enrolled], phone: Enrolled, pc: Enrolled
) -> None:
    world.card(ada[0])
    seen = world.signing_in.begin(b"r" * 16, "", pc.identity)
    with pytest.raises(ApprovalRejected, match="asks for its PIN"):
        world.admit(seen, phone)
    world.app_pins.check(PIN, seen.sign_in.id, phone.identity)
    assert world.admit(replace(seen, qr_text=""), phone) is State.APPROVED


def test_five_wrong_ones_lock_it(world: World, phone: Enrolled, operation: Operation) -> None:
    tried = [world.app_pins.check(WRONG, operation.id, phone.identity) for _ in range(PIN_TRIES)]
    assert [each.tries_left for each in tried] == list(reversed(range(PIN_TRIES)))
    assert world.app_pins.check(PIN, operation.id, phone.identity) == Tried(False, 0)
    assert world.app_pins.change(PIN, OTHER, phone.identity) == Tried(False, 0)
    assert world.app_pins.look(phone.identity) == Asked(is_set=True, tries_left=0)
    with pytest.raises(ApprovalRejected):
        world.decide(operation, phone)
    wrong = world.journal(Kind.APP_PIN_WRONG)
    assert [each.details["tries_left"] for each in wrong] == list(reversed(range(PIN_TRIES)))


@pytest.mark.parametrize("named", ["", "1" * 65, "a\0b", "a\nb"])
def test_what_names_no_request_is_not_kept(world: World, phone: Enrolled, named: str) -> None:
    """And no try is spent."""
    with pytest.raises(InvalidInput):
        world.app_pins.check(b"999999", named, phone.identity)
    assert world.app_pins.look(phone.identity).tries_left == PIN_TRIES


def test_it_is_chosen_once_and_changed_by_whoever_knows_it(world: World, phone: Enrolled) -> None:
    with pytest.raises(InvalidInput, match="has a PIN already"):
        world.app_pins.choose(OTHER, phone.identity)
    assert world.app_pins.change(PIN, b"111111", phone.identity).rule
    assert world.app_pins.change(WRONG, OTHER, phone.identity) == Tried(False, PIN_TRIES - 1)
    assert world.app_pins.change(PIN, OTHER, phone.identity) == RIGHT
    assert world.app_pins.check(PIN, "op", phone.identity).is_right is False
    assert world.app_pins.check(OTHER, "op", phone.identity) == RIGHT


def test_only_the_newest_code_counts_and_once(
    world: World, phone: Enrolled, operation: Operation
) -> None:
    """AUTH-15, BUG-14, BUG-15: three in a row; the operator never learns the PIN."""
    for _ in range(PIN_TRIES):
        world.app_pins.check(WRONG, operation.id, phone.identity)
    first, second, third = (code(world, phone) for _ in range(3))
    for old in (first, second):
        assert world.app_pins.reset(old, OTHER, phone.identity).is_right is False
    assert world.app_pins.reset(third, b"123456", phone.identity).rule
    assert world.app_pins.reset(third, OTHER, phone.identity) == RIGHT
    with pytest.raises(NoAppPin, match="no code that is still good"):
        world.app_pins.reset(third, PIN, phone.identity)
    assert world.app_pins.check(OTHER, operation.id, phone.identity) == RIGHT
    assert world.decide(operation, phone) is State.APPROVED
    made = world.journal(Kind.APP_PIN_CODE_MADE, Kind.APP_PIN_CODE_WRONG, Kind.APP_PIN_RESET)
    assert [each.kind for each in made] == [
        *(3 * [Kind.APP_PIN_CODE_MADE]),
        *(2 * [Kind.APP_PIN_CODE_WRONG]),
        Kind.APP_PIN_RESET,
    ]
    for secret in (PIN, OTHER, WRONG, first, third):
        assert secret.decode() not in str(made)


def test_the_holder_is_told_of_each_code(world: World) -> None:
    """COM-02: of what staff make, and never the code itself."""
    told = Told(world)
    _, token = told.person()
    phone = world.enrol(token)
    world.app_pins.choose(PIN, phone.identity)
    told.send()
    made = [code(world, phone).decode() for _ in range(2)]
    letters = told.send()
    subject = "A code was made for the PIN of your phone"
    assert [each.subject for each in letters] == [subject, subject]
    for letter in letters:
        assert phone.identity.display_name in letter.text
        assert not any(each in letter.text for each in made)


def test_a_code_ends_after_an_hour_and_after_five_tries(world: World, phone: Enrolled) -> None:
    late = code(world, phone)
    world.clock.forward(seconds=CODE_TIME.total_seconds())
    with pytest.raises(NoAppPin):
        world.app_pins.reset(late, OTHER, phone.identity)
    good = code(world, phone)
    for left in reversed(range(CODE_TRIES)):
        assert world.app_pins.reset(b"0" * 10, OTHER, phone.identity) == Tried(False, left)
    with pytest.raises(NoAppPin):
        world.app_pins.reset(good, OTHER, phone.identity)


def test_a_code_is_of_use_on_its_phone_alone(
    world: World, ada: tuple[User, Enrolled], phone: Enrolled
) -> None:
    second = world.enrol(world.people.invite_device(ada[0].id, actor=OPERATOR).text)
    made = code(world, phone)
    with pytest.raises(NoAppPin, match="no code that is still good"):
        world.app_pins.reset(made, OTHER, second.identity)
    assert world.app_pins.look(second.identity) == Asked(is_set=False)
    with pytest.raises(NoAppPin, match="asks for no PIN"):
        code(world, second)


def test_who_may_not_see_or_change_phones_makes_no_code(world: World, phone: Enrolled) -> None:
    auditor = world.auditor().actor
    with pytest.raises(NotAllowed):
        world.app_pins.make_code(phone.identity.id, actor=auditor)
    with pytest.raises(DeviceNotFound):
        world.app_pins.make_code("nothing", actor=OPERATOR)
    world.devices.remove(phone.identity.id, "lost", world.operator().identity)
    with pytest.raises(NoAppPin):
        code(world, phone)
    with pytest.raises(IdentityRejected):
        world.app_pins.check(PIN, "op", phone.identity)


def test_nobody_without_a_pin_is_asked_for_one(
    world: World, ada: tuple[User, Enrolled], operation: Operation
) -> None:
    assert world.app_pins.look(ada[1].identity) == Asked(is_set=False)
    with pytest.raises(NoAppPin, match="has no PIN"):
        world.app_pins.check(PIN, operation.id, ada[1].identity)
    assert world.decide(operation, ada[1]) is State.APPROVED
