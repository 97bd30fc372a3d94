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
class Context:
    """The application's state. A handler changes nothing but `session`."""

    image: CardImage
    random: Random
    session: Session
    number: int = 0  # of the command being processed; the parts of a chain are one command

    def request_id(self) -> bytes:
        """A new idempotency key."""
        return self.random(REQUEST_ID_BYTES)
