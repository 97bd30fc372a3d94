"""Replays traces that are changed at random with a card in this process, and finds what breaks it
and what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TypeAlias

from card_os import piv
from card_os.card import Card
from card_os.keys import KeyRequest, KeyResult, Refusal, TriesLeft, advance
from card_os.piv.image import CardImage
from card_os.piv.refusals import unexpected
from card_os.trace.lines import (
    Abandoned,
    Answered,
    Asked,
    Image,
    Line,
    Power,
    Received,
    Seed,
    Sent,
    read_all,
)
from card_os.trace.replay import SeededRandom
from card_os.trace.words import TraceError
from cloudcard_tools.trace.minimise.minimising import Unit, units
from cloudcard_tools.trace.replay import cards
from cloudcard_tools.trace.replay.replaying import opened, texts

MOST_UNITS = 400  # of one attempt; and read from each trace of the corpus
MOST_CHANGES = 4
HANG = 1.0  # seconds
Covered: TypeAlias = tuple[str, str, str]  # instruction, status word, kind of the last request


@dataclass(frozen=True, slots=True)
class Known:
    """A trace of the corpus: its card, and its commands."""

    image: CardImage
    digest: bytes
    told: tuple[Unit, ...]


@dataclass(slots=True)
class Attempt:
    """The outcome of one changed trace."""

    lines: list[Line] = field(default_factory=list)
    covered: set[Covered] = field(default_factory=set)
    findings: list[str] = field(default_factory=list)


def load(path: Path, folder: Path | None) -> Known:
    """Read a trace of the corpus, or its beginning. Raises TraceError if it cannot be read."""
    lines: list[Line] = []
    with opened(path) as file:
        for _, line in read_all(texts(file)):
            if isinstance(line, Image | Sent | Power | Abandoned | Seed | Answered):
                lines.append(line)
            if len(lines) == MOST_UNITS:
                break
    image = next((line for line in lines if isinstance(line, Image)), None)
    if image is None:
        raise TraceError("the trace names no card: add a line @ card sha256:…")
    told = units(line for line in lines if line is not image)
    return Known(cards.find(image.sha256, path, folder), image.sha256, tuple(told))


def attempt(known: Known, told: Sequence[Unit]) -> Attempt:
    """Replay a changed trace with a new card. The lines of the outcome are the new conversation."""
    random = SeededRandom()
    card = piv.new_card(known.image, random)
    made = Attempt([Image(known.digest)])
    for unit in told[:MOST_UNITS]:
        match unit[0]:
            case Sent(apdu):
                answers = [line.result for line in unit if isinstance(line, Answered)]
                _exchange(card, apdu, answers, made)
            case Power() | Abandoned() as line:
                made.lines.append(line)
                card.reset()
            case Seed(value) as line:
                made.lines.append(line)
                random.restart(value)
            case _:
                pass
        if made.findings:
            break
    return made


def _exchange(card: Card, apdu: bytes, answers: Sequence[KeyResult], made: Attempt) -> None:
    made.lines.append(Sent(apdu))
    begun = perf_counter()
    response, asked = _converse(card, apdu, answers, made)
    if perf_counter() - begun > HANG:
        made.findings.append("slow")
    if response is None:
        return
    kind = type(asked).__name__ if asked is not None else ""
    made.covered.add((apdu[1:2].hex(), response[-2:].hex(), kind))
    made.findings += _wrong(card, response, answers)


def _converse(
    card: Card, apdu: bytes, answers: Sequence[KeyResult], made: Attempt
) -> tuple[bytes | None, KeyRequest | None]:
    """The response, or None if the reader hung up; and the last key request."""
    left = iter(answers)
    asked: KeyRequest | None = None
    try:
        exchange = card.exchange(apdu)
        said = advance(exchange)
        while not isinstance(said, bytes):
            asked = said
            made.lines.append(Asked(asked))
            answer = next(left, None)
            if answer is None:
                made.lines.append(Abandoned())
                card.reset()
                return None, asked
            made.lines.append(Answered(answer))
            said = advance(exchange, answer)
    except Exception as error:
        made.findings.append(f"exception {type(error).__name__}")
        return None, asked
    made.lines.append(Received(said))
    return said, asked


def _wrong(card: Card, response: bytes, answers: Sequence[KeyResult]) -> Iterator[str]:
    if card.fault is not None and not _misled(card.fault, answers):
        yield f"fault {type(card.fault).__name__}"
    if len(response) < 2:
        yield "no status word"
    if len(response) == 2 and response[0] == 0x63 and response[1] & 0xF0 == 0xC0:
        told = {min(each.tries, 0xF) for each in answers if isinstance(each, TriesLeft)}
        if response[1] & 0xF not in told:
            yield "tries left that nobody has told"


def _misled(fault: Exception, answers: Sequence[KeyResult]) -> bool:
    """Whether the card complains about a key result of the wrong kind, which is not a bug."""
    return any(str(fault) == str(unexpected(each)) for each in answers)


def changed(random: Random, corpus: Sequence[Known]) -> tuple[Known, list[Unit]]:
    """A trace of the corpus with a few random changes."""
    known = random.choice(corpus)
    told = list(known.told)
    for _ in range(random.randint(1, MOST_CHANGES)):
        if told:
            CHANGES[random.choice(list(CHANGES))](random, told, corpus)
    return known, told


def _drop(random: Random, told: list[Unit], corpus: Sequence[Known]) -> None:  # noqa: ARG001
    at = random.randrange(len(told))
    del told[at : at + random.randint(1, 4)]


def _duplicate(random: Random, told: list[Unit], corpus: Sequence[Known]) -> None:  # noqa: ARG001
    told.insert(random.randrange(len(told)), random.choice(told))


def _swap(random: Random, told: list[Unit], corpus: Sequence[Known]) -> None:  # noqa: ARG001
    one, two = random.randrange(len(told)), random.randrange(len(told))
    told[one], told[two] = told[two], told[one]


def _splice(random: Random, told: list[Unit], corpus: Sequence[Known]) -> None:
    other = random.choice(corpus).told
    start, at = random.randrange(len(other) + 1), random.randrange(len(told))
    told[at:at] = other[start : start + random.randint(1, 8)]


def _bytes(random: Random, told: list[Unit], corpus: Sequence[Known]) -> None:  # noqa: ARG001
    """A changed command, or a changed key result."""
    at = random.randrange(len(told))
    unit = list(told[at])
    which = random.randrange(len(unit))
    match unit[which]:
        case Sent(apdu):
            unit[which] = Sent(_other(random, apdu) or b"\0")
        case Answered(bytes() as value):
            unit[which] = Answered(_other(random, value))
        case Answered():
            unit[which] = Answered(random.choice([*Refusal, TriesLeft(random.randrange(16), 15)]))
    told[at] = tuple(unit)


def _other(random: Random, value: bytes) -> bytes:
    octets = bytearray(value)
    at = random.randrange(len(octets) + 1)
    match random.randrange(3):
        case 0:
            octets[at : at + 1] = random.randbytes(1)
        case 1:
            del octets[at:]
        case _:
            octets[at:at] = random.randbytes(random.randint(1, 8))
    return bytes(octets)


CHANGES: Mapping[str, Callable[[Random, list[Unit], Sequence[Known]], None]] = {
    "drop": _drop,
    "duplicate": _duplicate,
    "swap": _swap,
    "splice": _splice,
    "bytes": _bytes,
}
