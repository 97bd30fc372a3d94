"""The records of our own IFD handler, sans-IO, as docs/reader-protocol.md describes them.

A record is one message of a SOCK_SEQPACKET socket. Its first byte tells what it is.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag, unique
from typing import TypeAlias, assert_never

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


@dataclass(frozen=True, slots=True)
class Hello:
    """What an agent says first: its card's ATR, and the slot that it wants."""

    atr: bytes
    slot: int = ANY_SLOT
    capabilities: int = Capability.CANCEL


@dataclass(frozen=True, slots=True)
class Welcome:
    """The card is in this slot."""

    slot: int
    capabilities: int = 0


@dataclass(frozen=True, slots=True)
class Apdu:
    """A command for the card, and the number of the exchange."""

    number: int
    command: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """The response to the command of this number."""

    number: int
    response: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the response of this number any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Eject:
    """The connection ends. The reason may be one that a later version of the protocol has."""

    reason: int


@unique
class Signal(IntEnum):
    """Records of a type alone."""

    WAIT = RecordType.WAIT
    ON = RecordType.ON
    OFF = RecordType.OFF
    RESET = RecordType.RESET


Record: TypeAlias = Hello | Welcome | Apdu | Response | Cancel | Eject | Signal

_HELLO = struct.Struct(">BBIB")  # type, version, capabilities, slot; then the ATR
_WELCOME = _HELLO
_EXCHANGE = struct.Struct(">BB")  # type, number; then the APDU
_EJECT = _EXCHANGE  # type, reason


def encode(record: Record) -> bytes:
    """A record as it is sent. Raises ValueError if something in it is too long or too short."""
    match record:
        case Hello(atr, slot, capabilities):
            _require(atr, ATR_BYTES, "an ATR")
            return _HELLO.pack(RecordType.HELLO, VERSION, capabilities, slot) + atr
        case Welcome(slot, capabilities):
            return _WELCOME.pack(RecordType.WELCOME, VERSION, capabilities, slot)
        case Apdu(number, command):
            _require(command, COMMAND_BYTES, "a command")
            return _EXCHANGE.pack(RecordType.APDU, number) + command
        case Response(number, response):
            _require(response, RESPONSE_BYTES, "a response")
            return _EXCHANGE.pack(RecordType.RESPONSE, number) + response
        case Cancel(number):
            return _EXCHANGE.pack(RecordType.CANCEL, number)
        case Eject(reason):
            return _EJECT.pack(RecordType.EJECT, reason)
        case Signal():
            return bytes([record])
        case _:
            assert_never(record)


def decode(raw: bytes) -> Record:
    """The record that was received. Raises MalformedRecord."""
    try:
        read = _READERS[raw[0]]
    except LookupError:
        raise MalformedRecord(f"no record of {len(raw)} bytes begins so") from None
    return read(raw)


def _hello(raw: bytes) -> Hello:
    _type, version, capabilities, slot = _header(_HELLO, raw)
    _require_version(version)
    return Hello(_rest(_HELLO, raw, ATR_BYTES), slot, capabilities)


def _welcome(raw: bytes) -> Welcome:
    _type, version, capabilities, slot = _header(_WELCOME, raw)
    _require_version(version)
    _rest(_WELCOME, raw, NOTHING)
    return Welcome(slot, capabilities)


def _apdu(raw: bytes) -> Apdu:
    return Apdu(_header(_EXCHANGE, raw)[1], _rest(_EXCHANGE, raw, COMMAND_BYTES))


def _response(raw: bytes) -> Response:
    return Response(_header(_EXCHANGE, raw)[1], _rest(_EXCHANGE, raw, RESPONSE_BYTES))


def _cancel(raw: bytes) -> Cancel:
    _rest(_EXCHANGE, raw, NOTHING)
    return Cancel(_header(_EXCHANGE, raw)[1])


def _eject(raw: bytes) -> Eject:
    _rest(_EJECT, raw, NOTHING)
    return Eject(_header(_EJECT, raw)[1])


def _signal(raw: bytes) -> Signal:
    if len(raw) != 1:
        raise MalformedRecord(f"a record of {len(raw)} bytes should have one")
    return Signal(raw[0])


_READERS: Mapping[int, Callable[[bytes], Record]] = {
    RecordType.HELLO: _hello,
    RecordType.WELCOME: _welcome,
    RecordType.APDU: _apdu,
    RecordType.RESPONSE: _response,
    RecordType.CANCEL: _cancel,
    RecordType.EJECT: _eject,
    **dict.fromkeys(Signal, _signal),
}


def _header(layout: struct.Struct, raw: bytes) -> tuple[int, ...]:
    if len(raw) < layout.size:
        raise MalformedRecord(f"a record of {len(raw)} bytes needs {layout.size}")
    return layout.unpack_from(raw)


def _rest(layout: struct.Struct, raw: bytes, lengths: range) -> bytes:
    """What follows the header, which must be of one of these lengths."""
    if len(raw) - layout.size not in lengths:
        raise MalformedRecord(f"a record of {len(raw)} bytes is too short or too long")
    return raw[layout.size :]


def _require_version(version: int) -> None:
    if version != VERSION:
        raise MalformedRecord(f"version {version} of the protocol is not {VERSION}")


def _require(value: bytes, lengths: range, what: str) -> None:
    if len(value) not in lengths:
        raise ValueError(f"{what} of {len(value)} bytes cannot be sent")
