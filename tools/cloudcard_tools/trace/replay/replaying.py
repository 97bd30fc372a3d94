"""Replays one file against the card in this process: no reader, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TextIO

from card_os import piv
from card_os.card import Card
from card_os.trace.lines import (
    HEADER,
    LONGEST_LINE,
    Image,
    Line,
    Sent,
    Step,
    read_all,
    write,
)
from card_os.trace.replay import Difference, Replay, SeededRandom, retell
from card_os.trace.words import TraceError
from cloudcard_tools.shared.application import card_factory
from cloudcard_tools.trace.replay import cards

SUFFIX = ".trace"  # of a trace's file name
NOTHING = "it has no commands, so nothing was replayed"
MOST_DIFFERENCES = 100  # of one file; later ones often follow from the first


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one file. `problem` says why it could not be replayed to its end."""

    path: Path
    commands: int
    differences: tuple[Difference, ...]
    seconds: float = 0.0
    step: str = ""  # the one with the first difference
    problem: str = ""
    left_out: int = 0  # commands that were not sent to a card in a reader
    unverified: int = 0  # signatures of such a card whose public key is not known

    @property
    def passed(self) -> bool:
        """Whether the card answered byte for byte the same."""
        return not self.differences and not self.problem


class _Watched:
    """Passes the lines of a trace on, and remembers what the outcome needs."""

    def __init__(self) -> None:
        self.commands = 0
        self.step = ""

    def watch(self, lines: Iterable[tuple[int, Line]]) -> Iterator[tuple[int, Line]]:
        for number, line in lines:
            match line:
                case Sent():
                    self.commands += 1
                case Step(name):
                    self.step = name
            yield number, line


def replay(path: Path, folder: Path | None = None, application: str | None = None) -> Outcome:
    """Replay a file. Card images are looked for beside it, and in `folder`. A card that an
    `application` (MODULE:FACTORY) makes has no image.
    """
    begun = perf_counter()
    watched = _Watched()
    differences: list[Difference] = []
    step = ""
    problem = ""
    try:
        with opened(path) as file:
            lines = watched.watch(read_all(texts(file)))
            for difference in _differences(path, folder, application, lines):
                step = step if differences else watched.step
                differences.append(difference)
                if len(differences) == MOST_DIFFERENCES:
                    break
    except TraceError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror}"
    if not watched.commands:
        problem = problem or NOTHING
    seconds = perf_counter() - begun
    return Outcome(path, watched.commands, tuple(differences), seconds, step, problem)


def bless(path: Path, folder: Path | None = None, application: str | None = None) -> None:
    """Rewrite the trace with the card's present answers. Raises TraceError if it cannot be
    replayed.
    """
    draft = path.with_name(path.name + ".new")
    try:
        with opened(path) as file, draft.open("x", encoding="ascii", newline="\n") as new:
            new.write(HEADER + "\n")
            lines = read_all(texts(file))
            if application is not None:
                card, random = _made(application)
            else:
                for line in _until_card(lines):
                    new.write(write(line) + "\n")
                    if isinstance(line, Image):
                        card, random = _card(line, path, folder)
            new.writelines(write(line) + "\n" for line in retell(card, random, lines))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def opened(path: Path) -> TextIO:
    """Open the file of a trace. Characters that are not ASCII are passed on to the parser, which
    refuses them. Raises OSError.
    """
    return path.open(encoding="ascii", errors="surrogateescape", newline="\n")


def texts(file: TextIO) -> Iterator[str]:
    """The lines of a file. A line that is too long is read only as far as needed to see that."""
    return iter(lambda: file.readline(LONGEST_LINE + len("\r\n") + 1), "")


def _card(image: Image, path: Path, folder: Path | None) -> tuple[Card, SeededRandom]:
    random = SeededRandom()
    return piv.new_card(cards.find(image.sha256, path, folder), random), random


def _made(application: str) -> tuple[Card, SeededRandom]:
    random = SeededRandom()
    return card_factory(application)(random), random


def _until_card(lines: Iterator[tuple[int, Line]]) -> Iterator[Line]:
    """The lines up to the one that names the card. Raises TraceError if a command comes
    before it.
    """
    for number, line in lines:
        yield line
        if isinstance(line, Image):
            return
        if isinstance(line, Sent):
            raise TraceError(
                f"line {number}: no card is named before this command (@ card …): import a log "
                "with --card IMAGE, replay what a card in a reader has answered with --reader, "
                "and a card of your own with --application"
            )
    raise TraceError(NOTHING)


def _differences(
    path: Path, folder: Path | None, application: str | None, lines: Iterator[tuple[int, Line]]
) -> Iterator[Difference]:
    if application is not None:
        yield from Replay(*_made(application)).run(lines)
        return
    for line in _until_card(lines):
        if isinstance(line, Image):
            card, random = _card(line, path, folder)
            yield from Replay(card, random).run(lines)
