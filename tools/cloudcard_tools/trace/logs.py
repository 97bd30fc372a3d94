"""Commands and responses in texts of other programs: hex lines, JSON Lines, pcscd's log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from card_os.trace.lines import LONGEST_LINE, Received, Sent
from card_os.trace.words import TraceError, from_hex

PCSCD = re.compile(r"(?:^|\s)(APDU|SW): ((?:[0-9A-Fa-f]{2} ?)+)$", re.ASCII)


def read(lines: Iterable[str], form: str) -> Iterator[Sent | Received]:
    """The APDUs of a text of this format; raises TraceError with the line's number."""
    waiting = False
    for number, raw in enumerate(lines, 1):
        try:
            found = READERS[form](_checked(raw), waiting)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
        if found is None:
            continue
        if isinstance(found, Received) and not waiting:
            raise TraceError(f"line {number}: a response to no command")
        waiting = isinstance(found, Sent)
        yield found


def to_hex(apdu: Sent | Received) -> str:
    """A line of plain hex: `>` before a command, `<` before a response."""
    return f"{'>' if isinstance(apdu, Sent) else '<'} {apdu.apdu.hex()}"


def to_json(apdu: Sent | Received) -> str:
    """A line of JSON: its `event` is `command` or `response`."""
    event = "command" if isinstance(apdu, Sent) else "response"
    return json.dumps({"event": event, "apdu": apdu.apdu.hex()})


def _checked(raw: str) -> str:
    if len(raw) > LONGEST_LINE:
        raise TraceError(f"the line has more than {LONGEST_LINE:,} characters")
    return raw.strip()


def _hex(text: str, waiting: bool) -> Sent | Received | None:
    """Unmarked lines are command and response by turns."""
    if not text or text.startswith("#"):
        return None
    if text[0] in "<>":
        waiting = text[0] == "<"
        text = text[1:]
    return _apdu(text, waiting)


def _json(text: str, _: bool) -> Sent | Received | None:
    if not text:
        return None
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise TraceError("this is no JSON") from None
    if not isinstance(event, dict) or not isinstance(event.get("apdu"), str):
        raise TraceError("an event is an object with `event` and `apdu`")
    if event.get("event") not in ("command", "response"):
        raise TraceError("an `event` is `command` or `response`")
    return _apdu(event["apdu"], event["event"] == "response")


def _pcscd(text: str, _: bool) -> Sent | Received | None:
    found = PCSCD.search(text)
    return None if found is None else _apdu(found[2], found[1] == "SW")


def _apdu(text: str, is_response: bool) -> Sent | Received:
    apdu = from_hex("".join(text.split()))
    if len(apdu) < (2 if is_response else 4):
        raise TraceError("too short for an APDU")
    return Received(apdu) if is_response else Sent(apdu)


READERS: Mapping[str, Callable[[str, bool], Sent | Received | None]] = {
    "hex": _hex,
    "jsonl": _json,
    "pcscd": _pcscd,
}
