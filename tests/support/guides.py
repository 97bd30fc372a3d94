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


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code, its place in the text, and what a comment above it says."""

    at: int
    language: str
    text: str
    why: str

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
    return [
        Block(match.start(), match["language"], match["text"], match["why"] or "")
        for match in BLOCK.finditer(text)
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
    """Whether what a guide shows was seen: "…" stands for anything, blanks are alike."""
    parts = [re.escape(" ".join(part.split())) for part in written.split("…")]
    return re.search(".*".join(parts), " ".join(seen.split())) is not None
