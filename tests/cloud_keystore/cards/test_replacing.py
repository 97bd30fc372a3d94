"""A card is replaced by another, and goes on until that one is in use."""

from __future__ import annotations

import pytest

from cloud_keystore.cards import leases
from cloud_keystore.cards.replacing import Neighbours
from cloud_keystore.model.cards import CardState
from cloud_keystore.model.errors import CardNotFound, InvalidInput, UserClosed
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import User
from support.checking import GOOD, Checker
from support.crashing import Crash, crashing
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

SUPERSEDED, COMPROMISED = "superseded", "keyCompromise"


def state(world: World, serial: str) -> CardState:
    return world.find(serial).card.state


def replaced(world: World, serial: str, why: str = "lost") -> str:
    """The serial number of the card in the place of another."""
    done = world.replacing.replace(serial, why, actor=OPERATOR)
    assert done.card is not None
    return done.card.card.serial


def said(world: World, checker: Checker, serial: str) -> set[str]:
    """What lists and answers say of all certificates of a card."""
    return {each for key in world.keys(serial) for each in checker.says(key)}


@pytest.mark.parametrize("why", ["lost", "damaged"])
def test_the_card_before_goes_on_until_the_other_is_in_use(
    world: World, checker: Checker, ada: tuple[User, Enrolled], serial: str, why: str
) -> None:
    before = world.find(serial).card
    assert world.replacing.foresee(serial, actor=world.actor).card is None
    other = replaced(world, serial, why)
    made = world.find(other).card
    assert (made.user_id, made.profile, made.organisation_id, made.state) == (
        before.user_id,
        before.profile,
        before.organisation_id,
        CardState.PENDING,
    )
    assert state(world, serial) is CardState.ACTIVE
    assert said(world, checker, serial) == said(world, checker, other) == {GOOD}
    world.passcodes.set_first(other, PASSCODE, ada[1].identity)
    assert (state(world, serial), state(world, other)) == (CardState.REVOKED, CardState.ACTIVE)
    assert said(world, checker, serial) == {SUPERSEDED}
    assert said(world, checker, other) == {GOOD}


def test_each_names_the_other(world: World, serial: str) -> None:
    other = replaced(world, serial)
    assert world.replacing.neighbours(serial, actor=world.actor) == Neighbours("", other)
    assert world.replacing.neighbours(other, actor=world.actor) == Neighbours(serial, "")
    old, new = (world.find(each).card for each in (serial, other))
    (told,) = world.journal(Kind.CARD_REPLACED)
    assert (told.card_id, told.user_id, told.actor) == (old.id, old.user_id, OPERATOR)
    assert told.details == {"reason": "lost", "by": new.id}
    issued = world.journal(Kind.CARD_ISSUED)[-1]
    assert (issued.card_id, issued.details["replaces"]) == (new.id, old.id)


def test_a_card_that_can_do_harm_is_revoked_at_once(
    world: World, checker: Checker, ada: tuple[User, Enrolled], serial: str
) -> None:
    """keyCompromise invalidates the past."""
    other = replaced(world, serial, "compromised")
    assert (state(world, serial), state(world, other)) == (CardState.REVOKED, CardState.PENDING)
    assert said(world, checker, serial) == {COMPROMISED}
    world.passcodes.set_first(other, PASSCODE, ada[1].identity)
    assert said(world, checker, serial) == {COMPROMISED}
    assert len(world.journal(Kind.CARD_REVOKED)) == 1


def test_a_repeated_call_makes_no_other_card_and_can_be_more_severe(
    world: World, serial: str
) -> None:
    other = replaced(world, serial)
    assert replaced(world, serial) == other
    assert state(world, serial) is CardState.ACTIVE
    assert replaced(world, serial, "compromised") == other
    assert state(world, serial) is CardState.REVOKED
    assert len(world.cards.list_all(actor=world.actor)) == 2
    assert len(world.journal(Kind.CARD_REPLACED)) == 1


def test_a_card_whose_other_was_revoked_is_replaced_again(world: World, serial: str) -> None:
    first = replaced(world, serial)
    world.cards.revoke(first, "a mistake", actor=OPERATOR)
    other = replaced(world, serial)
    assert other != first
    assert world.replacing.neighbours(serial, actor=world.actor).after == other


def test_the_last_of_a_chain_ends_all_before_it(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """The first replacement was lost before it was in use."""
    second = replaced(world, serial)
    third = replaced(world, second, "damaged")
    assert state(world, serial) is CardState.ACTIVE
    world.passcodes.set_first(third, PASSCODE, ada[1].identity)
    assert {state(world, each) for each in (serial, second)} == {CardState.REVOKED}
    assert state(world, third) is CardState.ACTIVE


def test_a_card_that_is_in_use_at_once(world: World, ada: tuple[User, Enrolled]) -> None:
    serial = world.card(ada[0], "developer")
    assert state(world, replaced(world, serial)) is CardState.ACTIVE
    assert state(world, serial) is CardState.REVOKED


def test_a_card_that_was_revoked_before(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    world.cards.revoke(serial, "lost", actor=OPERATOR)
    other = replaced(world, serial)
    world.passcodes.set_first(other, PASSCODE, ada[1].identity)
    assert len(world.journal(Kind.CARD_REVOKED)) == 1


def test_who_has_left_gets_no_other_card(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    world.leaving.close(ada[0].id, "left", world.operator().identity)
    with pytest.raises(UserClosed):
        replaced(world, serial)
    assert len(world.cards.list_all(actor=world.actor)) == 1


def test_wrong_orders(world: World, serial: str) -> None:
    with pytest.raises(InvalidInput, match="use one of lost, damaged, compromised"):
        replaced(world, serial, "")
    with pytest.raises(CardNotFound):
        replaced(world, "1000")
    assert len(world.cards.list_all(actor=world.actor)) == 1


def test_a_crash_at_any_statement_leaves_one_card_in_use(
    world: World, ada: tuple[User, Enrolled], serial: str
) -> None:
    """CARD-07, BUG-19: kill -9 while the card is made, or while the holder puts it in use; the same
    again ends it, with one card in the place of one.
    """
    for number in range(1, 1000):
        try:
            with crashing(number):
                other = replaced(world, serial)
        except Crash:
            assert state(world, serial) is CardState.ACTIVE
            leases.end(world.database, None, world.clock())  # as at the next start
        else:
            break
    assert number > 10
    assert len(world.cards.list_all(actor=world.actor)) == 2
    for number in range(1, 1000):
        try:
            with crashing(number):
                world.passcodes.set_first(other, PASSCODE, ada[1].identity)
        except Crash:
            found = (state(world, serial), state(world, other))
            assert found == (CardState.ACTIVE, CardState.PENDING)
        else:
            break
    assert number > 10
    assert (state(world, serial), state(world, other)) == (CardState.REVOKED, CardState.ACTIVE)
