"""What becomes of the card when something happens: one table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum, auto, unique

from reader_bridge.desktop.events import LEAVING, Event


@unique
class Slot(StrEnum):
    """What is in the slot."""

    EMPTY = "empty"
    ASKING = "asking"  # somebody may sign in
    TAKEN = "inserted"


@unique
class Told(Enum):
    """What the keystore or a person says."""

    SIGN_IN = auto()  # a person wants to
    SIGN_OUT = auto()  # a person wants to
    OPEN = auto()  # the holder has approved
    ENDED = auto()  # on the phone, by the registration authority, elsewhere, or by time
    CHANGED = auto()  # the card is another one


@unique
class Act(Enum):
    """What is done."""

    NOTHING = auto()
    ASK = auto()  # begin a sign-in
    WITHDRAW = auto()  # the sign-in that nobody has approved
    PUT_IN = auto()
    TAKE_OUT = auto()  # and end the sign-in
    DROP = auto()  # take out; the sign-in has ended
    EXCHANGE = auto()  # fetch the card again
    REPLACE = auto()  # take out, and begin another sign-in


_TABLE: Mapping[tuple[Slot, Event | Told], Act] = {
    **{(Slot.ASKING, each): Act.WITHDRAW for each in LEAVING},
    **{(Slot.TAKEN, each): Act.TAKE_OUT for each in LEAVING},
    (Slot.EMPTY, Told.SIGN_IN): Act.ASK,
    (Slot.ASKING, Told.SIGN_IN): Act.REPLACE,
    (Slot.TAKEN, Told.SIGN_IN): Act.REPLACE,
    (Slot.ASKING, Told.SIGN_OUT): Act.WITHDRAW,
    (Slot.TAKEN, Told.SIGN_OUT): Act.TAKE_OUT,
    (Slot.ASKING, Told.OPEN): Act.PUT_IN,
    (Slot.ASKING, Told.ENDED): Act.DROP,
    (Slot.TAKEN, Told.ENDED): Act.DROP,
    (Slot.TAKEN, Told.CHANGED): Act.EXCHANGE,
}


def act(slot: Slot, what: Event | Told) -> Act:
    """What is done with what is in the slot."""
    return _TABLE.get((slot, what), Act.NOTHING)
