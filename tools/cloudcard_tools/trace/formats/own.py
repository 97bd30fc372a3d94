"""Plain hexadecimal digits and JSON, read and written: what `trace export` makes too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from card_os.trace import lines
from card_os.trace.lines import Comment, Line, Power, Received, Sent, Step
from card_os.trace.words import TraceError, shown
from cloudcard_tools.trace.formats import apdus
from cloudcard_tools.trace.formats.text import plain

HEX_LINES = (Sent, Received, Step, Comment, Power)  # what plain hex can express
WORDED = "#=@"  # marks of lines that are words, and stay as they are
KINDS: Mapping[str, str] = {  # of events in JSON, by the mark of their line
    ">": "command",
    "<": "response",
    "?": "request",
    "!": "result",
    "#": "comment",
    "=": "step",
    "@": "setting",
    "~": "pause",
}
MARKS: Mapping[str, str] = {kind: mark for mark, kind in KINDS.items()}


def to_hex(line: Line) -> str | None:
    """A line of plain hex: `>` before a command, `<` before a response; steps, comments and resets
    as in a trace. None for a line that plain hex cannot express.
    """
    return lines.write(line) if isinstance(line, HEX_LINES) else None


def to_json(line: Line) -> str:
    """A line as JSON: `event` is its kind, and `text` is what follows the mark in a trace."""
    mark, _, text = lines.write(line).partition(" ")
    return json.dumps({"event": KINDS[mark], "text": text})


def from_hex(raw: Iterable[str]) -> Iterator[Line]:
    """Read plain hex. Lines without a mark are alternating commands and responses."""
    waiting = False
    for each in raw:
        text = each.strip()
        if text[:1] and text[0] in WORDED:
            line = lines.read(text)
            if not isinstance(line, HEX_LINES):
                raise TraceError("plain hex lines have commands, responses, steps and resets only")
            yield line
            continue
        for part in plain(text):
            if not part or part == lines.HEADER:
                continue
            is_response = part[0] == "<" or (waiting and part[0] != ">")
            yield apdus.either(apdus.octets(part.lstrip("<>")), is_response=is_response)
            waiting = not is_response


def is_hex(text: str) -> bool:
    """Whether a line can be one of plain hex."""
    if text[:1] and text[0] in WORDED:
        return True
    try:
        return all(apdus.octets(part.lstrip("<>")) for part in plain(text) if part)
    except TraceError:
        return text == lines.HEADER


def from_json(raw: Iterable[str]) -> Iterator[Line]:
    """Read JSON, one event on each line."""
    for each in raw:
        if not (text := each.strip()):
            continue
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            raise TraceError("this is not JSON") from None
        if not isinstance(event, dict) or not isinstance(event.get("text"), str):
            raise TraceError("an event is an object with `event` and `text`")
        kind = event.get("event")
        mark = MARKS.get(kind) if isinstance(kind, str) else None
        if mark is None:
            raise TraceError(f"an `event` is one of {', '.join(MARKS)}, not {shown(str(kind))}")
        yield lines.read(f"{mark} {event['text']}".rstrip())
