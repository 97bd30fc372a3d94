"""How holders begin at the pages, by an invitation: what a token allows, and what it does not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cloud_keystore.model.actors import Actor, ActorKind
from cloud_keystore.model.errors import (
    AddressUnreachable,
    IdentityRejected,
    InvalidInput,
    TooManyCalls,
    UserClosed,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.portal.beginnings import LONGEST, MOST, Stage, Task
from cloud_keystore.people.people import TOKEN_TIME
from support.keystore_world import OPERATOR, World
from support.outbox import Told
from support.portal import EMAIL, OTHER, PASSWORD, code_in, other_than

VERIFY = "Your code to verify this address"


@pytest.fixture
def told(world: World) -> Told:
    world.set_policy(Policy(portal_passwords=True))
    return Told(world)


@pytest.fixture
def invited(told: Told) -> tuple[User, str]:
    """Ada, and the token in her letter."""
    user, token = told.person(EMAIL)
    told.send()
    return user, token


def code(told: Told) -> str:
    """The code in the letter that was sent last."""
    return code_in([each for each in told.send() if each.subject == VERIFY][-1].text)


def proved(world: World, told: Told, token: str) -> str:
    """A beginning in which the mailed code was given."""
    secret = world.beginnings.begin(token).secret
    world.beginnings.send_code(secret)
    assert world.beginnings.take_code(secret, f" {code(told)} ").is_verified
    return secret


def stages(world: World, secret: str) -> list[str]:
    return [str(each.stage) for each in world.beginnings.look(secret).tasks]


def test_from_the_invitation_to_a_card_in_use(
    world: World, told: Told, invited: tuple[User, str]
) -> None:
    """Each task is done where it belongs, and the list knows it; the journal has what was done."""
    user, token = invited
    secret = world.beginnings.begin(token).secret
    assert world.beginnings.look(secret).user.id == user.id
    assert stages(world, secret) == ["open", "later", "open", "later"]
    world.beginnings.send_code(secret)
    given = code(told)
    wrong = world.beginnings.take_code(secret, other_than(given))
    assert (wrong.is_verified, wrong.tries_left) == (False, 4)
    assert world.beginnings.take_code(secret, given).is_verified
    assert stages(world, secret) == ["done", "open", "open", "later"]
    assert world.beginnings.set_password(secret, "short").rule
    assert world.beginnings.set_password(secret, PASSWORD).is_set
    assert stages(world, secret) == ["done", "done", "open", "later"]
    letters = world.beginnings.invite(secret).text
    found = world.short_codes.exchange(letters)
    assert found is not None
    phone = world.enrol(found.text)
    assert phone.identity.user_id == user.id
    assert stages(world, secret) == ["done", "done", "done", "later"]
    serial = world.issuing.issue(b"r" * 16, user.id, "p256", actor=world.actor).card.serial
    assert stages(world, secret)[-1] == "open"
    world.passcodes.set_first(serial, b"471108", phone.identity)
    assert set(stages(world, secret)) == {"done"}
    assert world.portal_visits.ask(EMAIL, PASSWORD) is not None
    kinds = (Kind.ENROLMENT_BEGUN, Kind.ADDRESS_CODE_WRONG, Kind.ADDRESS_VERIFIED, Kind.PORTAL_SET)
    entries = world.journal(*kinds)
    assert [each.kind for each in entries] == [*kinds]
    assert {each.actor for each in entries} == {Actor(ActorKind.HOLDER, user.id)}
    assert secret not in repr(entries)
    assert token not in repr(entries)
    assert PASSWORD not in repr(entries)


def test_it_is_left_and_gone_on_with(world: World, told: Told, invited: tuple[User, str]) -> None:
    """By the same token or by a short code for it, with another secret, as far as it was."""
    user, token = invited
    first = proved(world, told, token)
    assert world.beginnings.set_password(first, PASSWORD).is_set
    world.beginnings.end(first)
    world.beginnings.end(first)
    with pytest.raises(IdentityRejected):
        world.beginnings.look(first)
    letters = world.short_codes.make(user.id, actor=OPERATOR).text
    for text in (token, f"https://cards.example.org/me/begin#{token}", letters):
        again = world.beginnings.begin(text).secret
        assert again not in ("", first)
        assert stages(world, again)[:2] == ["done", "done"]


def test_without_password_and_address_there_are_two_tasks(world: World) -> None:
    _, token = world.people.add_user("Bo Berg", "", actor=world.actor)
    assert token is not None
    secret = world.beginnings.begin(token.text).secret
    found = [each.task for each in world.beginnings.look(secret).tasks]
    assert found == [Task.PHONE, Task.PASSCODE]
    with pytest.raises(AddressUnreachable):
        world.beginnings.send_code(secret)


def test_a_token_alone_sets_no_password(
    world: World, told: Told, invited: tuple[User, str]
) -> None:
    """The attack: an operator has seen the token, or it was read over a shoulder. Another password
    needs the code that the holder's address gets, in the same beginning, whoever has verified it.
    """
    _, token = invited
    thief = world.beginnings.begin(token).secret
    with pytest.raises(InvalidInput, match="code first"):
        world.beginnings.set_password(thief, OTHER)
    mine = proved(world, told, token)
    with pytest.raises(InvalidInput, match="code first"):
        world.beginnings.set_password(thief, OTHER)
    assert world.beginnings.set_password(mine, PASSWORD).is_set


def test_only_the_first_password_is_set(
    world: World, told: Told, invited: tuple[User, str]
) -> None:
    """AUTH-08: the attack: the token of another phone, with the holder's mail."""
    user, token = invited
    secret = proved(world, told, token)
    assert world.beginnings.set_password(secret, PASSWORD).is_set
    another = world.people.invite_device(user.id, actor=world.actor).text
    world.clock.now += timedelta(hours=2)
    for each in (token, another):
        again = proved(world, told, each)
        with pytest.raises(InvalidInput, match="have a password already"):
            world.beginnings.set_password(again, OTHER)
    assert world.portal_visits.ask(EMAIL, PASSWORD) is not None


@pytest.mark.parametrize("text", ["", "cc1.", "BCDF-GHJK-LMNP", "cc1." + "A" * 64, "x" * 5000])
@pytest.mark.usefixtures("told")
def test_what_is_no_token_begins_nothing(world: World, text: str) -> None:
    assert world.beginnings.begin(text).secret == ""


def test_a_token_that_was_used_or_is_over_begins_nothing(
    world: World, invited: tuple[User, str]
) -> None:
    user, token = invited
    other = world.people.invite_device(user.id, actor=world.actor).text
    world.enrol(token)
    assert world.beginnings.begin(token).secret == ""
    operator = world.people.add_operator("Mallory", actor=world.actor).text
    assert world.beginnings.begin(operator).secret == ""
    going_on = world.beginnings.begin(other).secret
    world.clock.now += TOKEN_TIME
    assert world.beginnings.begin(other).secret == ""
    with pytest.raises(IdentityRejected):
        world.beginnings.look(going_on)


def test_it_ends_after_an_hour_and_with_the_invitation(
    world: World, invited: tuple[User, str]
) -> None:
    user, token = invited
    secret = world.beginnings.begin(token).secret
    world.clock.now += LONGEST - timedelta(seconds=1)
    assert world.beginnings.look(secret).stage(Task.PHONE) is Stage.OPEN
    world.clock.now += timedelta(seconds=1)
    for call in (
        world.beginnings.look,
        world.beginnings.send_code,
        world.beginnings.invite,
    ):
        with pytest.raises(IdentityRejected):
            call(secret)
    secret = world.beginnings.begin(token).secret
    world.devices.remove(world.phone_of(user).id, "lost", world.operator().identity)
    with pytest.raises(IdentityRejected):
        world.beginnings.send_code(secret)
    assert world.beginnings.begin(token).secret == ""


def test_whoever_has_left_goes_on_no_longer(world: World, invited: tuple[User, str]) -> None:
    user, token = invited
    secret = world.beginnings.begin(token).secret
    world.leaving.close(user.id, "left", world.operator().identity)
    with pytest.raises((IdentityRejected, UserClosed)):
        world.beginnings.look(secret)


def test_a_few_go_on_at_the_same_time(world: World, invited: tuple[User, str]) -> None:
    _, token = invited
    begun = []
    for _ in range(MOST + 1):
        begun.append(world.beginnings.begin(token).secret)
        world.clock.now += timedelta(seconds=1)
    with pytest.raises(IdentityRejected):
        world.beginnings.look(begun[0])
    for each in begun[1:]:
        world.beginnings.look(each)


def test_a_mailbox_is_not_flooded(world: World, told: Told, invited: tuple[User, str]) -> None:
    """PORT-05: codes are as few as those that are asked for on the phone."""
    _, token = invited
    secret = world.beginnings.begin(token).secret
    for _ in range(3):
        world.beginnings.send_code(secret)
    with pytest.raises(TooManyCalls):
        world.beginnings.send_code(world.beginnings.begin(token).secret)
    assert len([each for each in told.send() if each.subject == VERIFY]) <= 3
