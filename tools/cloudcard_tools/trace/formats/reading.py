"""The formats that `trace import` reads: what each is, how it is recognised, and its lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias

from card_os.trace.lines import LONGEST_LINE, Comment, Line, Received, Sent
from card_os.trace.words import TraceError
from cloudcard_tools.trace.formats import apdus, calls, dumps, marked, own, programs
from cloudcard_tools.trace.formats.apdus import PAIRS
from cloudcard_tools.trace.formats.text import Counted, Texts, plain

Reader: TypeAlias = Callable[[Texts], Iterator[Line]]
Sign: TypeAlias = Callable[[str], object]  # whether a line only occurs in this format

WINDOW = 2_000  # lines that are looked at together
ENDS_EARLY = "the text ends in an APDU, which is left out"
BEGINS_LATE = "line {}: a response to a command before the beginning, left out"


@dataclass(frozen=True, slots=True)
class Format:
    """A format of another program."""

    about: str  # what writes it, and how it is made to
    sign: Sign
    read: Reader


def _pattern(pattern: str) -> Sign:
    return re.compile(pattern, re.ASCII).search


LOGS: Mapping[str, Format] = {  # what is recognised first comes first
    "pcsc-spy": Format(
        "the output of pcsc-spy",
        _pattern(r"^(?:\(t\d+\) *)?(?:SCard(?:EstablishContext|Transmit)|i bSendBuffer)$"),
        calls.pcsc_spy,
    ),
    "scdaemon": Format(
        "GnuPG's log, with `debug cardio` in scdaemon.conf",
        _pattern(r"\bscdaemon\[|DBG:\s+(?:send apdu: |(?:PCSC|CCID)_data:|raw apdu:)"),
        dumps.scdaemon,
    ),
    "opensc": Format(
        "OpenSC's debug log: OPENSC_DEBUG=9",
        _pattern(r"\breader-pcsc\.c:\d|\b(?:Outgoing|Incoming) APDU (?:\(|data \[)"),
        dumps.opensc,
    ),
    "pcscd": Format(
        "what `pcscd --foreground --debug --apdu` prints",
        _pattern(
            r"\b(?:debuglog|winscard(?:_svc)?|readerfactory|eventhandler|pcscdaemon)\.c:\d"
            rf"|^\d{{8}} (?:\[\d+\] )?(?:APDU|SW): {PAIRS}$"
        ),
        marked.PCSCD.read,
    ),
    "ykman": Format(
        "ykman's log: `ykman --log-level TRAFFIC`",
        _pattern(r"\bTRAFFIC \d|\bSEND: [0-9a-f]{8,}$|\bRECV: [0-9a-f]* ?SW=[0-9a-f]{4}$"),
        marked.YKMAN.read,
    ),
    "globalplatform": Format(
        "what GlobalPlatformPro and apdu4j print with `-d`",
        _pattern(r"(?:^|\s)A>> |(?:^|\s)A<< \(|^>> [0-9A-F]{8}(?: |$)|\bSCardConnect\(\""),
        marked.GLOBALPLATFORM.read,
    ),
    "vicc": Format(
        "the log of vsmartcard's vicc, with `--verbose`",
        dumps.VICC.search,
        dumps.vicc,
    ),
    "opensc-tool": Format(
        "what `opensc-tool --send-apdu` and opensc-explorer print",
        _pattern(r"^Received \(SW1=0x|^Using reader with a card: "),
        dumps.opensc_tool,
    ),
    "scriptor": Format(
        "what scriptor and gscriptor of pcsc-tools print",
        _pattern(
            r"^(?:< )?(?:[0-9A-F]{2} )+: \S|^> RESET$|^Using (?:given|T=[01] protocol)|"
            r"^Beginning script execution|^Received: [0-9A-F]{2} "
        ),
        marked.scriptor,
    ),
    "yubico-piv-tool": Format(
        "what `yubico-piv-tool -v2` prints",
        _pattern(r"^(?:Connect|trying to connect to|using) reader '|^Now processing for action '"),
        partial(programs.read, notation=programs.hexadecimal),
    ),
    "decimal-array": Format(
        "lines with arrays such as [0, -92, 4, 0], as Java and others print bytes",
        programs.has_decimal_array,
        partial(programs.read, notation=programs.DECIMAL_ARRAY),
    ),
    "hex-array": Format(
        "lines with arrays such as [0, a4, 4, 0], as Rust prints bytes",
        programs.has_hexadecimal_array,
        partial(programs.read, notation=programs.HEXADECIMAL_ARRAY),
    ),
    "hex-lines": Format(
        "lines of any program that end with bytes, after a word as command, sent, C-APDU, > or "
        "response, received, R-APDU, <",
        partial(programs.says_command, notation=programs.hexadecimal),
        partial(programs.read, notation=programs.hexadecimal),
    ),
}
HEX, JSON, PCAP = "hex", "jsonl", "pcap"
ABOUT: Mapping[str, str] = {
    **{name: form.about for name, form in LOGS.items()},
    HEX: "nothing but hexadecimal digits: commands and responses in turn, or marked by > and <",
    JSON: "what `trace export --to jsonl` writes",
    PCAP: "GSMTAP packets of SIM tracers and of Wireshark, as pcap of raw IP or Ethernet",
}
OWN: Mapping[str, Callable[[Iterable[str]], Iterator[Line]]] = {
    HEX: own.from_hex,
    JSON: own.from_json,
}


def read(raw: Iterable[str], form: str) -> Iterator[Line]:
    """The trace lines in a text of this format; a comment says what is left out of it. Raises
    TraceError with the number of a wrong line.
    """
    counted = Counted(raw)
    try:
        if form in OWN:
            own_lines = OWN[form](counted)
            yield from own_lines if form == JSON else _in_turn(own_lines, waiting=False)
        else:
            yield from _complete(LOGS[form].read(Texts(counted)), counted)
    except TraceError as error:
        raise TraceError(f"line {counted.number}: {error}") from None


def _in_turn(lines: Iterable[Line], *, waiting: bool) -> Iterator[Line]:
    """The lines. Raises TraceError for a response to no command; `waiting` says whether one waits
    at the beginning.
    """
    for line in lines:
        if isinstance(line, Received) and not waiting:
            raise TraceError("a response to no command")
        waiting = isinstance(line, Sent) or (waiting and not isinstance(line, Received))
        yield line


def _complete(lines: Iterator[Line], counted: Counted) -> Iterator[Line]:
    """The lines without what is incomplete, because the log begins late or ends early."""
    for line in lines:
        if isinstance(line, Received):
            yield Comment(BEGINS_LATE.format(counted.number))
            continue
        yield line
        if isinstance(line, Sent):
            break
    try:
        yield from _in_turn(lines, waiting=True)
    except apdus.CutShort:
        yield Comment(ENDS_EARLY)


def guess(raw: Iterable[str]) -> str | None:
    """The format of a text, or None if it is none of those that are known."""
    texts = iter(raw)
    first = True
    while window := [text.strip() for text in islice(texts, WINDOW)]:
        written = [text for text in window if text]
        if first and written:
            if written[0].startswith("{") and '"event"' in written[0]:
                return JSON
            if all(map(own.is_hex, written)):
                return HEX
            first = False
        shown = [part for text in written if len(text) <= LONGEST_LINE for part in plain(text)]
        for name, form in LOGS.items():
            if any(map(form.sign, shown)):
                return name
    return None
