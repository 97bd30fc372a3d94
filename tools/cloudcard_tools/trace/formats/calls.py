"""The output of pcsc-spy: calls of PC/SC with their parameters, of one or several threads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from card_os.trace.lines import Line
from card_os.trace.words import TraceError
from cloudcard_tools.trace.formats import apdus
from cloudcard_tools.trace.formats.text import Texts

THREAD = re.compile(r"^\((t\d{1,3})\)\s*", re.ASCII)
CALL = re.compile(r"^SCard[A-Z]\w+$", re.ASCII)
LENGTH = re.compile(r"^([io]) b(?:Send|Recv)Length 0x[0-9A-F]+ \((\d{1,6})\)$", re.ASCII)
BUFFERS = {"i bSendBuffer": "i", "o bRecvBuffer": "o"}
OCTETS = re.compile(r"^([io])\s+[0-9A-F]{4,8} (.*)$", re.ASCII)
RESULT = re.compile(r"^=> .*\[0x([0-9A-F]{8})\]", re.ASCII)
TRANSMIT = "SCardTransmit"


@dataclass(slots=True)
class _Call:
    """A call whose result is still missing."""

    transmits: bool
    size: int = 0
    buffer: str = ""  # which one is being dumped
    command: bytes = b""
    response: bytes = b""

    def dumped(self, text: str) -> None:
        have = self.command if self.buffer == "i" else self.response
        if self.size > apdus.LONGEST:
            raise TraceError(f"{self.size} bytes are not an APDU")
        more = apdus.row(text, self.size - len(have)) if len(have) < self.size else b""
        if self.buffer == "i":
            self.command += more
        else:
            self.response += more


def pcsc_spy(texts: Texts) -> Iterator[Line]:
    """Read calls; a call that failed has no response."""
    calls: dict[str, _Call] = {}
    for line in texts:
        thread, text = _apart(line)
        if CALL.match(text):
            calls[thread] = _Call(transmits=text == TRANSMIT)
            continue
        call = calls.get(thread)
        if call is None or not call.transmits:
            continue
        if found := LENGTH.match(text):
            call.size, call.buffer = int(found[2]), ""
        elif text in BUFFERS:
            call.buffer = BUFFERS[text]
        elif call.buffer and (found := OCTETS.match(text)) and found[1] == call.buffer:
            call.dumped(found[2])
        elif found := RESULT.match(text):
            yield from _ended(call, worked=int(found[1], 16) == 0)
            del calls[thread]
    if any(call.transmits for call in calls.values()):
        raise apdus.CutShort


def _apart(line: str) -> tuple[str, str]:
    """The thread that a line names, and the rest; the first thread has no name."""
    found = THREAD.match(line)
    return (found[1], line[found.end() :]) if found else ("", line)


def _ended(call: _Call, *, worked: bool) -> Iterator[Line]:
    if call.command:
        yield apdus.sent(call.command)
        if worked and call.response:
            yield apdus.received(call.response)
