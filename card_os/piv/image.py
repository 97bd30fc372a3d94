"""All of a card that is not secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from card_os.piv.access import KEY_USE
from card_os.piv.names import CONTAINER_ID

GUID_BYTES = 16


@dataclass(frozen=True, slots=True)
class CardImage:
    """What the card shows: identity, data objects, and which keys it can ask to be used.

    Raises ValueError for what no PIV card has: an unknown data object, key reference or algorithm.
    """

    serial: str
    guid: bytes  # 16 bytes, as in the CHUID
    objects: Mapping[int, bytes] = field(repr=False)
    """By tag, what stands inside the 53; for 7E and 7F61, inside the tag itself."""
    keys: Mapping[int, int]
    """Algorithm by key reference."""

    def __post_init__(self) -> None:
        if len(self.guid) != GUID_BYTES:
            raise ValueError(f"the GUID has {len(self.guid)} bytes, not {GUID_BYTES}")
        for tag in self.objects:
            if tag not in CONTAINER_ID:
                raise ValueError(f"no PIV card has a data object {tag:X}")
        for key_ref, algorithm in self.keys.items():
            if (key_ref, algorithm) not in KEY_USE:
                raise ValueError(
                    f"no PIV card has a key {key_ref:02X} of algorithm {algorithm:02X}"
                )
        # A copy: nobody changes a card by changing the mapping it was made from.
        object.__setattr__(self, "objects", MappingProxyType(dict(self.objects)))
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))
