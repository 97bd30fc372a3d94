"""Reads docs/glossary.md: its words, with the names that the code has for them and has not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
HEADINGS = ("word", "meaning", "in code", "avoid")
NAME = re.compile(r"`([^`]+)`")
ASIDE = re.compile(r"\([^)]*\)|`[^`]*`")
PHRASE = re.compile(r"[A-Za-z]+ [A-Za-z]+")
OTHERS_HAVE = (
    "alone",
    "for",
)  # "channel alone": a word in one sense; "le for the number": for one thing


@dataclass(frozen=True, slots=True)
class Word:
    """A row: `names` are those of the code, `avoided` those that it must not have."""

    words: tuple[str, ...]
    meaning: str
    names: tuple[str, ...]
    avoid: str
    avoided: tuple[str, ...]

    @property
    def phrases(self) -> Iterator[str]:
        """What texts do not say for it, where two words of it are enough to know."""
        for part in re.split("[,;:]", ASIDE.sub("", self.avoid)):
            if PHRASE.fullmatch(part.strip()) and not set(part.split()) & set(OTHERS_HAVE):
                yield part.strip()


def read(text: str) -> Iterator[Word]:
    """The rows of all tables; raises ValueError for a table of other columns."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.startswith("|"):
            continue
        if _cells(line) != HEADINGS or set(next(lines)) - set("|- "):
            raise ValueError(f"no table of the glossary begins so: {line}")
        while (line := next(lines, "")).startswith("|"):
            yield _word(line)


def _word(line: str) -> Word:
    cells = _cells(line)
    if len(cells) != len(HEADINGS):
        raise ValueError(f"not {len(HEADINGS)} columns: {line}")
    words, meaning, names, avoid = cells
    return Word(
        tuple(words.split(", ")),
        meaning,
        tuple(NAME.findall(names)),
        avoid,
        tuple(NAME.findall(avoid)),
    )


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
