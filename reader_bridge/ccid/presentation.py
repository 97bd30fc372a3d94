"""As what a card is presented: the protocol, and what follows from it (CCID 1.1, 5.1, 6.1.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

from reader_bridge.ccid.messages import HEADER_BYTES

LONGEST_COMMAND = 65544  # an extended APDU: header, Lc of 3, 65,535 bytes, Le of 2
LONGEST_RESPONSE = 65538  # 65,536 bytes, and the status word
LONGEST_TPDU = 261  # of T=0, with which readers of that level count (5.1)


class Feature(IntFlag):
    """dwFeatures: what the reader does by itself, and the level of its exchanges."""

    PARAMETERS = 0x00000002
    VOLTAGE = 0x00000008
    CLOCK = 0x00000010
    DATA_RATE = 0x00000020
    PROTOCOL = 0x00000080
    IFSD = 0x00000400
    TPDU = 0x00010000
    EXTENDED_APDU = 0x00040000


_AUTOMATIC = (
    Feature.PARAMETERS | Feature.VOLTAGE | Feature.CLOCK | Feature.DATA_RATE | Feature.PROTOCOL
)


@dataclass(frozen=True, slots=True)
class Presentation:
    """A protocol T=0 or T=1."""

    protocol: int
    features: Feature
    longest_message: int  # dwMaxCCIDMessageLength
    ifsd: int  # dwMaxIFSD
    parameters: bytes  # abProtocolDataStructure

    @property
    def protocols(self) -> int:
        """dwProtocols."""
        return 1 << self.protocol


# TA1 of the card's ATR is 96; waiting times and IFSC as there.
T1 = Presentation(
    1,
    _AUTOMATIC | Feature.IFSD | Feature.EXTENDED_APDU,
    HEADER_BYTES + LONGEST_COMMAND,
    254,
    bytes((0x96, 0x10, 0x00, 0x45, 0x00, 0xFE, 0x00)),
)
T0 = Presentation(
    0,
    _AUTOMATIC | Feature.TPDU,
    HEADER_BYTES + LONGEST_TPDU,
    0,
    bytes((0x96, 0x00, 0x00, 0x0A, 0x00)),
)
