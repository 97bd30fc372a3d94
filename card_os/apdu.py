"""Command APDUs: the class byte and the cases of length fields (ISO/IEC 7816-3, 12.1.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from card_os.status import SW, CardError

HEADER_BYTES = 4
SHORT_NE = 256  # the meaning of a short Le of zero (ISO/IEC 7816-3, 12.1.3)
EXTENDED_NE = 65536

CHAINED = 0x10  # of CLA: more parts follow
_SECURED = 0x0C  # secure messaging whose checksum covers the header
_CHANNEL = 0x03
_PROPRIETARY = 0x80
_OTHER = 0x60  # set in the classes 20 to 7F and A0 to FF, whose bits mean something else
_INVALID = 0xFF


@dataclass(frozen=True, slots=True)
class Command:
    """A command APDU with its length fields resolved."""

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = field(default=b"", repr=False)  # may hold a passcode
    ne: int = 0  # longest response data that the reader accepts; 0 if Le is absent

    @classmethod
    def header(cls, raw: bytes) -> Command:
        """The header of an APDU, without its data; raises 6700 if the header is incomplete."""
        if len(raw) < HEADER_BYTES:
            raise CardError(SW.WRONG_LENGTH, "header is cut short")
        return cls(raw[0], raw[1], raw[2], raw[3])

    @classmethod
    def parse(cls, raw: bytes) -> Command:
        """Split an APDU; raise 6700 if its lengths contradict each other."""
        if len(raw) < HEADER_BYTES:
            raise CardError(SW.WRONG_LENGTH, "header is cut short")
        data, ne = _split_body(raw[HEADER_BYTES:])
        return cls(raw[0], raw[1], raw[2], raw[3], data, ne)

    @property
    def channel(self) -> int:
        """The logical channel on which the command came."""
        return 0 if self.cla & _OTHER else self.cla & _CHANNEL

    @property
    def is_chained(self) -> bool:
        """Whether the command is a part of a chain, but not the last one."""
        return self.cla & (_OTHER | CHAINED) == CHAINED

    @property
    def is_secured(self) -> bool:
        """Whether the class byte announces secure messaging."""
        return self.cla & _SECURED != 0 and self.cla & (_PROPRIETARY | _OTHER) == 0

    @property
    def is_proprietary(self) -> bool:
        """Whether the class belongs to an application and not to ISO/IEC 7816."""
        return self.cla >= _PROPRIETARY

    @property
    def base_class(self) -> int:
        """The class without channel and chaining; 00 for every class of ISO/IEC 7816."""
        if not self.is_proprietary:
            return 0x00
        return self.cla if self.cla & _OTHER else self.cla & ~(CHAINED | _CHANNEL)

    def __bytes__(self) -> bytes:
        """The shortest APDU for this command.

        Raises OverflowError if Nc exceeds 65535 or Ne exceeds 65536.
        """
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        extended = len(self.data) > 255 or self.ne > SHORT_NE
        size = 2 if extended else 1
        lc = len(self.data).to_bytes(size) + self.data if self.data else b""
        full = EXTENDED_NE if extended else SHORT_NE
        le = (self.ne if self.ne != full else 0).to_bytes(size) if self.ne else b""
        return header + (b"\0" if extended else b"") + lc + le


def channel_of(apdu: bytes) -> int:
    """The logical channel that any bytes name; the basic channel if they name none.

    The proprietary classes 80 to 9F encode it as interindustry classes do (GlobalPlatform 11.1.4).
    """
    return apdu[0] & _CHANNEL if len(apdu) >= HEADER_BYTES and not apdu[0] & _OTHER else 0


def is_secured(apdu: bytes) -> bool:
    """Whether any bytes announce secure messaging in their class byte."""
    first = len(apdu) >= HEADER_BYTES and apdu[0] & (_PROPRIETARY | _OTHER) == 0
    return first and bool(apdu[0] & _SECURED)


def check_class(cla: int) -> None:
    """Raise an error for a class byte that is wrong in any state (ISO/IEC 7816-4, 5.4.1).

    Raises 6E00 for FF and for reserved classes, 6881 for channels 4 to 19, which this card does not
    have, and 6882 for secure messaging that leaves the header unprotected. The selected application
    decides whether it accepts a proprietary class.
    """
    if cla & 0xE0 == 0x00:  # first interindustry: b4-b3 secure messaging, b2-b1 channels 0 to 3
        if cla & _SECURED not in (0x00, _SECURED):
            raise CardError(SW.SECURE_MESSAGING_NOT_SUPPORTED)
    elif cla & 0xC0 == 0x40:  # further interindustry: channels 4 to 19
        raise CardError(SW.CHANNEL_NOT_SUPPORTED)
    elif cla == _INVALID or not cla & _PROPRIETARY:
        raise CardError(SW.CLA_NOT_SUPPORTED, "a class without meaning")


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
