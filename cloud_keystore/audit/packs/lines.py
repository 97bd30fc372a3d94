"""The lines of an exported journal, and of the entries of a pack (docs/journal.md, "Export")."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TypeAlias

FORMAT = "cloudcard-journal-1"


@dataclass(frozen=True, slots=True)
class Header:
    """Which journal was exported, and how much of it."""

    origin: str
    public_key: bytes
    size: int


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One entry at its place; its bytes are what was hashed."""

    index: int
    entry: bytes
    proof: tuple[bytes, ...] | None = None  # only in evidence packs


@dataclass(frozen=True, slots=True)
class Note:
    """A signed checkpoint."""

    note: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The counts at the end of a file, which show whether the file was cut."""

    entries: int
    checkpoints: int


Line: TypeAlias = Header | EntryLine | Note | End


def write(line: Line) -> str:
    """One line as JSON, with its line feed."""
    fields: dict[str, object]
    match line:
        case Header():
            fields = {
                "format": FORMAT,
                "origin": line.origin,
                "journal_key": _text(line.public_key),
                "size": line.size,
            }
        case EntryLine(index, entry, None):
            fields = {"index": index, "entry": _text(entry)}
        case EntryLine(index, entry, proof):
            fields = {
                "index": index,
                "entry": _text(entry),
                "proof": [_text(each) for each in proof or ()],
            }
        case Note():
            fields = {"checkpoint": line.note.decode()}
        case End():
            fields = {"entries": line.entries, "checkpoints": line.checkpoints}
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
