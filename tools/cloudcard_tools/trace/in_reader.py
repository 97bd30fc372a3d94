"""A card in a PC/SC reader, as traces are recorded from it and told to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, TypeVar

import click

from card_os.commands import Ins
from card_os.trace.words import TraceError
from cloudcard_tools.shared.extras import install
from cloudcard_tools.shared.failures import Failure
from cloudcard_tools.shared.pcsc import Card, PcscError, client

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

MORE = 0x61  # first byte of the status word where there is more to fetch
MOST_PIECES = 1024  # of a response or command: the longest there is comes in fewer


def passcode_options(function: F) -> F:
    """The files of the passcodes, which no command line should hold."""
    pin = click.option("--pin-file", type=FILE, help="With --reader: file with the card's PIN.")
    puk = click.option("--puk-file", type=FILE, help="With --reader: file with the card's PUK.")
    return pin(puk(function))


class Reader(Protocol):
    """A card in a reader."""

    @property
    def atr(self) -> bytes: ...

    def transmit(self, command: bytes, /) -> bytes: ...

    def reset(self) -> None: ...


@contextmanager
def connected(reader: str) -> Iterator[tuple[str, Card]]:
    """The name of the one reader whose name has this in it, and its card. Raises Failure."""
    try:
        with client() as own:
            names = own.readers()
            found = [name for name in names if name == reader] or [
                name for name in names if reader.lower() in name.lower()
            ]
            if len(found) != 1:
                there = ", ".join(found or names) or "there are none"
                problem = "more than one reader" if found else "no reader"
                raise Failure(f"{problem} is called {reader!r}: {there}")
            with own.connect(found[0]) as card, card.alone():
                try:
                    yield found[0], card
                finally:
                    with suppress(PcscError):  # it may have gone
                        card.reset()  # else whoever comes next finds it logged in
    except PcscError as error:
        raise Failure(f"PC/SC: {error}") from None
    except ImportError:
        raise Failure(f"pyscard is not installed: {install('pcsc')}") from None


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
