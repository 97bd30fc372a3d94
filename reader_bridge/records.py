"""The records of our own IFD handler, sans-IO, as docs/reader-protocol.md describes them.

A record is one message of a SOCK_SEQPACKET socket. Its first byte tells what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag, unique
from typing import TypeAlias

VERSION = 1
ANY_SLOT = 0xFF
SILENCE_SECONDS = 5.0  # after which the handler takes the card of a silent agent out
BEAT_SECONDS = 1.0  # how often an agent says that it is there

ATR_BYTES = range(2, 34)  # ISO/IEC 7816-3, 8.2.1, with TS
COMMAND_BYTES = range(1, 65544 + 1)
RESPONSE_BYTES = range(2, 65538 + 1)
NOTHING = range(1)
LONGEST = 2 + COMMAND_BYTES[-1]  # of all records


@unique
class RecordType(IntEnum):
    """The first byte of a record."""

    HELLO = 0x01
    WELCOME = 0x02
    APDU = 0x03
    RESPONSE = 0x04
    WAIT = 0x05
    ON = 0x06
    OFF = 0x07
    RESET = 0x08
    CANCEL = 0x09
    EJECT = 0x0A


@unique
class EjectReason(IntEnum):
    """Why a connection ends."""

    REMOVED = 0x00
    MALFORMED = 0x01
    VERSION = 0x02
    FORBIDDEN = 0x03
    TAKEN = 0x04
    NO_SLOT = 0x05
    SILENT = 0x06
    CLOSING = 0x07
    FULL = 0x08


class Capability(IntFlag):
    """What an end of the connection can do beyond the rest. Unknown bits mean nothing."""

    CANCEL = 0x00000001


class MalformedRecord(ValueError):
    """A record that the protocol does not have."""


_GREETING = struct.Struct(">BBIB")  # type, version, capabilities, slot
_SHORT = struct.Struct(">BB")  # type, and a number or a reason


@dataclass(frozen=True, slots=True)
class Hello:
    """What an agent says first: its card's ATR, and the slot that it wants."""

    atr: bytes
    slot: int = ANY_SLOT
    capabilities: int = Capability.CANCEL

    def encode(self) -> bytes:
        """The record. Raises ValueError if this is no ATR."""
        _require(self.atr, ATR_BYTES, "an ATR")
        fixed = _GREETING.pack(RecordType.HELLO, VERSION, self.capabilities, self.slot)
        return fixed + self.atr

    @classmethod
    def decode(cls, raw: bytes) -> Hello:
        """The contents of a record. Raises MalformedRecord."""
        capabilities, slot = _greeting(raw)
        return cls(_rest(_GREETING, raw, ATR_BYTES), slot, capabilities)


@dataclass(frozen=True, slots=True)
class Welcome:
    """The card is in this slot."""

    slot: int
    capabilities: int = 0

    def encode(self) -> bytes:
        """The record."""
        return _GREETING.pack(RecordType.WELCOME, VERSION, self.capabilities, self.slot)

    @classmethod
    def decode(cls, raw: bytes) -> Welcome:
        """The contents of a record. Raises MalformedRecord."""
        capabilities, slot = _greeting(raw)
        _rest(_GREETING, raw, NOTHING)
        return cls(slot, capabilities)


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command for the card, and the number of the exchange."""

    number: int
    command: bytes

    def encode(self) -> bytes:
        """The record. Raises ValueError if the command is too long."""
        _require(self.command, COMMAND_BYTES, "a command")
        return _SHORT.pack(RecordType.APDU, self.number) + self.command

    @classmethod
    def decode(cls, raw: bytes) -> Apdu:
        """The contents of a record. Raises MalformedRecord."""
        command = _rest(_SHORT, raw, COMMAND_BYTES)
        return cls(raw[1], command)


@dataclass(frozen=True, slots=True)
class Response:
    """The response to the command of this number."""

    number: int
    response: bytes

    def encode(self) -> bytes:
        """The record. Raises ValueError if the response is too long, or no response."""
        _require(self.response, RESPONSE_BYTES, "a response")
        return _SHORT.pack(RecordType.RESPONSE, self.number) + self.response

    @classmethod
    def decode(cls, raw: bytes) -> Response:
        """The contents of a record. Raises MalformedRecord."""
        response = _rest(_SHORT, raw, RESPONSE_BYTES)
        return cls(raw[1], response)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the response of this number any more."""

    number: int

    def encode(self) -> bytes:
        """The record."""
        return _SHORT.pack(RecordType.CANCEL, self.number)

    @classmethod
    def decode(cls, raw: bytes) -> Cancel:
        """The contents of a record. Raises MalformedRecord."""
        _rest(_SHORT, raw, NOTHING)
        return cls(raw[1])


@dataclass(frozen=True, slots=True)
class Eject:
    """The connection ends. The reason may be one that a later version of the protocol has."""

    reason: int

    def encode(self) -> bytes:
        """The record."""
        return _SHORT.pack(RecordType.EJECT, self.reason)

    @classmethod
    def decode(cls, raw: bytes) -> Eject:
        """The contents of a record. Raises MalformedRecord."""
        _rest(_SHORT, raw, NOTHING)
        return cls(raw[1])


@unique
class Signal(IntEnum):
    """Records of a type alone."""

    WAIT = RecordType.WAIT
    ON = RecordType.ON
    OFF = RecordType.OFF
    RESET = RecordType.RESET

    def encode(self) -> bytes:
        """The record."""
        return bytes([self])

    @classmethod
    def decode(cls, raw: bytes) -> Signal:
        """The signal of a record. Raises MalformedRecord."""
        if len(raw) != 1:
            raise MalformedRecord(f"a record of {len(raw)} bytes should have one")
        return cls(raw[0])


Record: TypeAlias = Hello | Welcome | Apdu | Response | Cancel | Eject | Signal

_READERS: Mapping[int, Callable[[bytes], Record]] = {
    RecordType.HELLO: Hello.decode,
    RecordType.WELCOME: Welcome.decode,
    RecordType.APDU: Apdu.decode,
    RecordType.RESPONSE: Response.decode,
    RecordType.CANCEL: Cancel.decode,
    RecordType.EJECT: Eject.decode,
    **dict.fromkeys(Signal, Signal.decode),
}


def decode(raw: bytes) -> Record:
    """The record that was received. Raises MalformedRecord."""
    try:
        read = _READERS[raw[0]]
    except LookupError:
        raise MalformedRecord(f"no record of {len(raw)} bytes begins so") from None
    return read(raw)


def _greeting(raw: bytes) -> tuple[int, int]:
    """Capabilities and slot of a HELLO or WELCOME."""
    if len(raw) < _GREETING.size:
        raise MalformedRecord(f"a greeting of {len(raw)} bytes is too short")
    _type, version, capabilities, slot = _GREETING.unpack_from(raw)
    if version != VERSION:
        raise MalformedRecord(f"version {version} of the protocol is not {VERSION}")
    return capabilities, slot


def _rest(layout: struct.Struct, raw: bytes, lengths: range) -> bytes:
    """What follows the fixed part, which must be of one of these lengths."""
    if len(raw) - layout.size not in lengths:
        raise MalformedRecord(f"a record of {len(raw)} bytes is too short or too long")
    return raw[layout.size :]


def _require(value: bytes, lengths: range, what: str) -> None:
    if len(value) not in lengths:
        raise ValueError(f"{what} of {len(value)} bytes cannot be sent")
