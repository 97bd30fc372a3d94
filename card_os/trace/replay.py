"""A trace told to a card once more: its commands and key results go in, the rest is compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256

from card_os.card import Card
from card_os.keys import Exchange
from card_os.trace.lines import (
    Abandoned,
    Answered,
    Asked,
    Line,
    Power,
    Received,
    Seed,
    Sent,
    write,
)
from card_os.trace.words import TraceError

SEED = b""  # of a trace that names none


class SeededRandom:
    """Bytes that look random and are the same for the same seed: SHA-256 of seed and counter."""

    def __init__(self, seed: bytes = SEED) -> None:
        self.restart(seed)

    def restart(self, seed: bytes) -> None:
        """Begin anew."""
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
    """Where the card does otherwise than the trace says; None: nothing at all."""

    number: int  # of the trace's line; of its last one where the trace ends too soon
    expected: Line | None
    actual: Line | None
    command: bytes  # the command under way


class Replay:
    """Tells a card the lines of a trace, one after the other. The card draws from `random`."""

    def __init__(self, card: Card, random: SeededRandom) -> None:
        self._card = card
        self._random = random
        self._exchange: Exchange | None = None
        self._due: Line | None = None  # what the card has said and the trace has not yet
        self._command = b""
        self._number = 0

    def run(self, lines: Iterable[tuple[int, Line]]) -> Iterator[Difference]:
        """All differences, in order. Raises TraceError where a line cannot come where it does."""
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
                self._exchange = self._card.exchange(apdu)
                self._advance(None)
            case Answered():
                yield from self._settle()
                if self._exchange is None:  # the card has ended otherwise, which was said
                    return
                self._advance(line)
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

    def _advance(self, answer: Answered | None) -> None:
        """Go on to the card's next word."""
        if self._exchange is None:
            raise TraceError(f"line {self._number}: a key result, and no command is under way")
        try:
            request = next(self._exchange) if answer is None else self._exchange.send(answer.result)
            self._due = Asked(request)
        except StopIteration as done:
            self._exchange = None
            self._due = Received(done.value)

    def _compare(self, expected: Line) -> Iterator[Difference]:
        actual, self._due = self._due, None
        if actual is None or write(actual) != write(expected):
            yield Difference(self._number, expected, actual, self._command)

    def _settle(self) -> Iterator[Difference]:
        """What the card has said beyond the trace."""
        if self._due is not None:
            yield from self._unexpected(self._due)

    def _unexpected(self, actual: Line) -> Iterator[Difference]:
        self._due = None
        yield Difference(self._number, None, actual, self._command)
