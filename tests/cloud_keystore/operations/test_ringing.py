"""Who may make a phone ring, and how often."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from card_os.uses import PinPolicy
from cloud_keystore.model.cards import KeyPolicies
from cloud_keystore.model.errors import JustRefused, PasscodeNeeded, TooManyRefusals
from cloud_keystore.model.operations import QUIET_TIME, REFUSAL_LIMIT, Decision, State, back_off
from cloud_keystore.model.people import User
from cloud_keystore.model.policies import Policy
from cloud_keystore.rpc import card_image
from cloud_keystore.storage import passcodes
from support.keystore_world import DIGEST, SESSIONS, Enrolled, World, verify


@pytest.mark.parametrize(
    ("refusals", "minutes"), [(0, 0), (4, 0), (5, 10), (6, 20), (11, 640), (12, 720), (32, 720)]
)
def test_the_back_off_doubles(refusals: int, minutes: int) -> None:
    assert back_off(refusals) == timedelta(minutes=minutes)


def test_a_workstation_that_is_refused_blocks_no_other(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: a workstation asked and cancelled five times, and the card could be used nowhere
    for ten minutes; again and again.
    """
    serial = world.card(ada[0])
    for _ in range(REFUSAL_LIMIT):
        world.asking.cancel(world.ask(serial, pc).id, pc.identity)
    with pytest.raises(TooManyRefusals, match="at this workstation"):
        world.ask(serial, pc)
    elsewhere = world.workstation("WARD8-PC1")
    operation = world.ask(serial, elsewhere)
    world.decide(operation, ada[1])
    assert world.perform(operation, elsewhere)
    (told,) = world.alerts.list_all(include_acknowledged=False, actor=world.actor)
    assert told.workstation_display_name == pc.identity.display_name


def test_who_goes_on_asking_is_left_waiting_longer_and_longer(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: five requests every ten minutes, 720 a day, until one is approved by mistake."""
    serial, rang = world.card(ada[0]), 0
    end = world.clock() + timedelta(days=2)
    while world.clock() < end:
        with suppress(TooManyRefusals, JustRefused):
            world.decide(world.ask(serial, pc), ada[1], Decision.DENY)
            rang += 1
        world.clock.forward(minutes=5)
    assert rang <= 24
    world.clock.forward(hours=12)
    world.decide(world.ask(serial, pc), ada[1])
    for _ in range(REFUSAL_LIMIT):  # an approval there begins a new count
        world.ask(serial, pc)


def test_a_number_typed_wrongly_is_a_refusal(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    for _ in range(REFUSAL_LIMIT):
        operation = world.ask(serial, pc)
        world.decide(operation, ada[1], number="00" if operation.number != "00" else "01")
        world.clock.forward(seconds=QUIET_TIME.total_seconds())
    with pytest.raises(TooManyRefusals):
        world.ask(serial, pc)


def test_a_key_that_asks_for_no_passcode_rings_only_where_it_was_given(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: key 9E needs no passcode, so any workstation made any holder's phone ring, with
    nothing but the serial number of the card.
    """
    serial = world.card(ada[0])
    with pytest.raises(PasscodeNeeded, match="at this workstation first"):
        world.ask(serial, pc, key_ref=0x9E, proof=b"")
    world.proof(serial, pc)
    elsewhere = world.workstation("WARD8-PC1")
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, elsewhere, key_ref=0x9E, proof=b"")
    operation = world.ask(serial, pc, key_ref=0x9E, proof=b"")
    world.decide(operation, ada[1])
    verify(world, serial, 0x9E, world.perform(operation, pc), DIGEST)
    world.clock.forward(hours=12)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, key_ref=0x9E, proof=b"")


def test_a_key_that_asks_for_no_passcode_rings_beside_a_session(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    world.set_policy(SESSIONS)
    session = world.session(serial, pc, ada[1])
    with world.database.write() as connection:
        passcodes.drop_proofs(connection, session.card_id)
    assert world.ask(serial, pc, key_ref=0x9E, proof=b"").state is State.PENDING
    world.sessions.end(session.id, pc.identity)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, key_ref=0x9E, proof=b"")


def test_a_policy_lets_a_key_ring_without_a_passcode(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    serial = world.card(ada[0])
    world.set_policy(Policy(passwordless=True))
    assert world.ask(serial, pc, key_ref=0x9E, proof=b"").state is State.PENDING


def test_a_key_that_commits_its_holder_asks_for_the_passcode_whatever_its_own_policy(
    world: World, ada: tuple[User, Enrolled], pc: Enrolled
) -> None:
    """The attack: the signature key was made with the PIN policy NEVER, and its uses rang without a
    passcode.
    """
    serial = world.card(ada[0], "developer")
    never = KeyPolicies(PinPolicy.NEVER)
    world.administration.generate_key(world.administrator(serial, pc), 0x9C, 0x11, never)
    proof = world.proof(serial, pc)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, key_ref=0x9C, proof=b"")
    assert world.ask(serial, pc, key_ref=0x9C, proof=proof)
    with pytest.raises(PasscodeNeeded):
        world.ask(serial, pc, key_ref=0x9C, proof=proof)
    (key,) = (key for key in card_image.card(world.image(serial)).keys if key.key_ref == 0x9C)
    assert key.pin_policy == PinPolicy.ALWAYS
