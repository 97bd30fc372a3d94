"""A phone number is verified by a code that is sent to it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from cloud_keystore.mail.posting import Posting
from cloud_keystore.model.errors import (
    PhoneUnreachable,
    UserNotFound,
)
from cloud_keystore.model.fields.phones import CODE_TRIES, Confirmation
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.media import Medium
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.model.people import User
from cloud_keystore.run import restoring
from cloud_keystore.storage.credentials.phone_codes import phone_code
from cloud_keystore.storage.outbox.notifications import Terms, notification
from support.keystore_world import OPERATOR, Enrolled, World

NUMBER = "+447700900123"
BY_SMS = Terms((), media=frozenset({Medium.SMS}))


@pytest.fixture
def holder(world: World, ada: tuple[User, Enrolled]) -> tuple[User, Enrolled]:
    """Ada, whose number nobody has verified."""
    world.database.tell_people(BY_SMS)
    user = world.people.change_user(ada[0].id, None, None, NUMBER, actor=OPERATOR)
    return user, ada[1]


def received(world: World) -> list[tuple[str, str]]:
    """Numbers and texts that are due, which a gateway takes."""
    posting = Posting(world.database, world.clock, bytes, world.people, world.phones, None)
    letters = posting.take()
    for each in letters:
        assert each.medium is Medium.SMS
        posting.tell(each.notification_id, each.tries, Outcome.TAKEN, "")
    return [(each.address, each.text) for each in letters]


def code_in(text: str) -> str:
    code = text.split()[0]
    assert (len(code), code.isdigit()) == (6, True)
    return code


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


def verified(world: World, user: User) -> bool:
    [found] = world.people.search(user.uuid12 or "", 1, actor=OPERATOR)
    return found.user.phone_verify_time is not None


def test_a_holder_verifies_the_number(world: World, holder: tuple[User, Enrolled]) -> None:
    """USER-04."""
    user, phone = holder
    sent = world.phones.send_own(phone.identity)
    assert sent.phone == NUMBER
    [(to, text)] = received(world)
    assert to == NUMBER
    assert not verified(world, user)
    assert world.phones.confirm_own(code_in(text), phone.identity) == Confirmation(NUMBER, True)
    assert verified(world, user)
    (told,) = world.journal(Kind.PHONE_VERIFIED)
    assert (told.actor, told.user_id) == (phone.identity.actor, user.id)
    with pytest.raises(PhoneUnreachable, match="no code is awaited"):
        world.phones.confirm_own(code_in(text), phone.identity)


def test_an_operator_verifies_the_number_of_a_caller(
    world: World, holder: tuple[User, Enrolled]
) -> None:
    user, _ = holder
    world.phones.send(user.id, actor=OPERATOR)
    [(_, text)] = received(world)
    assert world.phones.confirm(user.id, code_in(text), actor=OPERATOR).is_verified
    assert verified(world, user)
    with pytest.raises(UserNotFound):
        world.phones.send("nobody", actor=OPERATOR)


def test_it_has_five_tries_and_ten_minutes(world: World, holder: tuple[User, Enrolled]) -> None:
    """USER-04; the attack: whoever has the holder's identity guesses the code."""
    user, phone = holder
    world.phones.send_own(phone.identity)
    [(_, text)] = received(world)
    wrong = other_than(code_in(text))
    for left in reversed(range(CODE_TRIES)):
        answer = world.phones.confirm_own(wrong, phone.identity)
        assert (answer.is_verified, answer.tries_left) == (False, left)
    for code in (wrong, code_in(text)):
        with pytest.raises(PhoneUnreachable):
            world.phones.confirm_own(code, phone.identity)
    world.phones.send_own(phone.identity)
    [(_, text)] = received(world)
    world.clock.forward(minutes=10)
    with pytest.raises(PhoneUnreachable):
        world.phones.confirm_own(code_in(text), phone.identity)
    assert not verified(world, user)
    assert len(world.journal(Kind.PHONE_CODE_WRONG)) == CODE_TRIES


@pytest.mark.parametrize("given", ["", "1", "١٢٣٤٥٦", "x" * 1000])
def test_what_is_no_code_is_a_wrong_one(
    world: World, holder: tuple[User, Enrolled], given: str
) -> None:
    world.phones.send_own(holder[1].identity)
    assert world.phones.confirm_own(given, holder[1].identity).tries_left == CODE_TRIES - 1


def test_the_newest_code_alone_is_good(world: World, holder: tuple[User, Enrolled]) -> None:
    _, phone = holder
    world.phones.send_own(phone.identity)
    world.phones.send_own(phone.identity)
    [(_, text)] = received(world)  # the first one is of no use, and is not sent
    assert world.phones.confirm_own(code_in(text), phone.identity).is_verified


def test_a_number_is_rung_few_times(world: World, holder: tuple[User, Enrolled]) -> None:
    """COM-04; the attack: somebody's phone is flooded, also by way of several people."""
    _, phone = holder
    other, device = world.user("Grace Hopper")
    world.people.change_user(other.id, None, None, NUMBER, actor=OPERATOR)
    world.phones.send_own(phone.identity)
    world.phones.send_own(device.identity)
    world.phones.send(other.id, actor=OPERATOR)
    for refused in (
        lambda: world.phones.send_own(phone.identity),
        lambda: world.phones.send(other.id, actor=OPERATOR),
    ):
        with pytest.raises(PhoneUnreachable, match="this number"):
            refused()
    sent = 3
    for _ in range(12):
        world.clock.forward(hours=1)
        if sent < 10:
            world.phones.send_own(phone.identity)
            sent += 1
    with pytest.raises(PhoneUnreachable):
        world.phones.send_own(phone.identity)


def test_another_number_is_not_verified(world: World, holder: tuple[User, Enrolled]) -> None:
    user, phone = holder
    world.phones.send_own(phone.identity)
    [(_, text)] = received(world)
    world.people.change_user(user.id, None, None, "+447700900124", actor=OPERATOR)
    with pytest.raises(PhoneUnreachable):
        world.phones.confirm_own(code_in(text), phone.identity)
    world.people.change_user(user.id, None, None, NUMBER, actor=OPERATOR)
    world.phones.send_own(phone.identity)
    [(_, text)] = received(world)
    world.phones.confirm_own(code_in(text), phone.identity)
    world.people.change_user(user.id, "Ada King", None, actor=OPERATOR)
    assert verified(world, user)
    world.people.change_user(user.id, None, None, "+447700900124", actor=OPERATOR)
    assert not verified(world, user)


def test_nothing_is_sent_without_a_number_or_a_gateway(
    world: World, ada: tuple[User, Enrolled]
) -> None:
    with pytest.raises(PhoneUnreachable, match="no phone number"):
        world.phones.send_own(ada[1].identity)
    world.people.change_user(ada[0].id, None, None, NUMBER, actor=OPERATOR)
    with pytest.raises(PhoneUnreachable, match="sends no SMS"):
        world.phones.send_own(ada[1].identity)


def test_no_code_is_kept(world: World, holder: tuple[User, Enrolled]) -> None:
    """The attack: whoever reads the database knows the code."""
    world.phones.send_own(holder[1].identity)
    [(_, text)] = received(world)
    with world.database.read() as connection:
        kept = [
            *connection.execute(select(phone_code)).mappings(),
            *connection.execute(select(notification)).mappings(),
        ]
    assert code_in(text) not in str([{**row, "mac": None, "id": None} for row in kept])
    assert code_in(text) not in str(world.journal())


def test_a_restored_keystore_has_no_codes(world: World, holder: tuple[User, Enrolled]) -> None:
    world.phones.send_own(holder[1].identity)
    [(_, text)] = received(world)
    restoring.end_the_past(world.database, world.clock(), {})
    with pytest.raises(PhoneUnreachable):
        world.phones.confirm_own(code_in(text), holder[1].identity)


def test_nobody_elses_code(world: World, holder: tuple[User, Enrolled]) -> None:
    world.phones.send_own(holder[1].identity)
    [(_, text)] = received(world)
    _, stranger = world.user("Mallory")
    with pytest.raises(PhoneUnreachable):
        world.phones.confirm_own(code_in(text), stranger.identity)
    gone = replace(stranger.identity, user_id="nobody")
    with pytest.raises(UserNotFound):
        world.phones.send_own(gone)
