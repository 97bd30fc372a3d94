"""Issuing is resumed wherever it stops: one card in the end, and no key that no card has (CARD-06,
CARD-07, BUG-19, BUG-20).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud_keystore.cards import leases
from cloud_keystore.cards.issuing import LEASE_TIME, MOST_TURNS
from cloud_keystore.cards.spares import PLAN_TIME
from cloud_keystore.custody.backends import destroying
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.cards import LIVE, OVER, Card, CardState, KeyPolicies
from cloud_keystore.model.errors import (
    IllegalCardChange,
    InvalidInput,
    KeyBackendUnavailable,
    UserClosed,
)
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Stage, User
from cloud_keystore.run import restoring
from cloud_keystore.storage.issuing import orders, planned_keys
from support.crashing import Crash, crashing
from support.fake_token import FakeToken, nothing, on_token
from support.keystore_world import OPERATOR, Enrolled, World

REQUEST = bytes(16)


@pytest.fixture
def token(world: World) -> FakeToken:
    return on_token(world)


def issue(world: World, user: User, profile: str = "p256") -> Card:
    return world.issuing.issue(REQUEST, user.id, profile, actor=OPERATOR).card


def restarted(world: World, token: FakeToken) -> None:
    """What the keystore does at a start, and in the second after it."""
    leases.end(world.database, None, world.clock())
    swept(world, token)


def swept(world: World, token: FakeToken) -> None:
    destroying.sweep(world.database, token, world.clock())
    destroying.sweep_planned(world.database, token, world.clock())


def all_cards(world: World) -> list[Card]:
    return [each.card for each in world.cards.list_all(actor=world.actor)]


def of_cards(world: World, cards: list[Card]) -> set[bytes]:
    """The handles of the keys of cards."""
    return {UUID(key.id).bytes for card in cards for key in world.keys(card.serial)}


def planned(world: World) -> frozenset[bytes]:
    with world.database.read() as connection:
        return planned_keys.handles(connection)


WAYS: dict[str, Callable[[World, User, str], object]] = {
    "resume": lambda world, _user, serial: world.issuing.resume(serial, actor=OPERATOR),
    "repeat": lambda world, user, _serial: issue(world, user),
    "upkeep": lambda world, _user, _serial: world.issuing.go_on(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("world", "stride"),
    [("sqlite", 1), ("postgresql", len(WAYS))],
    indirect=["world"],
    ids=["sqlite", "postgresql"],
)
def test_killed_at_each_step_it_ends_with_one_card_and_no_other_key(
    world: World, token: FakeToken, ada: tuple[User, Enrolled], way: str, stride: int
) -> None:
    """Each statement and commit of issuing is somebody's last, and each of going on with it. On
    PostgreSQL, which takes longer, each is so in one of the ways.
    """
    first = 1 + list(WAYS).index(way) % stride
    for number in range(first, 1000, stride):
        try:
            with crashing(number):
                issue(world, ada[0])
        except Crash:
            restarted(world, token)
            assert token.held == of_cards(world, all_cards(world))
            found = all_cards(world)
            if found and found[0].state is CardState.ISSUING:
                try:
                    with crashing(number):
                        WAYS[way](world, ada[0], found[0].serial)
                except Crash:
                    restarted(world, token)
        else:
            break
    assert number > 25
    [card] = all_cards(world)
    assert card.state is CardState.PENDING
    restarted(world, token)
    assert token.held == of_cards(world, [card])
    assert len(token.held) == 4
    assert planned(world) == frozenset()
    assert len(world.journal(Kind.CARD_ISSUED)) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("key", range(4))
def test_killed_after_a_key_is_made(
    world: World, token: FakeToken, ada: tuple[User, Enrolled], way: str, key: int
) -> None:
    """The token has the key, and no row of a card knows it: what used to leave orphans."""
    made: list[None] = []

    def die() -> None:
        made.append(None)
        if len(made) > key:
            token.away = True
            raise Crash

    token.after = die
    with pytest.raises(Crash):
        issue(world, ada[0])
    assert len(token.held) == key + 1
    token.after, token.away = nothing, False
    restarted(world, token)
    assert token.held == set()
    [begun] = all_cards(world)
    assert begun.state is CardState.ISSUING
    WAYS[way](world, ada[0], begun.serial)
    [card] = all_cards(world)
    assert (card.serial, card.state) == (begun.serial, CardState.PENDING)
    swept(world, token)
    assert token.held == of_cards(world, [card])


def _crash() -> None:
    raise Crash


def test_a_card_that_is_made_is_not_made_twice(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """A repeated call while the first one works makes nothing, and gets the card as it is."""
    seen: list[CardState] = []

    def ask_again() -> None:
        token.after = nothing
        seen.append(issue(world, ada[0]).state)
        with pytest.raises(IllegalCardChange, match="being issued"):
            world.issuing.resume(all_cards(world)[0].serial, actor=OPERATOR)
        assert world.issuing.go_on() == 0

    token.after = ask_again
    assert issue(world, ada[0]).state is CardState.PENDING
    assert seen == [CardState.ISSUING]
    assert len(all_cards(world)) == 1


def test_a_failure_says_what_to_do_and_is_resumed(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """BUG-20: a cause in words, the card among those that wait, and a safe retry."""
    token.away = True
    with pytest.raises(KeyBackendUnavailable, match=r"connect it; card \d+ has failed.*resume"):
        issue(world, ada[0])
    [listing] = world.cards.list_all(actor=world.actor)
    assert (listing.card.state, listing.cause) == (
        CardState.FAILED,
        "the token is not there: connect it",
    )
    (waits,) = world.reports.pending(actor=world.actor)
    assert (waits.progress.stage, waits.progress.card) == (Stage.CARD_FAILED, listing.card.serial)
    assert waits.cause == listing.cause
    assert world.issuing.go_on() == 0  # a person decides
    token.away = False
    assert issue(world, ada[0]).serial == listing.card.serial
    [made] = world.cards.list_all(actor=world.actor)
    assert (made.card.state, made.cause) == (CardState.PENDING, "")
    kinds = [entry.kind for entry in world.journal() if entry.card_id == listing.card.id]
    assert kinds == [Kind.CARD_ORDERED, Kind.CARD_FAILED, Kind.CARD_ORDERED, Kind.CARD_ISSUED]


def test_a_failure_of_the_program_is_told_in_words(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    def break_() -> None:
        raise ZeroDivisionError("secret")

    token.after = break_
    with pytest.raises(ZeroDivisionError):
        issue(world, ada[0])
    [listing] = world.cards.list_all(actor=world.actor)
    assert listing.card.state is CardState.FAILED
    assert "secret" not in listing.cause
    assert "log" in listing.cause
    swept(world, token)
    assert token.held == set()


def test_what_cannot_be_made_is_given_up(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """The token has no such algorithm: nobody has to clear away a card that failed."""
    with pytest.raises(InvalidInput, match="ECC_P256"):
        issue(world, ada[0], "v2")
    [card] = all_cards(world)
    assert card.state is CardState.CANCELLED
    swept(world, token)
    assert token.held == set()


def test_a_card_that_is_cancelled_leaves_nothing(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """Also one that is being made at that moment: what is made then is destroyed."""

    def cancel() -> None:
        token.after = nothing
        world.issuing.cancel(all_cards(world)[0].serial, actor=OPERATOR)

    token.after = cancel
    with pytest.raises(IllegalCardChange, match="cancelled meanwhile"):
        issue(world, ada[0])
    swept(world, token)
    assert token.held == set()
    [card] = all_cards(world)
    assert card.state is CardState.CANCELLED
    with pytest.raises(IllegalCardChange):
        world.issuing.cancel(card.serial, actor=OPERATOR)
    assert issue(world, ada[0]).state is CardState.CANCELLED  # a late repetition changes nothing
    assert world.issuing.resume(card.serial, actor=OPERATOR).card.state is CardState.PENDING
    with pytest.raises(IllegalCardChange, match="it is issued"):
        world.issuing.resume(card.serial, actor=OPERATOR)


def test_who_wakes_up_late_changes_nothing(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """A process hangs until its lease is over. Another one has made the card meanwhile, and has had
    the keys destroyed that were planned; what the first makes then is destroyed as well.
    """

    def hang() -> None:
        token.after = nothing
        world.clock.forward(seconds=LEASE_TIME.total_seconds() + 1)
        assert world.issuing.go_on() == 1
        swept(world, token)

    token.after = hang
    with pytest.raises(IllegalCardChange, match="somebody else goes on"):
        issue(world, ada[0])
    [card] = all_cards(world)
    assert card.state is CardState.PENDING
    swept(world, token)
    assert token.held == of_cards(world, [card])


def test_a_card_that_another_process_makes_is_not_finished_by_the_first(
    world: World, ada: tuple[User, Enrolled], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Software keys are planned nowhere: the turn alone says whose card it is."""
    make, turns = type(world.custody).make, list[int]()

    def hang(*given: object, **named: object) -> object:
        if not turns:
            turns.append(1)
            world.clock.forward(seconds=LEASE_TIME.total_seconds() + 1)
            with world.database.write() as connection:
                [order] = orders.under_way(connection)
                orders.take(connection, order, 1, world.clock() + LEASE_TIME)
        return make(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.custody), "make", hang)
    with pytest.raises(IllegalCardChange, match="somebody else goes on"):
        issue(world, ada[0])
    [card] = all_cards(world)
    assert card.state is CardState.ISSUING


def test_a_planned_key_is_no_orphan(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """Whoever sweeps the token while a card is made takes none of its keys away."""

    def sweep() -> None:
        world.clock.forward(seconds=destroying.ORPHAN_AGE.total_seconds() - 1)
        at = world.clock() + destroying.ORPHAN_AGE
        assert destroying.sweep_orphans(world.database, token, at) == 0
        token.after = nothing

    token.after = sweep
    assert issue(world, ada[0]).state is CardState.PENDING
    assert token.held == of_cards(world, all_cards(world))


def test_the_keystore_does_not_go_on_for_ever(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """A card that kills each process that makes it fails in the end."""
    token.after = _crash
    with pytest.raises(Crash):
        issue(world, ada[0])
    for _ in range(MOST_TURNS - 1):
        leases.end(world.database, None, world.clock())
        with pytest.raises(Crash):
            world.issuing.go_on()
    leases.end(world.database, None, world.clock())
    world.issuing.go_on()
    [listing] = world.cards.list_all(actor=world.actor)
    assert listing.card.state is CardState.FAILED
    assert "several times" in listing.cause


def test_who_has_left_gets_no_card(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    token.away = True
    with pytest.raises(KeyBackendUnavailable):
        issue(world, ada[0])
    world.leaving.close(ada[0].id, "left", world.operator().identity)
    [card] = all_cards(world)
    assert card.state is CardState.REVOKED
    with pytest.raises(IllegalCardChange):
        world.issuing.resume(card.serial, actor=OPERATOR)
    with pytest.raises(UserClosed):
        world.issuing.issue(bytes(15) + b"1", ada[0].id, "p256", actor=OPERATOR)


def test_a_restored_keystore_makes_nothing_by_itself(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """The card can have been made after the backup, and the keys can be on it."""
    token.after = _crash
    with pytest.raises(Crash):
        issue(world, ada[0])
    token.after = nothing
    restoring.end_the_past(world.database, world.clock(), {})
    assert planned(world) == frozenset()
    leases.end(world.database, None, world.clock())
    assert world.issuing.go_on() == 0
    [listing] = world.cards.list_all(actor=world.actor)
    assert listing.card.state is CardState.FAILED
    assert "backup" in listing.cause


def test_a_renewal_that_is_killed_leaves_no_key(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """The card stays as it is, and the same call renews it."""
    serial = world.card(ada[0])
    world.clock.forward(days=700)
    before = of_cards(world, all_cards(world))
    for number in range(1, 1000):
        try:
            with crashing(number):
                world.prolonging.renew(serial, None, actor=OPERATOR)
        except Crash:
            restarted(world, token)
            assert token.held == before
        else:
            break
    assert number > 20
    restarted(world, token)
    assert token.held == of_cards(world, all_cards(world))
    assert len(token.held - before) == 4
    assert planned(world) == frozenset()


def test_an_administrator_who_is_killed_leaves_no_key(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0], "developer")
    who = world.administrator(serial, pc)
    token = on_token(world)
    token.after = _crash
    with pytest.raises(Crash):
        world.administration.generate_key(who, 0x9A, 0x11, KeyPolicies())
    token.after = nothing
    assert len(token.held) == 1
    restarted(world, token)
    assert token.held == set()
    world.administration.generate_key(who, 0x9A, 0x11, KeyPolicies())
    restarted(world, token)
    [made] = (key for key in world.keys(serial) if key.key_ref == 0x9A)
    assert token.held == {UUID(made.id).bytes}


ACTS: dict[str, Callable[[World, FakeToken, User], object]] = {
    "issue": lambda world, _token, user: issue(world, user),
    "resume": lambda world, _token, _user: world.issuing.resume(_serial(world), actor=OPERATOR),
    "cancel": lambda world, _token, _user: world.issuing.cancel(_serial(world), actor=OPERATOR),
    "upkeep": lambda world, _token, _user: world.issuing.go_on(),
    "sweep": lambda world, token, _user: swept(world, token),
    "start": lambda world, token, _user: restarted(world, token),
    "wait": lambda world, _token, _user: world.clock.forward(seconds=PLAN_TIME.total_seconds()),
    "away": lambda _world, token, _user: setattr(token, "away", True),
    "back": lambda _world, token, _user: setattr(token, "away", False),
}
REFUSED = (IllegalCardChange, KeyBackendUnavailable, IndexError)


def _serial(world: World) -> str:
    return all_cards(world)[-1].serial


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    acts=st.lists(
        st.tuples(
            st.sampled_from(sorted(ACTS)),
            st.one_of(st.none(), st.integers(min_value=1, max_value=60)),  # the last statement
            st.one_of(st.none(), st.integers(min_value=0, max_value=3)),  # the last key
        ),
        max_size=8,
    )
)
def test_whatever_happens_there_is_one_card_and_no_other_key(
    world: World, acts: list[tuple[str, int | None, int | None]]
) -> None:
    """A model of it: cards that are over have no keys, and there is one that is not, or none."""
    token, user = on_token(world), world.user(f"Ada {os.urandom(4).hex()}")[0]
    before = {card.id for card in all_cards(world)}
    request = os.urandom(16)

    def own() -> list[Card]:
        return [card for card in all_cards(world) if card.id not in before]

    for name, statement, key in [("issue", None, None), *acts]:
        left = iter([*[nothing] * (10**6 if key is None else key), _crash])
        token.after = lambda left=left: next(left)()  # type: ignore[misc]
        try:
            with crashing(statement):
                if name == "issue":
                    world.issuing.issue(request, user.id, "p256", actor=OPERATOR)
                else:
                    ACTS[name](world, token, user)
        except Crash:
            leases.end(world.database, None, world.clock())
        except REFUSED:
            pass
        assert len(own()) == 1
        assert token.held <= of_cards(world, own()) | planned(world)
    token.after, token.away = nothing, False
    restarted(world, token)
    world.issuing.go_on()
    swept(world, token)
    [card] = own()
    assert card.state in (*LIVE, *OVER, CardState.FAILED)
    expected = of_cards(world, [card]) if card.state in LIVE else set()
    assert token.held == expected
    assert planned(world) == frozenset()


def test_it_is_told_who_has_ordered_what_the_keystore_has_finished(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    token.after = _crash
    with pytest.raises(Crash):
        issue(world, ada[0])
    token.after = nothing
    restarted(world, token)
    assert world.issuing.go_on() == 1
    (told,) = world.journal(Kind.CARD_ISSUED)
    assert (told.actor, told.details["ordered_by"]) == (KEYSTORE, OPERATOR.id)


def test_a_card_in_place_of_another_is_resumed_as_such(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    """Replacing is issuing: it ends with one card in the place of one, and says why."""
    serial = world.card(ada[0])
    token.away = True
    with pytest.raises(KeyBackendUnavailable):
        world.replacing.replace(serial, "damaged", actor=OPERATOR)
    token.away = False
    done = world.replacing.replace(serial, "damaged", actor=OPERATOR)
    assert done.card is not None
    assert done.card.card.state is CardState.PENDING
    assert len(all_cards(world)) == 2
    (told,) = world.journal(Kind.CARD_REPLACED)
    assert told.details == {"reason": "damaged", "by": done.card.card.id}


def test_a_resumed_card_is_valid_for_its_whole_time(
    world: World, token: FakeToken, ada: tuple[User, Enrolled]
) -> None:
    token.away = True
    with pytest.raises(KeyBackendUnavailable):
        issue(world, ada[0])
    before = all_cards(world)[0].expire_time
    world.clock.forward(days=30)
    token.away = False
    assert issue(world, ada[0]).expire_time == before + timedelta(days=30)
