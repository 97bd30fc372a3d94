"""The commands of a guide, and what it says that they show."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(
    r"(?:^<!-- (?P<why>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)

SHELLS = ("sh", "bash", "shell", "console", "zsh")
# "cloudcard trace 1" is the first line of a trace, and "cloudcard @ git+https…" a requirement.
TYPED = re.compile(
    r"(?:\$ |sudo )?"
    r"(?:cloudcard(?! trace 1$| @ )|make|pytest|pip|python3?|apt-get|systemctl|openssl) ",
    re.MULTILINE,
)


# What differs each time and has always the same length.
VARYING = re.compile(
    r"(?P<id>\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<time>\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)"
    r"|(?P<digest>\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b)"
    r"|(?P<serial>\b[0-9a-f]{16}\b)"
    r"|(?P<uuid12>\b[1-9][0-9]{11}\b)"
)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, its place in the text, what a comment above it says, and what the guide
    shows below it that its commands say.
    """

    at: int
    language: str
    text: str
    why: str
    shown: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell; a line that goes on is one."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [
            line
            for line in joined.splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]


def blocks(text: str) -> list[Block]:
    """All blocks of a page."""
    found = list(BLOCK.finditer(text))
    below = [each["text"] if each["language"] == "text" else "" for each in found[1:]]
    return [
        Block(match.start(), match["language"], match["text"], match["why"] or "", shown)
        for match, shown in zip(found, [*below, ""], strict=False)
    ]


def run_by(page: str, test: str) -> list[Block]:
    """The blocks of a guide that name a test, by its path, as the one that runs them."""
    own = Path(test).relative_to(DOCS.parent)
    found = blocks((DOCS / page).read_text())
    return [block for block in found if block.why == f"run by {own}"]


def is_for_a_shell(block: Block) -> bool:
    """Whether a block is to be typed, whatever language it names."""
    return block.language in SHELLS or (not block.language and bool(TYPED.match(block.text)))


def shows(written: str, seen: str) -> bool:
    """Whether the lines that a guide shows were seen, one below the other.

    "…" stands for anything in a line, and alone for any lines. Identifiers, UUIDs, serial numbers,
    digests and times stand for others.
    """
    lines = [_alike(line) for line in written.splitlines()]
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in lines
    )
    whole = "".join(f"{_alike(line)}\n" for line in seen.splitlines())
    return re.search(f"^{pattern}", whole, re.MULTILINE) is not None


def _alike(line: str) -> str:
    """A line without what differs each time."""
    return VARYING.sub(lambda found: str(found.lastgroup), line.rstrip())
