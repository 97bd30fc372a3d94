"""Logs that dump an APDU on the lines after its heading: OpenSC, opensc-tool, vicc, scdaemon."""

from __future__ import annotations

import re
from collections.abc import Iterator

from card_os.apdu import HEADER_BYTES
from card_os.secrets import HIDDEN_OCTET, WITH_PASSCODES
from card_os.trace.lines import Comment, Line, Received
from card_os.trace.words import TraceError
from cloudcard_tools.trace.formats import apdus
from cloudcard_tools.trace.formats.text import Texts

# `(12 bytes):` since 0.17, and before it `data [   12 bytes] =====`.
OPENSC = re.compile(
    r"(Outgoing|Incoming) APDU (?:data )?[(\[] {0,9}(\d{1,6}) bytes?[)\]](?::| =+)$", re.ASCII
)
OPENSC_SENT = re.compile(rf"^(?:OpenSC \[.{{0,40}}\]> )?Sending: ({apdus.PAIRS})$", re.ASCII)
OPENSC_STATUS = re.compile(r"^Received \(SW1=0x([0-9A-F]{2}), SW2=0x([0-9A-F]{2})\)(:?)$", re.ASCII)
DUMPED = re.compile(r"^(?:[0-9A-Fa-f]{4,8}: +)?((?:[0-9A-Fa-f]{2} ?){1,16})(?: |$)", re.ASCII)

VICC = re.compile(
    r"(?<!Outgoing )(?<!Incoming )(Command APDU|Response APDU|APDU|RESP) "
    r"\((\d{1,6}) [Bb]ytes\):$",
    re.ASCII,
)
VICC_RESPONSES = ("Response APDU", "RESP")

GNUPG_SENDS = re.compile(
    r"DBG:\s+send apdu: c=([0-9A-F]{2}) i=([0-9A-F]{2}) p1=([0-9A-F]{2}) p2=([0-9A-F]{2}) "
    r"lc=(-?\d{1,5}) ",
    re.ASCII,
)
# PC/SC's, scdaemon's own driver for CCID, and other ways to a reader.
GNUPG_SENT = re.compile(r"DBG:\s+(?:(?:PCSC|CCID|RAW|APDU|CT)_data|raw apdu): *(.*)$", re.ASCII)
GNUPG_STATUS = re.compile(
    r"DBG:\s+(?:response|more): sw=([0-9A-F]{4})\s+datalen=(\d{1,6})$", re.ASCII
)
GNUPG_DUMP = re.compile(r"DBG:\s+dump: *(.*)$", re.ASCII)
GNUPG_CONTINUED = re.compile(r"DBG:\s+([0-9a-f]+(?: \\)?)$", re.ASCII)
CONTINUES = "\\"


def opensc(texts: Texts) -> Iterator[Line]:
    """Read OpenSC's debug log."""
    for text in texts:
        if found := OPENSC.search(text):
            whole = apdus.dump(texts, int(found[2]), lambda line: line)
            yield apdus.either(whole, is_response=found[1] == "Incoming")


def opensc_tool(texts: Texts) -> Iterator[Line]:
    """Read what `opensc-tool --send-apdu` and `opensc-explorer` print. The length of a response is
    not told: its dump ends with the first line that is none.
    """
    for text in texts:
        if found := OPENSC_SENT.match(text):
            yield apdus.sent(apdus.octets(found[1]))
        elif found := OPENSC_STATUS.match(text):
            data = _until_other(texts) if found[3] else b""
            yield apdus.received(data + bytes.fromhex(found[1] + found[2]))


def _until_other(texts: Texts) -> bytes:
    data = b""
    for text in texts:
        found = DUMPED.match(text)
        if found is None or (data and len(data) % apdus.WIDTH):
            texts.put_back(text)
            break
        data += _beside_characters(text, found[1])
    return data


def _beside_characters(text: str, pairs: str) -> bytes:
    """The bytes of a line that ends with as many characters as it has bytes: the characters can
    look like bytes too.
    """
    words = pairs.split()
    for count in range(len(words), 0, -1):
        before = " ".join(words[:count])
        if len(text) >= len(before) + 1 + count and len(text[len(before) :].lstrip()) == count:
            return bytes.fromhex(before)
    return bytes.fromhex("".join(words))


def vicc(texts: Texts) -> Iterator[Line]:
    """Read the log of vsmartcard's emulator."""
    for text in texts:
        if found := VICC.search(text):
            whole = apdus.dump(texts, int(found[2]), _dumped)
            yield apdus.either(whole, is_response=found[1] in VICC_RESPONSES)


def _dumped(text: str) -> str | None:
    found = DUMPED.match(text)
    return None if found is None else found[1]


def scdaemon(texts: Texts) -> Iterator[Line]:
    """Read the log of GnuPG's scdaemon. A passcode that it does not log is written as hidden."""
    announced = b""
    for text in texts:
        if found := GNUPG_SENDS.search(text):
            announced = _announced(found)
        elif found := GNUPG_SENT.search(text):
            announced = b""
            yield apdus.sent(_continued(texts, found[1]))
        elif found := GNUPG_STATUS.search(text):
            if announced:
                yield apdus.sent(announced)
                announced = b""
            yield _response(texts, int(found[2]), bytes.fromhex(found[1]))


def _announced(found: re.Match[str]) -> bytes:
    """The command that a line announces, if its data is a passcode, which can be left out of the
    log.
    """
    header = bytes.fromhex("".join(found.groups()[:HEADER_BYTES]))
    size = max(int(found[5]), 0)
    if header[1] not in WITH_PASSCODES or not 0 < size < 256:
        return b""
    return header + bytes((size,)) + HIDDEN_OCTET * size


def _response(texts: Texts, size: int, status: bytes) -> Received | Comment:
    if not size:
        return apdus.received(status)
    for text in texts:
        found = GNUPG_DUMP.search(text)
        if found is None:
            texts.put_back(text)
            return Comment(f"the {size} bytes of a response are not in the log: it is left out")
        data = _continued(texts, found[1])
        if len(data) != size:
            raise TraceError(f"a dump of {len(data)} bytes, where {size} are told")
        return apdus.received(data + status)
    raise apdus.CutShort


def _continued(texts: Texts, text: str) -> bytes:
    """The bytes of a line and of those that continue it, as GnuPG writes them since 2.3."""
    whole = text
    while whole.endswith(CONTINUES):
        found = GNUPG_CONTINUED.search(apdus.next_line(texts))
        if found is None:
            raise TraceError("a dump ends early")
        whole = whole.removesuffix(CONTINUES).rstrip() + found[1]
    return apdus.octets(whole)
