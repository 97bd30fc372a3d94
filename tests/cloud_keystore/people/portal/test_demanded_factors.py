"""Log-ins at the portal for which a policy demands more than a mailed code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloud_keystore.model.errors import FactorNeeded, InvalidInput
from cloud_keystore.model.people import Identity
from cloud_keystore.model.policies import Policy, decode, encode
from cloud_keystore.model.portal.factors import Factor
from cloud_keystore.people.portal.passkeys import LAST
from support.keystore_world import World
from support.outbox import Told
from support.portal import OTHER, PASSWORD, QUESTIONS, Portal
from support.second_factors import Chosen, logged_in

NO_EMAIL = frozenset({Factor.PHONE, Factor.PASSKEY})


def demand(world: World, factors: frozenset[Factor] = NO_EMAIL) -> None:
    world.set_policy(Policy(portal_passwords=True, portal_changes=True, portal_factors=factors))


@pytest.fixture
def portal(world: World) -> Portal:
    return Portal.open(Told(world))


@pytest.mark.parametrize(
    "act",
    [
        lambda world, holder: world.holdings.show(holder),
        lambda world, holder: world.holdings.events(holder),
        lambda world, holder: world.holdings.end_session("x", holder),
        lambda world, holder: world.holdings.end_sign_in("x", holder),
        lambda world, holder: world.holdings.end_seat("x", holder),
        lambda world, holder: world.own_passwords.look(holder),
        lambda world, holder: world.own_passwords.change(PASSWORD, OTHER, holder),
        lambda world, holder: world.own_passwords.choose_questions(PASSWORD, QUESTIONS, holder),
        lambda world, holder: world.passcode_resets.look("x", holder),
        lambda world, holder: world.passcode_resets.ask("x", holder),
        lambda world, holder: world.own_renewals.look("x", holder),
        lambda world, holder: world.own_renewals.ask("x", holder),
        lambda world, holder: world.devices.remove_own("x", holder),
        lambda world, holder: world.addresses.send_own(holder),
        lambda world, holder: world.portal_visits.end_others(holder),
        lambda world, holder: world.portal_passkeys.remove_own("x", "1", holder),
    ],
)
def test_nothing_else_is_done_before_log_ins_need_it(
    world: World, portal: Portal, act: Callable[[World, Identity], object]
) -> None:
    """AUTH-07; the attack: a thief has password and mailbox of somebody who has not chosen yet."""
    demand(world)
    with pytest.raises(FactorNeeded, match="How you log in"):
        act(world, logged_in(portal))


@pytest.mark.parametrize("factor", sorted(NO_EMAIL))
def test_what_is_demanded_is_chosen_after_the_log_in(
    world: World, portal: Portal, factor: Factor
) -> None:
    """AUTH-07, AUTH-08: with a code to the address, as ever; then the visit goes on."""
    demand(world)
    holder = logged_in(portal)
    found = world.log_in_factors.look(holder)
    assert (found.demanded, found.is_enough) == (NO_EMAIL, False)
    assert world.log_in_factors.contact(holder).id == portal.user.id
    Chosen.by(portal, factor, holder)
    assert world.log_in_factors.look(holder).is_enough
    assert world.holdings.show(holder).user.id == portal.user.id


def test_a_number_is_verified_for_it(world: World, portal: Portal) -> None:
    """COM-04."""
    demand(world, frozenset({Factor.SMS}))
    holder = logged_in(portal)
    Chosen.by(portal, Factor.SMS, holder)
    assert world.holdings.show(holder).user.id == portal.user.id


def test_what_is_not_demanded_is_not_chosen(world: World, portal: Portal) -> None:
    """The attack: an open browser goes back to the mailed code."""
    demand(world, frozenset({Factor.PASSKEY}))
    holder = logged_in(portal)
    for factor in (Factor.EMAIL, Factor.SMS, Factor.PHONE):
        with pytest.raises(InvalidInput, match="demands something else for log-ins: a passkey"):
            world.log_in_factors.ask(factor, holder)
        with pytest.raises(InvalidInput, match="a passkey"):
            world.log_in_factors.change(factor, "12345678", holder)
    Chosen.by(portal, Factor.PASSKEY, holder)
    (own,) = world.portal_passkeys.list_own(holder)
    with pytest.raises(InvalidInput, match="or add another passkey") as refused:
        world.portal_passkeys.remove_own(own.id, "12345678", holder)
    assert str(refused.value) == LAST


def test_whoever_loses_it_chooses_again(world: World, portal: Portal) -> None:
    """A phone that was removed leads back: by a mailed code to that choice alone."""
    demand(world)
    Chosen.of(portal, Factor.PHONE)
    world.devices.remove(portal.phone.identity.id, "lost", world.operator().identity)
    holder = logged_in(portal)
    assert not world.log_in_factors.look(holder).is_enough
    with pytest.raises(FactorNeeded):
        world.holdings.show(holder)


def test_phones_are_not_asked_for_it(world: World, portal: Portal) -> None:
    """What a policy demands is for the portal: a phone does what it does."""
    demand(world)
    assert world.portal_passwords.look_own(portal.phone.identity).has_password


@pytest.mark.parametrize(
    ("passwords", "factors", "why"),
    [
        (False, NO_EMAIL, "demands nothing"),
        (True, frozenset({Factor.EMAIL, Factor.PHONE}), "mailed code"),
    ],
)
def test_a_policy_demands_what_makes_sense(
    passwords: bool, factors: frozenset[Factor], why: str
) -> None:
    with pytest.raises(InvalidInput, match=why):
        Policy(portal_passwords=passwords, portal_factors=factors)


def test_a_policy_is_read_as_it_was_written() -> None:
    """Also one from before, which demands nothing."""
    policy = Policy(portal_passwords=True, portal_factors=NO_EMAIL)
    assert decode(encode(policy)) == policy
    before = encode(Policy()).replace('"portal_factors":[],', "")
    assert decode(before) == Policy()
    with pytest.raises(InvalidInput):
        decode(encode(policy).replace('"phone"', '"pager"'))
