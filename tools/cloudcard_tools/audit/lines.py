"""An exported journal as a file: JSON Lines (docs/journal.md, "Export")."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import IO

from cloud_keystore.audit.packs.lines import FORMAT
from cloud_keystore.audit.packs.lines import End as End
from cloud_keystore.audit.packs.lines import EntryLine as EntryLine
from cloud_keystore.audit.packs.lines import Header as Header
from cloud_keystore.audit.packs.lines import Line as Line
from cloud_keystore.audit.packs.lines import Note as Note
from cloud_keystore.audit.packs.lines import write as write
from cloudcard_tools.shared.failures import Failure

LONGEST_LINE = 1 << 20


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


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
