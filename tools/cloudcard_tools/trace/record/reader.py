"""A card in a reader, as traces need it."""

from __future__ import annotations

from typing import Protocol

from card_os.commands import Ins
from card_os.trace.words import TraceError

MORE = 0x61  # first byte of the status word where there is more to fetch
MOST_PIECES = 1024  # of a response or command: the longest there is comes in fewer


class Reader(Protocol):
    """A card in a reader."""

    @property
    def atr(self) -> bytes: ...

    def transmit(self, command: bytes, /) -> bytes: ...

    def reset(self) -> None: ...


def has_more(response: bytes) -> bool:
    """Whether some of a response is left to fetch."""
    return len(response) >= 2 and response[-2] == MORE


def next_piece(reader: Reader, response: bytes, channel: int = 0) -> bytes:
    """What a card says next of the response of which this was the last piece."""
    return reader.transmit(bytes((channel, Ins.GET_RESPONSE, 0, 0, response[-1])))


def fetch(reader: Reader, apdu: bytes) -> bytes:
    """A whole response. Raises TraceError for one without end."""
    pieces = [reader.transmit(apdu)]
    while has_more(pieces[-1]):
        check_count(len(pieces))
        pieces.append(next_piece(reader, pieces[-1]))
    return joined(pieces)


def check_count(pieces: int) -> None:
    """Raises TraceError for too many pieces."""
    if pieces >= MOST_PIECES:
        raise TraceError(f"a command or response has more than {MOST_PIECES} pieces")


def joined(pieces: list[bytes]) -> bytes:
    """The pieces of a response as one."""
    return b"".join(piece[:-2] for piece in pieces) + pieces[-1][-2:]
