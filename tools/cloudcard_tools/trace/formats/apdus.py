"""APDUs from the texts of other programs. No error quotes a text: it can be a passcode."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from card_os.apdu import HEADER_BYTES
from card_os.trace.lines import Received, Sent
from card_os.trace.words import TraceError
from cloudcard_tools.trace.formats.text import Texts

LONGEST = 65_600  # bytes; anything longer is not an APDU
STATUS_BYTES = 2
PAIRS = r"[0-9A-Fa-f]{2}(?: ?[0-9A-Fa-f]{2})*"  # bytes, of a pattern
WIDTH = 16  # bytes in a line of a dump
SEPARATORS = re.compile(r"0x|[\s,:-]", re.IGNORECASE)

OctetsOf: TypeAlias = Callable[[str], str | None]  # the bytes in a line of a dump; None if none


class CutShort(TraceError):
    """The text ends inside an APDU."""

    def __init__(self) -> None:
        super().__init__("the text ends in an APDU")


def octets(text: str) -> bytes:
    """The bytes of hexadecimal digits, which can be separated in any usual way. Raises
    TraceError.
    """
    digits = SEPARATORS.sub("", text)
    if digits.isascii() and digits.isalnum():
        try:
            return bytes.fromhex(digits)
        except ValueError:
            pass
    raise TraceError("these are not bytes in hexadecimal digits")


def sent(apdu: bytes) -> Sent:
    """A command. Raises TraceError if it is too short."""
    if len(apdu) < HEADER_BYTES:
        raise TraceError("too short for an APDU")
    return Sent(apdu)


def received(apdu: bytes) -> Received:
    """A response. Raises TraceError if it is too short."""
    if len(apdu) < STATUS_BYTES:
        raise TraceError("too short for an APDU")
    return Received(apdu)


def either(apdu: bytes, *, is_response: bool) -> Sent | Received:
    """A response or a command. Raises TraceError if it is too short."""
    return received(apdu) if is_response else sent(apdu)


def dump(texts: Texts, size: int, octets_of: OctetsOf) -> bytes:
    """Read `size` bytes of a dump, which can have other text beside them on each line. Raises
    TraceError if it ends early, and CutShort if the text does.
    """
    if size > LONGEST:
        raise TraceError(f"{size} bytes are not an APDU")
    made = b""
    while len(made) < size:
        text = octets_of(next_line(texts))
        if text is None:
            raise TraceError("a dump ends early")
        made += row(text, size - len(made))
    return made


def row(text: str, left: int) -> bytes:
    """The bytes of a line of a dump, of which `left` bytes are left: a run of digits, or pairs with
    the characters beside them. Raises TraceError.
    """
    words = text.split()
    if words and len(words[0]) > 2:
        return octets(words[0])[:left]
    return octets("".join(words[: min(WIDTH, left)]))


def next_line(texts: Texts) -> str:
    """The next line. Raises CutShort at the end."""
    for text in texts:
        return text
    raise CutShort
