"""Cards are renewed and replaced at the pages, and staff say what they think of them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cloud_keystore.model.cards import CardState
from cloud_keystore.model.people import User
from support.keystore_world import World
from support.visitor import Visitor


@pytest.fixture
def ada(world: World) -> User:
    return world.user()[0]


@pytest.fixture
def serial(world: World, ada: User) -> str:
    return world.card(ada)


def of(world: World, user: User) -> dict[str, CardState]:
    found = world.showing.show(user.id, world.operator().identity).cards
    return {each.card.serial: each.card.state for each in found}


def test_a_card_is_renewed_before_it_ends(
    world: World, visitor: Visitor, ada: User, serial: str
) -> None:
    """Too early, the page says from when on; whoever sends the form twice renews it once."""
    path = f"/ra/people/{ada.id}/cards/{serial}/renew"
    early = visitor.get(path)
    assert (early.status, b"can be renewed from" in early.body) == (409, True)
    before = world.find(serial).card.expire_time
    world.clock.now = before - timedelta(days=30)
    visitor.log_in(world.visits.make_code(world.operator().identity).text)
    shown = visitor.page(path)
    assert "Renew this card?" in shown
    found = re.search(r'name="known_end" value="([^"]+)"', shown)
    assert found is not None
    done = visitor.done(path, known_end=found[1])
    assert "The card is renewed" in done
    after = world.find(serial).card.expire_time
    assert after > before
    visitor.done(path, known_end=found[1])
    assert world.find(serial).card.expire_time == after
    for wrong in ("", "yesterday", "2026-11-30"):
        assert visitor.post(path, known_end=wrong).status == 422


@pytest.mark.parametrize(
    ("why", "state"),
    [("damaged", CardState.ACTIVE), ("lost", CardState.ACTIVE), ("compromised", CardState.REVOKED)],
)
def test_a_card_is_replaced_once(
    world: World, visitor: Visitor, ada: User, serial: str, why: str, state: CardState
) -> None:
    path = f"/ra/people/{ada.id}/cards/{serial}/replace"
    assert "Replace this card?" in visitor.page(path)
    assert visitor.post(path, why="bored").status == 422
    done = visitor.done(path, why=why)
    assert "There is another card" in done
    found = of(world, ada)
    assert found.pop(serial) is state
    assert list(found.values()) == [CardState.PENDING]
    visitor.done(path, why=why)
    assert len(of(world, ada)) == 2


def test_feedback_is_given_twice(visitor: Visitor) -> None:
    """COM-06, BUG-27: what staff say is kept, more than once in a row."""
    path = "/ra/give-feedback"
    assert f'href="{path}"' in visitor.page("/ra/people")
    assert "<textarea" in visitor.page(path)
    wrong = visitor.post(path, text=" ")
    assert (wrong.status, b"text is empty" in wrong.body.lower()) == (422, True)
    for said in ("good <b>pages", "better ones"):
        told = visitor.post(path, text=said)
        assert (told.status, b"Thank you" in told.body) == (200, True)
    shown = visitor.page("/ra/feedback")
    assert "good &lt;b&gt;pages" in shown
    assert "better ones" in shown
