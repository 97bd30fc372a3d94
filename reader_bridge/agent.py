"""The workstation's agent: keeps cards in the slots of this computer's readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from card_os.card import Card
from reader_bridge.carriers.carrier import Carrier, SlotState
from reader_bridge.connection import Tape
from reader_bridge.pcscd import Hold
from reader_bridge.slot import Slot
from reader_bridge.tasks import CancellableKeys


@dataclass(frozen=True, slots=True)
class Insertion:
    """A card, and the slot of a reader into which it is put."""

    slot: int  # counted from 0 among the cards of this agent
    carrier: Carrier  # the way to the slot
    name: str  # of the card, for people
    card: Card
    keys: CancellableKeys
    tape: Tape | None = None


Tell: TypeAlias = Callable[[Insertion, SlotState], None]


@contextmanager
def inserted(insertions: Iterable[Insertion], tell: Tell, *, hold: bool) -> Iterator[None]:
    """Keep the cards in their slots for the duration of the block.

    `tell` is called on the slots' threads at each change. With `hold`, pcscd is started on demand
    and does not end by itself.
    """
    with ExitStack() as stack:
        kept = None
        if hold:
            kept = Hold()
            stack.callback(kept.release)
        for each in insertions:
            slot = Slot(each.carrier, each.card, each.keys, _teller(tell, each), kept, each.tape)
            slot.start()
            stack.callback(slot.stop)
        yield


def _teller(tell: Tell, insertion: Insertion) -> Callable[[SlotState], None]:
    return lambda state: tell(insertion, state)
