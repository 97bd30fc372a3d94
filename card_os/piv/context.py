"""What the handlers of the PIV application work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from card_os.keys import Exchange
from card_os.piv.image import CardImage
from card_os.piv.session import Session

Random: TypeAlias = Callable[[int], bytes]
Reply: TypeAlias = bytes | Exchange

REQUEST_ID_BYTES = 16


@dataclass(slots=True)
class Shared:
    """What all channels of a card have in common."""

    image: CardImage  # replaced when an administrator has changed the card


@dataclass(slots=True)
class Context:
    """The application's state on one channel. A handler changes nothing but `session`, and
    `shared` when a change has been stored.
    """

    shared: Shared
    random: Random
    session: Session
    number: int = 0  # of the command being processed; the parts of a chain are one command

    @property
    def image(self) -> CardImage:
        """The card as it now is."""
        return self.shared.image

    def request_id(self) -> bytes:
        """A new idempotency key."""
        return self.random(REQUEST_ID_BYTES)
