"""vpcd's framing, sans-IO: a 16-bit length, then a control byte or a command APDU.

The reader always begins; a control byte and an APDU differ by nothing but the length of one.
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
    """Messages of one byte. Only GET_ATR is answered."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    GET_ATR = 4


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """A command for the card; waits for its response."""

    raw: bytes


Event: TypeAlias = Control | CommandApdu

_CONTROLS = {control.value: control for control in Control}


class Decoder:
    """Bytes in, events out; keeps what is not a whole message yet.

    Total: empty messages and unknown control bytes yield nothing, because an answer that the reader
    does not expect would put all later ones out of step.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take in what was received; yield each message that is complete."""
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

    Raises ValueError for an empty one, which vpcd takes for the card's removal, and for one longer
    than its length can say.
    """
    if not 1 <= len(body) <= LONGEST:
        raise ValueError(f"a message of {len(body)} bytes cannot be sent")
    return len(body).to_bytes(LENGTH_BYTES) + body
