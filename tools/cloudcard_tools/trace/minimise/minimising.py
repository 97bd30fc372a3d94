"""Finds the shortest trace that still differs in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias, TypeVar

from card_os import piv
from card_os.piv.image import CardImage
from card_os.trace.lines import (
    Answered,
    Asked,
    Clock,
    Comment,
    Image,
    Line,
    Pause,
    Received,
    Sent,
    Step,
    read_all,
    write,
)
from card_os.trace.replay import Difference, Replay, SeededRandom
from card_os.trace.words import TraceError
from cloudcard_tools.trace.replay import cards
from cloudcard_tools.trace.replay.replaying import opened, texts

MOST_LINES = 100_000  # all of them are held in memory
FIRST_TEXT = 2  # number of the line after the header

Unit: TypeAlias = tuple[Line, ...]  # kept or removed as a whole: an exchange, or another line
Kind: TypeAlias = tuple[str, str, str]  # instruction, expected, actual
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Minimised:
    """A shortened trace."""

    image: CardImage
    lines: tuple[Line, ...]
    kind: Kind
    commands: tuple[int, int]  # before and after
    lines_before: int
    complete: bool  # False: time was up, and it could become shorter


def minimise(path: Path, folder: Path | None, is_late: Callable[[], bool]) -> Minimised:
    """Shorten the trace in a file. Raises TraceError if it cannot be read or does not differ."""
    lines = _lines(path)
    digest = next((line for line in lines if isinstance(line, Image)), None)
    if digest is None:
        raise TraceError("the trace names no card: add a line @ card sha256:…")
    image = cards.find(digest.sha256, path, folder)
    whole = units(line for line in lines if line is not digest)
    first = _first(image, digest, whole)
    if first is None:
        raise TraceError("the trace does not differ: there is nothing to minimise")
    kind = kind_of(first)

    def differs(kept: Sequence[Unit]) -> bool:
        found = _first(image, digest, kept)
        return found is not None and kind_of(found) == kind

    kept, complete = shortest(_up_to(first.number, whole), differs, is_late)
    told = tuple(chain.from_iterable(kept))
    counts = _commands(lines), _commands(told)
    return Minimised(image, (digest, *told), kind, counts, len(lines), complete)


def kind_of(difference: Difference) -> Kind:
    """What has to stay of a difference: the instruction, and the status words or requests."""
    instruction = difference.command[1:2].hex()
    return instruction, _said(difference.expected), _said(difference.actual)


def units(lines: Iterable[Line]) -> list[Unit]:
    """The exchanges with all their lines, and the other lines one by one."""
    made: list[list[Line]] = []
    for line in lines:
        belongs = isinstance(line, Asked | Answered | Received)
        if belongs and made and isinstance(made[-1][0], Sent):
            made[-1].append(line)
        else:
            made.append([line])
    return [tuple(unit) for unit in made]


def shortest(
    whole: Sequence[T], differs: Callable[[Sequence[T]], bool], is_late: Callable[[], bool]
) -> tuple[Sequence[T], bool]:
    """The units that are needed for the difference, none of which can be removed alone; and whether
    there was time to find them.

    Larger runs are tried first (ddmin: Zeller and Hildebrandt, 2002).
    """
    kept = whole
    size = len(kept)
    while size:
        at = 0
        removed = False
        while at < len(kept):
            if is_late():
                return kept, False
            fewer = [*kept[:at], *kept[at + size :]]
            if differs(fewer):
                kept, removed = fewer, True
            else:
                at += size
        # After this removal, units that were needed before can be superfluous.
        size = size if removed and size == 1 else size // 2
    return kept, True


def _lines(path: Path) -> list[Line]:
    lines: list[Line] = []
    with opened(path) as file:
        for number, line in read_all(texts(file)):
            if len(lines) == MOST_LINES:
                raise TraceError(f"line {number}: longer traces than that are not minimised")
            lines.append(line)
    return lines


def _first(image: CardImage, named: Image, kept: Iterable[Unit]) -> Difference | None:
    random = SeededRandom()
    replay = Replay(piv.new_card(image, random), random)
    told: Iterator[Line] = chain((named,), chain.from_iterable(kept))
    return next(replay.run(enumerate(told, FIRST_TEXT)), None)


def _up_to(number: int, whole: Sequence[Unit]) -> list[Unit]:
    """The units up to the one with the difference, without comments and other lines for people."""
    kept: list[Unit] = []
    at = FIRST_TEXT  # the line that names the card
    for unit in whole:
        if at >= number:
            break
        at += len(unit)
        kept.append(unit)
    return [unit for unit in kept if not isinstance(unit[0], Comment | Step | Pause | Clock)]


def _said(line: Line | None) -> str:
    match line:
        case None:
            return "nothing"
        case Received(apdu):
            return apdu[-2:].hex()
        case _:
            return " ".join(write(line).split(" ")[:2])


def _commands(lines: Iterable[Line]) -> int:
    return sum(isinstance(line, Sent) for line in lines)
