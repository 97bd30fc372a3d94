"""The messages of a USB smart card reader and their errors (USB CCID 1.1, chapter 6)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique

_HEADER = struct.Struct("<BIBB3s")  # type, length, slot, sequence number, three of the type's own
HEADER_BYTES = _HEADER.size


@unique
class Request(IntEnum):
    """Messages from the computer, PC_to_RDR (table 6.1-1)."""

    SET_PARAMETERS = 0x61
    POWER_ON = 0x62
    POWER_OFF = 0x63
    GET_SLOT_STATUS = 0x65
    SECURE = 0x69
    T0_APDU = 0x6A
    ESCAPE = 0x6B
    GET_PARAMETERS = 0x6C
    RESET_PARAMETERS = 0x6D
    CLOCK = 0x6E
    TRANSFER = 0x6F
    MECHANICAL = 0x71
    ABORT = 0x72
    SET_DATA_RATE = 0x73


@unique
class Answer(IntEnum):
    """Messages to the computer, RDR_to_PC (table 6.2-1)."""

    DATA = 0x80
    SLOT_STATUS = 0x81
    PARAMETERS = 0x82
    ESCAPE = 0x83
    DATA_RATE = 0x84


SLOT_CHANGE = 0x50  # RDR_to_PC_NotifySlotChange, at the interrupt endpoint (6.3.1)

# What answers a request, also one that fails. All others are answered with the slot's status.
ANSWERED_WITH: Mapping[int, Answer] = {
    Request.POWER_ON: Answer.DATA,
    Request.TRANSFER: Answer.DATA,
    Request.SECURE: Answer.DATA,
    Request.GET_PARAMETERS: Answer.PARAMETERS,
    Request.SET_PARAMETERS: Answer.PARAMETERS,
    Request.RESET_PARAMETERS: Answer.PARAMETERS,
    Request.ESCAPE: Answer.ESCAPE,
    Request.SET_DATA_RATE: Answer.DATA_RATE,
}


@unique
class CardStatus(IntEnum):
    """bmICCStatus (table 6.2-3)."""

    ACTIVE = 0
    INACTIVE = 1
    ABSENT = 2


@unique
class Outcome(IntEnum):
    """bmCommandStatus (table 6.2-3), in its place within the byte."""

    DONE = 0x00
    FAILED = 0x40
    TIME_EXTENSION = 0x80


@unique
class Error(IntEnum):
    """bError of a request that failed (table 6.2-2).

    The first ones are places within the request: of what is wrong, or not supported.
    """

    NOT_SUPPORTED = 0x00
    LENGTH = 0x01
    SLOT = 0x05
    FIRST_OWN = 0x07  # bPowerSelect, bProtocolNum, bClockCommand
    LEVEL = 0x08  # wLevelParameter
    CONTENTS = 0x0A
    SLOT_BUSY = 0xE0
    MUTE = 0xFE
    ABORTED = 0xFF


@unique
class Level(IntEnum):
    """Which part of an APDU a message holds: wLevelParameter, bChainParameter (6.1.4, 6.2.1)."""

    WHOLE = 0x00
    FIRST = 0x01
    LAST = 0x02
    MIDDLE = 0x03
    NEXT = 0x10  # no part: asks for the next one


@dataclass(frozen=True, slots=True)
class Message:
    """A message of either direction. `own` are the three bytes that each type uses in its way."""

    type: int
    slot: int
    seq: int
    own: bytes = bytes(3)
    data: bytes = b""

    def encode(self) -> bytes:
        """The bytes of the message."""
        return _HEADER.pack(self.type, len(self.data), self.slot, self.seq, self.own) + self.data

    @classmethod
    def decode(cls, raw: bytes) -> Message:
        """The message of a transfer. Raises MalformedMessage.

        Of one that says another length than it has, MalformedMessage tells the header.
        """
        if len(raw) < HEADER_BYTES:
            raise MalformedMessage(None)
        kind, length, slot, seq, own = _HEADER.unpack_from(raw)
        data = raw[HEADER_BYTES:]
        if len(data) != length:
            raise MalformedMessage(cls(kind, slot, seq, own))
        return cls(kind, slot, seq, own, data)


class MalformedMessage(ValueError):
    """A transfer that is no message; `header` is the message without its data, if it has one."""

    def __init__(self, header: Message | None) -> None:
        super().__init__("no header" if header is None else "another length than it says")
        self.header = header


def declared_length(raw: bytes | bytearray) -> int:
    """How long a message says that it is, by its first bytes; the header if they are too few."""
    if len(raw) < HEADER_BYTES:
        return HEADER_BYTES
    return HEADER_BYTES + int.from_bytes(raw[1:5], "little")


class Transfers:
    """Joins the transfers of the bulk-out endpoint to messages.

    A message ends with its length, or with a transfer that does not fill its last packet
    (USB 2.0, 5.8.3). What is longer than the reader takes is not kept.
    """

    def __init__(self, longest: int, packet: int) -> None:
        self._longest = longest
        self._packet = packet
        self._held = bytearray()
        self._skipping = False

    def feed(self, transfer: bytes) -> bytes | None:
        """The message that the transfer ends, whole or not; None if it goes on."""
        short = not transfer or len(transfer) % self._packet != 0
        if self._skipping:
            self._skipping = not short
            return None
        self._held += transfer
        if not self._held:  # the empty packet behind a message that has filled its last one
            return None
        length = declared_length(self._held)
        if length > self._longest:  # refused at once, whatever follows
            self._skipping = not short
            return self._taken(HEADER_BYTES)
        if len(self._held) < length and not short:
            return None
        return self._taken(length + 1)  # one more shows that it is too long

    def _taken(self, most: int) -> bytes:
        taken = bytes(self._held[:most])
        self._held.clear()
        return taken
