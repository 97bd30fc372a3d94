"""The cards of `cloudcard reader`, before they are in a slot."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from card_os.card import Card
from card_os.piv import CardImage, new_card
from cloudcard_tools.shared.application import CardFactory
from cloudcard_tools.trace.record.recording import Recorded, recorded, recorded_application
from reader_bridge.tasks import CancellableKeys


@dataclass(frozen=True, slots=True)
class Ready:
    """The parts of a card that is ready to be put into a slot."""

    slot: int
    name: str
    made_from: CardImage | CardFactory
    keys: CancellableKeys

    def make(self) -> Card:
        """Make a card that is not recorded."""
        if isinstance(self.made_from, CardImage):
            return new_card(self.made_from, os.urandom)
        return self.made_from(os.urandom)

    def recorded(self, path: Path) -> AbstractContextManager[Recorded]:
        """Make a card that is recorded. Raises Failure if the trace file cannot be made."""
        if isinstance(self.made_from, CardImage):
            return recorded(self.made_from, path)
        return recorded_application(self.made_from, path)
