"""Command APDUs: what the class byte says, and the cases of lengths (ISO/IEC 7816-3, 12.1.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from card_os.status import SW, CardError

HEADER_BYTES = 4
SHORT_NE = 256  # what Le of zero asks for (ISO/IEC 7816-3, 12.1.3)
EXTENDED_NE = 65536

_CHAINED = 0x10


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU with its length fields resolved."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)  # may hold a passcode
    ne: int = 0  # longest response data that the reader accepts; 0 when Le is absent

    @classmethod
    def parse(cls, raw: bytes) -> Command:
        """Split an APDU; raise 6700 if its lengths contradict each other."""
        if len(raw) < HEADER_BYTES:
            raise CardError(SW.WRONG_LENGTH, "header is cut short")
        data, ne = _split_body(raw[HEADER_BYTES:])
        return cls(raw[0], raw[1], raw[2], raw[3], data, ne)

    def __bytes__(self) -> bytes:
        """The shortest APDU that says the same. Raises OverflowError beyond 65535 and 65536."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        extended = len(self.data) > 255 or self.ne > SHORT_NE
        size = 2 if extended else 1
        lc = len(self.data).to_bytes(size) + self.data if self.data else b""
        full = EXTENDED_NE if extended else SHORT_NE
        le = (self.ne if self.ne != full else 0).to_bytes(size) if self.ne else b""
        return header + (b"\0" if extended else b"") + lc + le


def is_chained(cla: int) -> bool:
    """Whether a command of this class is a part of a chain, other than its last one.

    Raises 6E00 for a class which is not interindustry, 6881 for a logical channel other than the
    basic one, 6882 for secure messaging (ISO/IEC 7816-4, 5.4.1).
    """
    if cla in (0x00, _CHAINED):
        return cla == _CHAINED
    if cla & 0xE0 == 0x00:  # first interindustry: b4-b3 secure messaging, b2-b1 channel 0 to 3
        other_channel = bool(cla & 0x03)
        raise CardError(
            SW.CHANNEL_NOT_SUPPORTED if other_channel else SW.SECURE_MESSAGING_NOT_SUPPORTED
        )
    if cla & 0xC0 == 0x40:  # further interindustry: channels 4 to 19
        raise CardError(SW.CHANNEL_NOT_SUPPORTED)
    raise CardError(SW.CLA_NOT_SUPPORTED)


def _split_body(body: bytes) -> tuple[bytes, int]:
    """Split what follows the header into data and Ne."""
    if not body:  # case 1
        return b"", 0
    if len(body) == 1:  # case 2S
        return b"", body[0] or SHORT_NE
    if body[0]:  # cases 3S and 4S
        return _split_data(body[1:], body[0], le_bytes=1)
    if len(body) == 3:  # case 2E
        return b"", int.from_bytes(body[1:]) or EXTENDED_NE
    lc = int.from_bytes(body[1:3])
    if lc == 0:
        raise CardError(SW.WRONG_LENGTH, "Lc of zero")
    return _split_data(body[3:], lc, le_bytes=2)  # cases 3E and 4E


def _split_data(rest: bytes, lc: int, le_bytes: int) -> tuple[bytes, int]:
    data, le = rest[:lc], rest[lc:]
    if len(data) == lc and not le:
        return data, 0
    if len(data) != lc or len(le) != le_bytes:
        raise CardError(SW.WRONG_LENGTH, "Lc or Le does not fit")
    return data, int.from_bytes(le) or 1 << (8 * le_bytes)
