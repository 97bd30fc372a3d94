"""A card that is not issued is the registration authority's alone: no holder, no reader and no
report takes it for a card (CARD-07).
"""

from __future__ import annotations

import pytest

from cloud_keystore.cards.images import Images
from cloud_keystore.model.cards import OVER, UNISSUED, CardState
from cloud_keystore.model.errors import CardNotInUse, IllegalCardChange, PasscodeAlreadySet
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Stage, User
from cloud_keystore.storage import tables
from cloud_keystore.storage.authentic import rows
from support.keystore_world import OPERATOR, PASSCODE, Enrolled, World

STAGES = {
    CardState.ISSUING: Stage.CARD_INCOMPLETE,
    CardState.FAILED: Stage.CARD_FAILED,
    CardState.CANCELLED: Stage.NO_CARD,
}

pytestmark = pytest.mark.parametrize("state", UNISSUED)


@pytest.fixture
def unissued(world: World, serial: str, state: CardState) -> str:
    """The serial number of a card in this state."""
    with world.database.write() as connection:
        rows.change(connection, tables.card, [], {"state": state})
    return serial


def test_its_holder_does_not_see_it(
    world: World, ada: tuple[User, Enrolled], unissued: str
) -> None:
    assert world.cards.list_of(ada[1].identity) == []
    with pytest.raises((CardNotInUse, PasscodeAlreadySet)):
        world.passcodes.set_first(unissued, PASSCODE, ada[1].identity)


def test_no_reader_has_it(world: World, unissued: str) -> None:
    with pytest.raises(CardNotInUse):
        Images(world.database, world.management_keys).read(unissued)


def test_it_does_not_end_soon(world: World, unissued: str) -> None:
    found = world.reports.expiring(3650, actor=OPERATOR)
    assert unissued not in {each.card_serial or each.name for each in found}


def test_its_holder_waits_for_it(world: World, unissued: str, state: CardState) -> None:
    (waiting,) = world.reports.pending(actor=OPERATOR)
    assert waiting.progress.stage is STAGES[state]
    assert world.find(unissued).card.serial == unissued


def test_there_is_none_to_replace_or_renew(world: World, unissued: str) -> None:
    for change in (
        lambda: world.replacing.replace(unissued, "lost", actor=OPERATOR),
        lambda: world.prolonging.renew(unissued, None, actor=OPERATOR),
    ):
        with pytest.raises(IllegalCardChange):
            change()


def test_it_ends_when_its_holder_leaves(
    world: World, ada: tuple[User, Enrolled], unissued: str, state: CardState
) -> None:
    world.leaving.close(ada[0].id, "left", world.operator().identity)
    assert world.find(unissued).card.state in OVER
    assert len(world.journal(Kind.CARD_REVOKED)) == (state is not CardState.CANCELLED)
