"""Lines of any program that say in words what was sent and received, with the bytes at their end:
`sending: 00 A4 04 00`, `<- APDU response: [90, 0]`, `R-APDU [-112, 0]`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from card_os.apdu import HEADER_BYTES
from card_os.trace.lines import Line
from cloudcard_tools.trace.formats import apdus
from cloudcard_tools.trace.formats.text import Texts

Notation: TypeAlias = Callable[[str], "tuple[str, bytes] | None"]
"""The words of a line, and the bytes after them; None if there are none in this notation."""

HEXADECIMAL = "0123456789abcdefABCDEF"
# The last of these words before the bytes says whose they are.
SAID = re.compile(
    r"(?P<sent>A?>>+|-->|->|=>|>|\b(?:C-?APDU|command|cmd|send|sending|sent|tx|request|transmit\w*"
    r"|outgoing|serialized)\b)"
    r"|(?P<received>A?<<+|<--|<-|<=|<|\b(?:R-?APDU|response|resp|recv|receive|received|rx|reply"
    r"|answer|incoming|returned|SW)\b)",
    re.ASCII | re.IGNORECASE,
)
APDU = re.compile(r"\bAPDU\b", re.IGNORECASE)  # without another word, a command
STATUS_APART = re.compile(
    r"[\s,;)\]]+(?:SW|status)\s?[=:]?\s?(?:0x)?([0-9A-F]{4})$", re.ASCII | re.IGNORECASE
)
NOTE = re.compile(r"\s\([^()]{0,40}\)$")
TOKEN = re.compile(
    r"(?:0x)?(?:[0-9A-F]{2})+(?:[:,-](?:0x)?(?:[0-9A-F]{2})+)*,?", re.ASCII | re.IGNORECASE
)
MOST_WORDS = 300  # characters before the bytes
OPENING, CLOSING = "[{", " ]});.,"
BYTE = re.compile(r"[0-9a-f]{1,2}", re.ASCII | re.IGNORECASE)
NUMBER = re.compile(r"-?[0-9]{1,3}", re.ASCII)


def hexadecimal(text: str) -> tuple[str, bytes] | None:
    """Pairs of digits, with or without separators: 00A40400, 00 A4, 0x00, 0xa4."""
    text = NOTE.sub("", text).rstrip(CLOSING)
    status = b""
    if apart := STATUS_APART.search(text[-MOST_WORDS:]):
        status = bytes.fromhex(apart[1])
        text = text[: len(text) - len(apart[0])].rstrip(CLOSING)
    words = text.rstrip(HEXADECIMAL + "xX:,- ")
    tail = text[len(words) :]
    tokens = tail.split()
    kept = len(tokens)
    while kept and TOKEN.fullmatch(tokens[kept - 1]):
        kept -= 1
    found = tokens[kept:]
    if not found and not status:
        return None
    data = apdus.octets("".join(found)) if found else b""
    return words + " ".join(tokens[:kept]), data + status


def array(text: str, *, decimal: bool) -> tuple[str, bytes] | None:
    """Numbers between brackets: hexadecimal with one or two digits, or decimal, as signed or
    unsigned bytes.
    """
    text = NOTE.sub("", text)
    at = max(text.rfind(bracket) for bracket in OPENING)
    if at < 0:
        return None
    numbers = [each.strip() for each in text[at + 1 :].rstrip(CLOSING).split(",")]
    form = NUMBER if decimal else BYTE
    if len(numbers) < apdus.STATUS_BYTES or not all(form.fullmatch(each) for each in numbers):
        return None
    values = [int(each, 10 if decimal else 16) for each in numbers]
    if not all(-128 <= value <= 255 for value in values):
        return None
    return text[:at], bytes(value & 0xFF for value in values)


def read(texts: Texts, notation: Notation) -> Iterator[Line]:
    """Read the lines that say who sent their bytes."""
    for text in texts:
        if found := _told(text, notation):
            is_response, whole = found
            yield apdus.either(whole, is_response=is_response)


def says_command(text: str, notation: Notation) -> bool:
    """Whether this line has a command in this notation."""
    found = _told(text, notation)
    return found is not None and not found[0]


def _told(text: str, notation: Notation) -> tuple[bool, bytes] | None:
    """Whether a line has a response, and its bytes; None if it has none."""
    found = notation(text)
    if found is None or len(found[0]) > MOST_WORDS:
        return None
    words, whole = found
    last = next(iter(deque(SAID.finditer(words), maxlen=1)), None)
    if last is None and APDU.search(words) is None:
        return None
    is_response = last is not None and last.lastgroup == "received"
    least = apdus.STATUS_BYTES if is_response else HEADER_BYTES
    return (is_response, whole) if least <= len(whole) <= apdus.LONGEST else None


HEXADECIMAL_ARRAY: Notation = partial(array, decimal=False)
DECIMAL_ARRAY: Notation = partial(array, decimal=True)
# What tells them apart: [0, 20, 0, 80] can be either.
ONLY_HEXADECIMAL = re.compile(r"[\[{,] ?(?:[a-f][0-9a-f]?|[0-9][a-f])[,\]}]", re.IGNORECASE)
ONLY_DECIMAL = re.compile(r"[\[{,] ?(?:-[0-9]{1,3}|[0-9]{3})[,\]}]")


def has_hexadecimal_array(text: str) -> bool:
    """Whether this line has a command as an array that can only be hexadecimal."""
    found = ONLY_HEXADECIMAL.search(text) is not None
    return found and says_command(text, HEXADECIMAL_ARRAY)


def has_decimal_array(text: str) -> bool:
    """Whether this line has a command as an array that can only be decimal."""
    return ONLY_DECIMAL.search(text) is not None and says_command(text, DECIMAL_ARRAY)
