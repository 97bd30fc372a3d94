"""A card in a PC/SC reader, from which traces are recorded and at which they are replayed."""

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
from cloudcard_tools.shared.pcsc import Card, PcscError, PcscRefused, client

F = TypeVar("F", bound=Callable[..., object])

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

MORE = 0x61  # first byte of the status word if there is more to fetch
MOST_PIECES = 1024  # of a response or command; the longest possible one has fewer


def passcode_options(function: F) -> F:
    """Add --pin-file and --puk-file. Passcodes do not belong on a command line."""
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
    """Connect to the card in the only reader whose name contains `reader`; yields the reader's name
    and the card. Raises Failure if there is no such reader or card.
    """
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
                    # Without a reset, the next program would find the card logged in. It can be
                    # gone by now.
                    with suppress(PcscError):
                        card.reset()
    except PcscRefused as refused:
        raise Failure(f"{refused.message}: {refused.remedy}") from None
    except PcscError as error:
        raise Failure(f"PC/SC: {error}") from None
    except ImportError:
        raise Failure(f"pyscard is not installed: {install('pcsc')}") from None


def has_more(response: bytes) -> bool:
    """Whether a part of the response is left to fetch."""
    return len(response) >= 2 and response[-2] == MORE


def next_piece(reader: Reader, response: bytes, channel: int = 0) -> bytes:
    """The next piece of a response, after this last one."""
    return reader.transmit(bytes((channel, Ins.GET_RESPONSE, 0, 0, response[-1])))


def fetch(reader: Reader, apdu: bytes) -> bytes:
    """The whole response to a command. Raises TraceError if it has too many pieces."""
    pieces = [reader.transmit(apdu)]
    while has_more(pieces[-1]):
        check_count(len(pieces))
        pieces.append(next_piece(reader, pieces[-1]))
    return joined(pieces)


def check_count(pieces: int) -> None:
    """Raise TraceError if there are too many pieces."""
    if pieces >= MOST_PIECES:
        raise TraceError(f"a command or response has more than {MOST_PIECES} pieces")


def joined(pieces: list[bytes]) -> bytes:
    """The pieces of a response, joined."""
    return b"".join(piece[:-2] for piece in pieces) + pieces[-1][-2:]
