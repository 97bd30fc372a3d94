"""What an administrator may put on a card: bounds of objects, and the policies of keys."""

from __future__ import annotations

from dataclasses import dataclass

from card_os.uses import PinPolicy, TouchPolicy


@dataclass(frozen=True, slots=True)
class Policies:
    """How a key is to be used, as its administrator says."""

    pin: PinPolicy = PinPolicy.DEFAULT
    touch: TouchPolicy = TouchPolicy.DEFAULT

    @property
    def are_standard(self) -> bool:
        """Whether the standard knows them."""
        return self.pin is PinPolicy.DEFAULT and self.touch is TouchPolicy.DEFAULT
