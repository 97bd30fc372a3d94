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
    """One group TAi TBi TCi; `protocol` is the T of the TD(i-1) that announces it, or 0 for the
    first group.
    """

    protocol: int = 0
    ta: int | None = None
    tb: int | None = None
    tc: int | None = None

    @property
    def present(self) -> bytes:
        """The bytes that are present, in order."""
        return bytes(byte for byte in (self.ta, self.tb, self.tc) if byte is not None)

    @property
    def indicator(self) -> int:
        """Bits 5 to 7 of Yi, which say which of the bytes are present."""
        bits = enumerate((self.ta, self.tb, self.tc))
        return sum(0x10 << bit for bit, byte in bits if byte is not None)


INTERFACE = (  # only T=1, so that no reader maps APDUs to T=0
    InterfaceBytes(ta=0x96, tc=0x00),
    InterfaceBytes(T1),
    InterfaceBytes(T1, ta=0xFE, tb=0x45),  # IFSC of 254 bytes; waiting times
)


def build(groups: Sequence[InterfaceBytes], historical: bytes) -> bytes:
    """Build an ATR; the indicator bytes T0 and TDi and the check byte TCK follow from the parts.

    Raises ValueError if there are more than 15 historical bytes or no group.
    """
    if len(historical) > LONGEST_HISTORICAL:
        raise ValueError(f"{len(historical)} historical bytes: at most {LONGEST_HISTORICAL}")
    if not groups:
        raise ValueError("an ATR needs at least one group, which can be empty")
    low = [len(historical), *(group.protocol for group in groups[1:])]
    more = [0x80] * (len(groups) - 1) + [0x00]  # bit 8 of Yi: TDi follows
    body = bytearray()
    for nibble, follows, group in zip(low, more, groups, strict=True):
        body.append(follows | group.indicator | nibble)  # T0 for the first group, then TD(i-1)
        body += group.present
    body += historical
    if any(group.protocol for group in groups):  # T=0 alone has no TCK (8.2.5)
        body.append(reduce(xor, body, 0))
    return bytes((DIRECT_CONVENTION,)) + bytes(body)


def historical_bytes(atr: bytes) -> bytes:
    """The historical bytes of an ATR. Raises ValueError if it ends before them."""
    if len(atr) < 2:
        raise ValueError("an ATR begins with TS and T0")
    indicator, at = atr[1], 2
    while True:
        at += (indicator >> 4).bit_count()  # TAi to TDi, as far as they are present
        if not indicator & 0x80:
            break
        if at > len(atr):
            raise ValueError("the ATR ends within its interface bytes")
        indicator = atr[at - 1]  # TDi is the last of its group
    count = atr[1] & 0x0F
    if len(atr) < at + count:
        raise ValueError("the ATR ends within its historical bytes")
    return atr[at : at + count]


def compact_tlv(tag: int, value: bytes) -> bytes:
    """One COMPACT-TLV data object of the historical bytes: tag and length share a byte.

    Raises ValueError if the tag or the length exceeds 15.
    """
    if not 0 <= tag <= 0x0F or len(value) > 0x0F:
        raise ValueError("a COMPACT-TLV tag and length have four bits each")
    return bytes((tag << 4 | len(value),)) + value


def for_application(aid: bytes) -> bytes:
    """The ATR of a card on which the application `aid` is selected after a reset.

    `aid` can have at most 9 bytes. The historical bytes name no vendor, because Windows would
    search for that vendor's driver.
    """
    return build(INTERFACE, COMPACT + compact_tlv(0x7, CAPABILITIES) + compact_tlv(0xF, aid))


def generic() -> bytes:
    """The ATR of a card that says how to select applications, but does not name any."""
    objects = (
        compact_tlv(0x3, bytes((0xC0,))),  # selection by full and partial DF name
        compact_tlv(0x7, CAPABILITIES),
        compact_tlv(0x8, bytes((0x90, 0x00))),  # status
    )
    return build(INTERFACE, COMPACT + b"".join(objects))
