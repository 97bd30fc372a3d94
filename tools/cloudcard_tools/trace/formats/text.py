"""Text files of any origin as plain lines: every encoding, without colours, HTML and blanks that
look like none.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from card_os.trace.lines import LONGEST_LINE
from card_os.trace.words import TraceError

BOMS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SNIFFED_BYTES = 256  # read to detect an encoding without a mark
# Colours, as a terminal gets them, and as `cat -v`, syslog and JSON write them.
COLOURS = re.compile(r"(?:\x1b|\^\[|#033|\\(?:e|033|x1b|u001b))\[[0-9;:?]*[A-Za-z]")
BREAKS = re.compile(r"<br\s{0,3}/?>|</(?:p|div|li|tr|pre)>", re.IGNORECASE)
TAGS = re.compile(
    r"</?(?:a|b|body|code|div|em|font|html|i|li|ol|p|pre|span|strong|table|tbody|td|tr|tt|ul)"
    r"(?:\s[^<>]{0,200})?>",
    re.IGNORECASE,
)
BLANKS = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", **dict.fromkeys("\u200b\u200e\u200f\u2060\ufeff")}
)


class Counted(Iterator[str]):
    """The lines of a file, with the number of the last one. Raises TraceError for a line that is
    too long.
    """

    def __init__(self, raw: Iterable[str]) -> None:
        self._raw = iter(raw)
        self.number = 0

    def __next__(self) -> str:
        text = next(self._raw)
        self.number += 1
        if len(text) > LONGEST_LINE:
            raise TraceError(f"the line has more than {LONGEST_LINE:,} characters")
        return text


class Texts(Iterator[str]):
    """What a page or a terminal shows of a file, line by line; the last line can be put back."""

    def __init__(self, raw: Iterable[str]) -> None:
        self._lines = (each for text in raw for each in plain(text.rstrip("\r\n")))
        self._back: list[str] = []

    def __next__(self) -> str:
        return self._back.pop() if self._back else next(self._lines)

    def put_back(self, text: str) -> None:
        """Return the last line once more."""
        self._back.append(text)


def opened(path: Path) -> TextIO:
    """Open a file in the encoding in which it is written. What is no text is replaced, so that it
    is like nothing that a format has. Raises OSError.
    """
    with path.open("rb") as file:
        beginning = file.read(SNIFFED_BYTES)
    return path.open(encoding=encoding(beginning), errors="replace")


def encoding(beginning: bytes) -> str:
    """The encoding of a text that begins so."""
    for mark, name in BOMS:
        if beginning.startswith(mark):
            return name
    half = len(beginning) // 2
    if half and beginning[1::2].count(0) > half // 2:
        return "utf-16-le"
    if half and beginning[::2].count(0) > half // 2:
        return "utf-16-be"
    return "utf-8"


def raw_lines(file: TextIO) -> Iterator[str]:
    """The lines of a file. A line that is too long is read only as far as needed to see that."""
    return iter(lambda: file.readline(LONGEST_LINE + 2), "")


def plain(text: str) -> list[str]:
    """The lines that a line of a page or a terminal shows."""
    text = COLOURS.sub("", text.translate(BLANKS))
    if "<" in text:
        text = TAGS.sub("", BREAKS.sub("\n", text))
    if "&" in text:
        text = html.unescape(text).translate(BLANKS)
    # The last line break ends this line, and begins none.
    return [each.strip() for each in text.removesuffix("\n").split("\n")]
