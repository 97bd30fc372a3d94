"""Commands and responses in text files of other programs, read and written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from card_os.trace import lines
from card_os.trace.lines import Comment, Line, Power, Received, Sent, Step
from card_os.trace.words import TraceError, from_hex, shown

Numbered: TypeAlias = "Iterator[tuple[int, str]]"  # lines with their numbers

LONGEST_LINE = lines.LONGEST_LINE
LONGEST_APDU = 65_600  # bytes; anything longer is not an APDU
SNIFFED_LINES = 400  # read to detect the format
HEX_LINES = (Sent, Received, Step, Comment, Power)  # what plain hex can express

PCSCD = re.compile(r"(?:^|\s)(APDU|SW): ((?:[0-9A-Fa-f]{2} ?)+)$", re.ASCII)
OPENSC = re.compile(r"(Outgoing|Incoming) APDU \((\d{1,6}) bytes?\):$", re.ASCII)
SPY_LENGTH = re.compile(r"([io]) b(Send|Recv)Length 0x[0-9A-F]+ \((\d{1,6})\)$", re.ASCII)
SPY_OCTETS = re.compile(r"[io]\s+[0-9A-F]{4,8} (.*)$", re.ASCII)
SPY_RESULT = re.compile(r"=> .*\[0x([0-9A-F]{8})\]", re.ASCII)
SCDAEMON_SENT = re.compile(r"DBG:\s+(?:PCSC|CCID|RAW)_data: (.*)$", re.ASCII)
SCDAEMON_RECEIVED = re.compile(r"DBG:\s+response: sw=([0-9A-F]{4})\s+datalen=(\d{1,6})$", re.ASCII)
SCDAEMON_DUMP = re.compile(r"DBG:\s+dump:\s*(.*)$", re.ASCII)

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


def read(texts: Iterable[str], form: str) -> Iterator[Line]:
    """The trace lines in a text of this format. Raises TraceError with the number of a wrong
    line.
    """
    number, waiting = 0, False

    def counted() -> Numbered:
        nonlocal number
        for number, raw in enumerate(texts, 1):
            if len(raw) > LONGEST_LINE:
                raise TraceError(f"the line has more than {LONGEST_LINE:,} characters")
            yield number, raw.strip()

    try:
        for line in READERS[form](counted()):
            waiting = _in_turn(line, waiting=waiting or form == "jsonl")
            yield line
    except TraceError as error:
        raise TraceError(f"line {number}: {error}") from None


def _in_turn(line: Line, *, waiting: bool) -> bool:
    """Whether a command waits for its response after this line. Raises TraceError for a response
    without a command.
    """
    if isinstance(line, Received) and not waiting:
        raise TraceError("a response to no command")
    return isinstance(line, Sent) or (waiting and not isinstance(line, Received))


def guess(texts: Iterable[str]) -> str:
    """The format of a text, detected from its first lines; plain hex if there is no other sign."""
    for text in texts:
        if text.lstrip().startswith("{"):
            return "jsonl"
        for sign, form in SIGNS:
            if sign in text:
                return form
    return "hex"


def to_hex(line: Line) -> str | None:
    """A line of plain hex: `>` before a command, `<` before a response; steps, comments and resets
    as in a trace. None for a line that plain hex cannot express.
    """
    return lines.write(line) if isinstance(line, HEX_LINES) else None


def to_json(line: Line) -> str:
    """A line as JSON: `event` is its kind, and `text` is what follows the mark in a trace."""
    mark, _, text = lines.write(line).partition(" ")
    return json.dumps({"event": KINDS[mark], "text": text})


def _hex(texts: Numbered) -> Iterator[Line]:
    """Read plain hex. Lines without a mark are alternating commands and responses."""
    waiting = False
    for _, text in texts:
        if not text or text == lines.HEADER:
            continue
        if text[0] in "#=@":
            line = lines.read(text)
            if not isinstance(line, HEX_LINES):
                raise TraceError("plain hex lines have commands, responses, steps and resets only")
            yield line
            continue
        is_response = text[0] == "<" or (waiting and text[0] != ">")
        yield _apdu(text.lstrip("<>"), is_response=is_response)
        waiting = not is_response


def _json(texts: Numbered) -> Iterator[Line]:
    for _, text in texts:
        if not text:
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


def _pcscd(texts: Numbered) -> Iterator[Line]:
    for _, text in texts:
        if found := PCSCD.search(text):
            yield _apdu(found[2], is_response=found[1] == "SW")


def _opensc(texts: Numbered) -> Iterator[Line]:
    """Read OpenSC's dumps of sixteen bytes per line, with the characters beside them."""
    for _, text in texts:
        if found := OPENSC.search(text):
            octets = _dump(texts, int(found[2]), lambda line: line)
            yield _made(octets, is_response=found[1] == "Incoming")


def _spy(texts: Numbered) -> Iterator[Line]:
    """Read pcsc-spy's calls with their parameters. A call that failed has no response."""
    transmits, size = False, 0
    answer = b""
    for _, text in texts:
        if text.startswith("SCard"):
            transmits, answer = text.startswith("SCardTransmit"), b""
        elif not transmits:
            continue
        elif found := SPY_LENGTH.match(text):
            size = int(found[3])
        elif text in ("i bSendBuffer", "o bRecvBuffer"):
            octets = _dump(texts, size, _spy_octets)
            if text[0] == "i":
                yield _made(octets, is_response=False)
            else:
                answer = octets
        elif found := SPY_RESULT.match(text):
            if int(found[1], 16) == 0 and answer:
                yield _made(answer, is_response=True)
            transmits = False


def _spy_octets(text: str) -> str:
    found = SPY_OCTETS.match(text)
    if found is None:
        raise TraceError("a buffer ends early")
    return found[1]


def _scdaemon(texts: Numbered) -> Iterator[Line]:
    for _, text in texts:
        if found := SCDAEMON_SENT.search(text):
            yield _apdu(found[1], is_response=False)
        elif found := SCDAEMON_RECEIVED.search(text):
            size = int(found[2])
            octets = _dump(texts, size, _scdaemon_octets) if size else b""
            yield _made(octets + bytes.fromhex(found[1]), is_response=True)


def _scdaemon_octets(text: str) -> str:
    found = SCDAEMON_DUMP.search(text)
    if found is None:
        raise TraceError("the response's data are not in the log: set `debug cardio`")
    return found[1]


def _dump(texts: Numbered, size: int, octets_of: Callable[[str], str]) -> bytes:
    """Read `size` bytes of a dump, which can have other text beside them on each line."""
    if size > LONGEST_APDU:
        raise TraceError(f"{size} bytes are not an APDU")
    made = b""
    while len(made) < size:
        numbered = next(texts, None)
        if numbered is None:
            raise TraceError("the text ends in an APDU")
        words = octets_of(numbered[1]).split(" ")
        width = size - len(made) if len(words) > 20 else min(16, size - len(made))
        made += from_hex("".join(words[:width]))
    return made


def _apdu(text: str, *, is_response: bool) -> Line:
    return _made(from_hex("".join(text.split())), is_response=is_response)


def _made(apdu: bytes, *, is_response: bool) -> Line:
    if len(apdu) < (2 if is_response else 4):
        raise TraceError("too short for an APDU")
    return Received(apdu) if is_response else Sent(apdu)


READERS: Mapping[str, Callable[[Numbered], Iterator[Line]]] = {
    "pcscd": _pcscd,
    "opensc": _opensc,
    "pcsc-spy": _spy,
    "scdaemon": _scdaemon,
    "hex": _hex,
    "jsonl": _json,
}
SIGNS: tuple[tuple[str, str], ...] = (  # words that only occur in this program's text
    ("SCardEstablishContext", "pcsc-spy"),
    ("scdaemon[", "scdaemon"),
    ("reader-pcsc.c:", "opensc"),
    ("Outgoing APDU (", "opensc"),
    ("debuglog.c:", "pcscd"),
    ("winscard.c:", "pcscd"),
    ("APDU: ", "pcscd"),
)
