"""Replays a trace: tells a card its commands and key results, and compares the card's output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from card_os.card import Card
from card_os.keys import Exchange, KeyResult, advance
from card_os.trace.lines import (
    Abandoned,
    Answered,
    Asked,
    Comment,
    Line,
    Pause,
    Power,
    Received,
    Seed,
    Sent,
    write,
)
from card_os.trace.words import TraceError

SEED = b""  # for a trace without a seed


class SeededRandom:
    """Bytes that look random and are the same for the same seed: SHA-256 of seed and counter."""

    def __init__(self, seed: bytes = SEED) -> None:
        self.restart(seed)

    def restart(self, seed: bytes) -> None:
        """Start anew with this seed."""
        self._seed = seed
        self._count = 0

    def __call__(self, size: int) -> bytes:
        made = b""
        while len(made) < size:
            made += sha256(self._seed + self._count.to_bytes(8)).digest()
            self._count += 1
        return made[:size]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the card's output differs from the trace; None stands for a missing output."""

    number: int  # of the line in the trace; of the last line if the trace ends too early
    expected: Line | None
    actual: Line | None
    command: bytes  # the command in progress


class Replay:
    """Tells a card the lines of a trace, one after the other.

    `random` must be the card's own random source: a seed in the trace restarts it.
    """

    def __init__(self, card: Card, random: SeededRandom) -> None:
        self._card = card
        self._random = random
        self._exchange: Exchange | None = None
        self._due: Line | None = None  # output of the card that the trace has not confirmed yet
        self._command = b""
        self._number = 0

    def run(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Difference]:
        """Yield all differences, in order."""
        for number, line in lines:
            self._number = number
            yield from self._tell(line)
        yield from self._settle()
        self._card.reset()

    def _tell(self, line: Line) -> Iterator[Difference]:
        match line:
            case Sent(apdu):
                yield from self._settle()
                self._command = apdu
                self._due, self._exchange = _next(self._card.exchange(apdu), None)
            case Answered(result):
                yield from self._settle()
                # Without an exchange, its end was already reported as a difference.
                if self._exchange is not None:
                    self._due, self._exchange = _next(self._exchange, result)
            case Asked() | Received():
                yield from self._compare(line)
            case Power() | Abandoned():
                yield from self._settle()
                self._exchange = None
                self._card.reset()
            case Seed(value):
                self._random.restart(value)
            case _:
                pass

    def _compare(self, expected: Line) -> Iterator[Difference]:
        actual, self._due = self._due, None
        if actual == expected:
            return
        # The text decides: it leaves out what is not compared, such as a request's identifier.
        if actual is None or write(actual) != write(expected):
            yield Difference(self._number, expected, actual, self._command)

    def _settle(self) -> Iterator[Difference]:
        """Report output of the card that the trace does not have."""
        if self._due is not None:
            yield from self._unexpected(self._due)

    def _unexpected(self, actual: Line) -> Iterator[Difference]:
        self._due = None
        yield Difference(self._number, None, actual, self._command)


def retell(card: Card, random: SeededRandom, lines: Iterable[tuple[int, Line]]) -> Iterator[Line]:
    """The trace with the card's present output: its input stays as it was.

    Raises TraceError if the card makes a request for which the trace has no result.
    """
    exchange: Exchange | None = None
    due: Line | None = None  # output of the card that is not written yet
    for number, line in lines:
        match line:
            case Asked() | Received():
                if due is not None:
                    yield due
                due = None
                continue
            case Comment() | Pause():
                yield line
                continue
            case Answered() if exchange is None:
                continue  # the card does not ask any more
            case Sent() if exchange is not None:
                raise TraceError(
                    f"line {number}: before this line the card waits for a key result that the "
                    "trace does not have: record the trace again"
                )
        if due is not None:
            yield due
        yield line
        due = None
        match line:
            case Sent(apdu):
                due, exchange = _next(card.exchange(apdu), None)
            case Answered(result) if exchange is not None:
                due, exchange = _next(exchange, result)
            case Power() | Abandoned():
                card.reset()
                exchange = None
            case Seed(value):
                random.restart(value)
            case _:
                pass
    if due is not None:
        yield due


def _next(exchange: Exchange, result: KeyResult | None) -> tuple[Line, Exchange | None]:
    """The card's next output, and the exchange if it continues."""
    said = advance(exchange, result)
    return (Received(said), None) if isinstance(said, bytes) else (Asked(said), exchange)
