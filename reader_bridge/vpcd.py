"""vpcd's framing, sans-IO: a 16-bit length, then a control byte or a command APDU.

The reader always speaks first. A message of one byte is a control byte; a longer one is an APDU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias

PORT = 35963  # of slot 0; slot n listens on PORT + n
LENGTH_BYTES = 2
LONGEST = 0xFFFF


@unique
class Control(IntEnum):
    """Messages of one byte. Only GET_ATR has an answer."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    GET_ATR = 4


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """A command for the card; the reader waits for its response."""

    raw: bytes


Event: TypeAlias = Control | CommandApdu

_CONTROLS = {control.value: control for control in Control}


class Decoder:
    """Turns received bytes into messages; it keeps an incomplete message for the next call.

    Empty messages and unknown control bytes yield nothing, because an answer that the reader does
    not expect would be taken for the answer of a later message.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take received bytes and yield each complete message."""
        self._buffer += data
        while len(self._buffer) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES])
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[LENGTH_BYTES:end])
            del self._buffer[:end]
            if len(body) > 1:
                yield CommandApdu(body)
            elif body and (control := _CONTROLS.get(body[0])) is not None:
                yield control


def encode(body: bytes) -> bytes:
    """A message to the reader: an ATR or a response APDU.

    Raises ValueError for an empty message, which vpcd takes for the card's removal, and for one of
    more than 65535 bytes.
    """
    if not 1 <= len(body) <= LONGEST:
        raise ValueError(f"a message of {len(body)} bytes cannot be sent")
    return len(body).to_bytes(LENGTH_BYTES) + body
