"""Answer to reset (ISO/IEC 7816-3, 8.2; historical bytes ISO/IEC 7816-4, 12.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

DIRECT_CONVENTION = 0x3B
LONGEST_HISTORICAL = 15
T1 = 1

CAPABILITIES = bytes(
    (
        0xC8,  # selection by full and partial DF name, implicit selection
        0x01,  # data units of one byte
        0xDB,  # command chaining, extended lengths; four channels, numbered by card or reader
    )
)  # card capabilities (ISO/IEC 7816-4, 12.1.1.9)

COMPACT = b"\x80"  # category indicator: COMPACT-TLV data objects follow


@dataclass(frozen=True, slots=True)
class InterfaceBytes:
    """One group TAi TBi TCi; `protocol` is the T of TD(i-1) which announces it, 0 for the first."""

    protocol: int = 0
    ta: int | None = None
    tb: int | None = None
    tc: int | None = None

    @property
    def present(self) -> bytes:
        """The bytes that are there, in order."""
        return bytes(byte for byte in (self.ta, self.tb, self.tc) if byte is not None)

    @property
    def indicator(self) -> int:
        """Bits 5 to 7 of Yi: which of the bytes are there."""
        bits = enumerate((self.ta, self.tb, self.tc))
        return sum(0x10 << bit for bit, byte in bits if byte is not None)


INTERFACE = (  # only T=1, so that no reader maps APDUs to T=0
    InterfaceBytes(ta=0x96, tc=0x00),
    InterfaceBytes(T1),
    InterfaceBytes(T1, ta=0xFE, tb=0x45),  # IFSC of 254 bytes; waiting times
)


def build(groups: Sequence[InterfaceBytes], historical: bytes) -> bytes:
    """Put an ATR together: the indicator bytes T0 and TDi, and TCK, follow from the parts.

    Raises ValueError for more than 15 historical bytes or no group.
    """
    if len(historical) > LONGEST_HISTORICAL:
        raise ValueError(f"{len(historical)} historical bytes: at most {LONGEST_HISTORICAL}")
    if not groups:
        raise ValueError("an ATR has at least its first group, which may be empty")
    low = [len(historical), *(group.protocol for group in groups[1:])]
    more = [0x80] * (len(groups) - 1) + [0x00]  # bit 8 of Yi: TDi follows
    body = bytearray()
    for nibble, follows, group in zip(low, more, groups, strict=True):
        body.append(follows | group.indicator | nibble)  # T0, then TDi, which end the turn before
        body += group.present
    body += historical
    if any(group.protocol for group in groups):  # T=0 alone has no TCK (8.2.5)
        body.append(reduce(xor, body, 0))
    return bytes((DIRECT_CONVENTION,)) + bytes(body)


def compact_tlv(tag: int, value: bytes) -> bytes:
    """One COMPACT-TLV data object of the historical bytes: tag and length share a byte."""
    if not 0 <= tag <= 0x0F or len(value) > 0x0F:
        raise ValueError("a COMPACT-TLV tag and length have four bits each")
    return bytes((tag << 4 | len(value),)) + value


def for_application(aid: bytes) -> bytes:
    """ATR of a card whose application after reset is `aid`, of at most 9 bytes.

    The historical bytes name no vendor: Windows would look for that vendor's driver.
    """
    return build(INTERFACE, COMPACT + compact_tlv(0x7, CAPABILITIES) + compact_tlv(0xF, aid))


def generic() -> bytes:
    """ATR of a card that says how applications are selected, and not which there are."""
    objects = (
        compact_tlv(0x3, bytes((0xC0,))),  # selection by full and partial DF name
        compact_tlv(0x7, CAPABILITIES),
        compact_tlv(0x8, bytes((0x90, 0x00))),  # status
    )
    return build(INTERFACE, COMPACT + b"".join(objects))
