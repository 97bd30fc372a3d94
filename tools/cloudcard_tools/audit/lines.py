"""An exported journal as a file: JSON Lines (docs/journal.md, "Export")."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TypeAlias

from cloudcard_tools.shared.failures import Failure

FORMAT = "cloudcard-journal-1"
LONGEST_LINE = 1 << 20


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


def read(file: IO[bytes]) -> Iterator[tuple[int, Line]]:
    """The lines with their numbers. Raises Failure with the line's number if one is not of an
    export.
    """
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise Failure(f"line {number} is longer than {LONGEST_LINE} bytes: this is no export")
        try:
            yield number, _parse(json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, RecursionError):
            raise Failure(f"line {number} is not a line of an exported journal") from None


def _parse(fields: dict[str, object]) -> Line:
    match fields:
        case {"format": str(name), "origin": str(origin), "journal_key": str(key), "size": int(n)}:
            if name != FORMAT:
                raise ValueError(name)
            return Header(origin, _bytes(key), n)
        case {"index": int(index), "entry": str(entry), "proof": list(proof)}:
            return EntryLine(index, _bytes(entry), tuple(_bytes(each) for each in proof))
        case {"index": int(index), "entry": str(entry)}:
            return EntryLine(index, _bytes(entry))
        case {"checkpoint": str(note)}:
            return Note(note.encode())
        case {"entries": int(entries), "checkpoints": int(checkpoints)}:
            return End(entries, checkpoints)
        case _:
            raise ValueError("another kind of line")


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
