"""What an administrator may put on a card: bounds of objects, and the policies of keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique

from cloud_keystore.model.cards import PinPolicy

LARGEST_OBJECT = 12_800  # the largest of the standard, a face, has 12,710 (SP 800-73-5 part 1, 3)
LARGEST_CARD = 128 * 1024  # of all objects together


@unique
class TouchPolicy(IntEnum):
    """When a key asks for a touch: kept and told, no more."""

    DEFAULT = 0
    NEVER = 1
    ALWAYS = 2
    CACHED = 3


@dataclass(frozen=True, slots=True)
class Policies:
    """How a key is to be used, as its administrator says."""

    pin: PinPolicy = PinPolicy.DEFAULT
    touch: TouchPolicy = TouchPolicy.DEFAULT

    @property
    def are_standard(self) -> bool:
        """Whether the standard knows them."""
        return self.pin is PinPolicy.DEFAULT and self.touch is TouchPolicy.DEFAULT
