"""A person leaves: one transaction ends everything, and history stays."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import IdentityRejected, TokenRejected, UserClosed, UserNotFound
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.operations import State
from cloud_keystore.model.people import IdentityState, User, UserState
from cloud_keystore.storage import people, sessions
from support.crashing import Crash, crashing
from support.keystore_world import OPERATOR, SESSIONS, Enrolled, World


@pytest.fixture
def operator(world: World) -> Enrolled:
    return world.operator()


def found(world: World, user: User) -> User:
    with world.database.read() as connection:
        return people.user(connection, user.id)


def test_all_that_a_leaver_has_ends(
    world: World, ada: tuple[User, Enrolled], serial: str, pc: Enrolled, operator: Enrolled
) -> None:
    """One command in place of four."""
    world.set_policy(SESSIONS)
    pending = world.issuing.issue(os.urandom(16), ada[0].id, "v2", actor=OPERATOR).card.serial
    session = world.session(serial, pc, ada[1])
    operation = world.ask(serial, pc)
    token = world.people.invite_device(ada[0].id, actor=OPERATOR)
    bystander = world.card(world.user("Bo")[0])
    foreseen = world.leaving.foresee(ada[0].id, operator.identity)
    assert found(world, ada[0]).state is UserState.ACTIVE
    world.woken.clear()

    ended = world.leaving.close(ada[0].id, "left the trust", operator.identity)

    assert ended.user.state is UserState.CLOSED
    assert (foreseen.cards, foreseen.phones, foreseen.invitations) == (
        ended.cards,
        ended.phones,
        ended.invitations,
    )
    assert {card.serial for card in ended.cards} == {serial, pending}
    assert (ended.operations, ended.sessions) == (foreseen.operations, foreseen.sessions) == (1, 1)
    for each in (serial, pending):
        assert world.find(each).card.state is CardState.REVOKED
    assert world.find(bystander).card.state is CardState.ACTIVE
    assert world.state(operation) is State.CANCELLED
    with world.database.read() as connection:
        kept = sessions.find(connection, session.id)
        states = [each.state for each in people.list_devices(connection, ada[0].id)]
    assert kept is not None
    assert kept.end_time is not None
    assert states == [IdentityState.REMOVED] * 2
    with pytest.raises(TokenRejected):
        world.enrol(token.text)
    assert {ada[0].id, operation.id} <= set(world.woken)
    (told,) = world.journal(Kind.USER_CLOSED)
    assert (told.user_id, told.actor) == (ada[0].id, operator.identity.actor)
    assert told.details == {
        "reason": "left the trust",
        "cards": 2,
        "phones": 1,
        "invitations": 1,
        "accounts": 0,
    }
    revoked = world.journal(Kind.CARD_REVOKED)
    assert [entry.details["reason"] for entry in revoked] == ["left the trust"] * 2


def test_who_has_left_gets_nothing_more(
    world: World, ada: tuple[User, Enrolled], operator: Enrolled
) -> None:
    request_id = os.urandom(16)
    world.leaving.close(ada[0].id, "left", operator.identity)
    for attempt in attempts(world, ada[0], request_id):
        with pytest.raises(UserClosed, match="has left"):
            attempt()


def attempts(world: World, user: User, request_id: bytes) -> list[Callable[[], object]]:
    return [
        lambda: world.people.invite_device(user.id, actor=OPERATOR),
        lambda: world.issuing.issue(request_id, user.id, "p256", actor=OPERATOR),
        lambda: world.people.change_user(user.id, "Bo", None, actor=OPERATOR),
    ]


def test_a_card_that_is_being_made_meanwhile_is_not_issued(
    world: World, ada: tuple[User, Enrolled], operator: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order ends with the person; no keys are made for it."""
    make = type(world.custody).make

    def leave_then_make(*given: object, **named: object) -> object:
        world.leaving.close(ada[0].id, "left", operator.identity)
        return make(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.custody), "make", leave_then_make)
    with pytest.raises(UserClosed):
        world.issuing.issue(os.urandom(16), ada[0].id, "p256", actor=OPERATOR)
    [ordered] = world.cards.list_all(actor=world.actor)
    assert ordered.card.state is CardState.REVOKED
    assert world.keys(ordered.card.serial) == ()


def test_who_repeats_it_ends_nothing_more(
    world: World, ada: tuple[User, Enrolled], operator: Enrolled
) -> None:
    world.card(ada[0])
    first = world.leaving.close(ada[0].id, "left", operator.identity)
    again = world.leaving.close(ada[0].id, "for another reason", operator.identity)
    assert len(first.cards) == 1
    assert (again.cards, again.phones, again.invitations) == ((), (), ())
    assert again.user == first.user
    assert again.user.reason == "left"
    assert len(world.journal(Kind.USER_CLOSED)) == 1


def test_a_crash_at_any_statement_leaves_all_or_nothing(
    world: World, ada: tuple[User, Enrolled], serial: str, operator: Enrolled
) -> None:
    """kill -9 in between, then the same command again, ends it."""
    for number in range(1, 1000):
        try:
            with crashing(number):
                world.leaving.close(ada[0].id, "left", operator.identity)
        except Crash:
            state = world.find(serial).card.state
            assert (found(world, ada[0]).state is UserState.CLOSED) is (state is CardState.REVOKED)
        else:
            break
    assert number > 5
    world.leaving.close(ada[0].id, "left", operator.identity)
    assert found(world, ada[0]).state is UserState.CLOSED
    assert world.find(serial).card.state is CardState.REVOKED


def test_an_operator_who_was_removed_meanwhile_closes_nobody(
    world: World, ada: tuple[User, Enrolled], operator: Enrolled
) -> None:
    other = world.operator()
    world.identities.remove(other.identity.role, other.identity.id, "left", operator.identity)
    with pytest.raises(IdentityRejected, match="removed"):
        world.leaving.close(ada[0].id, "left", other.identity)
    assert found(world, ada[0]).state is UserState.ACTIVE


def test_nobody(world: World, operator: Enrolled) -> None:
    with pytest.raises(UserNotFound):
        world.leaving.close("nobody", "left", operator.identity)
    with pytest.raises(UserNotFound):
        world.leaving.foresee("nobody", operator.identity)
