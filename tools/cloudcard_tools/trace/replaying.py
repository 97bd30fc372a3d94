"""Replays one file against the card in this process: no reader, no clock, no network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from card_os import piv
from card_os.trace.lines import Image, Line, Sent, Step, read_all
from card_os.trace.replay import Difference, Replay, SeededRandom
from card_os.trace.words import TraceError
from cloudcard_tools.trace import cards

MOST_DIFFERENCES = 100  # of one file; what follows the first is often its consequence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file. `problem` says why it could not be replayed to its end."""

    path: Path
    commands: int
    differences: tuple[Difference, ...]
    step: str = ""  # in which the first difference is
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the card answered byte for byte the same."""
        return not self.differences and not self.problem


class _Watched:
    """The lines of a trace as they go by."""

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


def replay(path: Path, folder: Path | None = None) -> Outcome:
    """Replay a file; card images are looked for beside it, and in `folder`."""
    watched = _Watched()
    differences: list[Difference] = []
    step = ""
    problem = ""
    try:
        with path.open(encoding="ascii", errors="surrogateescape", newline="\n") as file:
            lines = watched.watch(read_all(file))
            for difference in _differences(path, folder, lines):
                step = step if differences else watched.step
                differences.append(difference)
                if len(differences) == MOST_DIFFERENCES:
                    break
    except TraceError as error:
        problem = str(error)
    except OSError as error:
        problem = f"the file cannot be read: {error.strerror}"
    return Outcome(path, watched.commands, tuple(differences), step, problem)


def _differences(
    path: Path, folder: Path | None, lines: Iterator[tuple[int, Line]]
) -> Iterator[Difference]:
    for number, line in lines:
        if isinstance(line, Image):
            random = SeededRandom()
            card = piv.new_card(cards.find(line.sha256, path, folder), random)
            yield from Replay(card, random).run(lines)
            return
        if isinstance(line, Sent):
            raise TraceError(f"line {number}: no card is named before this command (@ card …)")
    raise TraceError("the trace names no card: add a line @ card sha256:…")
