"""What custody itself looks at before a decision at a shared device counts (MIA-01)."""

from __future__ import annotations

import pytest

from cloud_keystore.custody.use import seating
from cloud_keystore.model.approval_keys import NativeKey
from cloud_keystore.model.errors import ApprovalRejected
from cloud_keystore.model.people import User
from cloud_keystore.storage import cards
from support.keystore_world import Enrolled, World, spki
from support.seats import ALLOWED, Tablet, tablet


@pytest.fixture
def serial(world: World, ada: tuple[User, Enrolled]) -> str:
    """A card whose policy allows shared devices."""
    world.set_policy(ALLOWED)
    return world.card(ada[0])


@pytest.fixture
def ward(world: World) -> Tablet:
    """A shared device."""
    return tablet(world)


def check(world: World, seat: Enrolled, serial: str) -> None:
    with world.database.read() as connection:
        card = cards.find_by_serial(connection, serial)
        assert card is not None
        key = NativeKey(spki(seat.private))
        seating.check(connection, seat.identity, key, card, world.clock())


def test_a_seat_that_has_ended_approves_nothing(
    world: World, ada: tuple[User, Enrolled], serial: str, ward: Tablet
) -> None:
    seat = ward.taken_by(ada[1])
    check(world, seat, serial)
    world.clock.forward(minutes=5)
    with pytest.raises(ApprovalRejected, match="nobody is signed in"):
        check(world, seat, serial)


def test_a_seat_is_for_its_holders_cards(
    world: World, ada: tuple[User, Enrolled], serial: str, ward: Tablet
) -> None:
    bob = world.user("Bob")
    world.card(bob[0])
    with pytest.raises(ApprovalRejected, match="somebody else"):
        check(world, ward.taken_by(bob[1]), serial)
    check(world, ada[1], serial)  # a phone of one's own is no seat
