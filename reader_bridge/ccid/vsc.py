"""The protocol of QEMU's `ccid-card-passthru`, sans-IO: the side that has the card.

(VSC, docs/ccid.txt of QEMU: header of type, reader and length, each of 32 bits)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, unique

MAGIC = b"VSCD"
VERSION = 2
NO_READER = 0xFFFFFFFF
THE_READER = 0
LONGEST = 0x10000
_HEADER = struct.Struct(">3I")
_NUMBER = struct.Struct(">I")


class NotVsc(ValueError):
    """Bytes that the protocol does not have; the connection has to end."""


@unique
class Kind(IntEnum):
    """The type of a message."""

    INIT = 1
    ERROR = 2  # also without one: zero is success
    READER_ADD = 3
    READER_REMOVE = 4
    ATR = 5
    CARD_REMOVE = 6
    APDU = 7
    FLUSH = 8
    FLUSH_COMPLETE = 9


@dataclass(frozen=True, slots=True)
class Message:
    """A message of either direction."""

    kind: Kind
    body: bytes = b""
    reader: int = THE_READER

    def encode(self) -> bytes:
        """The bytes of the message."""
        return _HEADER.pack(self.kind, self.reader, len(self.body)) + self.body

    @property
    def number(self) -> int | None:
        """The number of an error; None of what has none."""
        return _NUMBER.unpack(self.body)[0] if len(self.body) == _NUMBER.size else None


INIT = Message(Kind.INIT, MAGIC + struct.pack(">2I", VERSION, 0), NO_READER)
READER_ADD = Message(Kind.READER_ADD, reader=NO_READER)


class Decoder:
    """Finds the messages in a stream of bytes."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that these bytes complete. Raises NotVsc."""
        self._held += data
        while len(self._held) >= _HEADER.size:
            number, reader, length = _HEADER.unpack_from(self._held)
            if length > LONGEST:
                raise NotVsc(f"a message of {length} bytes")
            end = _HEADER.size + length
            if len(self._held) < end:
                return
            body = bytes(self._held[_HEADER.size : end])
            del self._held[:end]
            try:
                kind = Kind(number)
            except ValueError:
                raise NotVsc(f"type {number}") from None
            yield Message(kind, body, reader)
