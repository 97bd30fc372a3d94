"""The table of what becomes of the card, in whole."""

from __future__ import annotations

import pytest

from reader_bridge.desktop.events import LEAVING, Event
from reader_bridge.leaving import Act, Slot, Told, act


@pytest.mark.parametrize("event", sorted(LEAVING))
def test_whoever_leaves_leaves_no_card(event: Event) -> None:
    assert act(Slot.TAKEN, event) is Act.TAKE_OUT
    assert act(Slot.ASKING, event) is Act.WITHDRAW
    assert act(Slot.EMPTY, event) is Act.NOTHING


@pytest.mark.parametrize("slot", Slot)
def test_nothing_happens_because_somebody_is_back(slot: Slot) -> None:
    assert act(slot, Event.HERE) is Act.NOTHING


@pytest.mark.parametrize(
    ("slot", "told", "what"),
    [
        (Slot.EMPTY, Told.SIGN_IN, Act.ASK),
        (Slot.ASKING, Told.SIGN_IN, Act.REPLACE),
        (Slot.TAKEN, Told.SIGN_IN, Act.REPLACE),
        (Slot.EMPTY, Told.SIGN_OUT, Act.NOTHING),
        (Slot.ASKING, Told.SIGN_OUT, Act.WITHDRAW),
        (Slot.TAKEN, Told.SIGN_OUT, Act.TAKE_OUT),
        (Slot.EMPTY, Told.OPEN, Act.NOTHING),  # of a sign-in that was withdrawn
        (Slot.ASKING, Told.OPEN, Act.PUT_IN),
        (Slot.TAKEN, Told.OPEN, Act.NOTHING),
        (Slot.EMPTY, Told.ENDED, Act.NOTHING),
        (Slot.ASKING, Told.ENDED, Act.DROP),
        (Slot.TAKEN, Told.ENDED, Act.DROP),
        (Slot.EMPTY, Told.CHANGED, Act.NOTHING),
        (Slot.ASKING, Told.CHANGED, Act.NOTHING),
        (Slot.TAKEN, Told.CHANGED, Act.EXCHANGE),
    ],
)
def test_what_is_told(slot: Slot, told: Told, what: Act) -> None:
    assert act(slot, told) is what
