"""Words of a trace line: writes fields, and reads them back one after the other."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from card_os.secrets import HIDDEN_OCTET

E = TypeVar("E", bound=Enum)

ABSENT = "-"
HIDDEN = "*"
LARGEST_NUMBER = 0xFFFFFF
DIGITS = "0123456789abcdefABCDEF"
MOST_DIGITS = 8  # of a number in hexadecimal digits; more are bytes
MOST_SHOWN = 20  # characters of a wrong word, so that a hostile file cannot fill the screen


class TraceError(ValueError):
    """A line is not valid in a trace; the text says what is wrong and what is accepted."""


def octets(value: bytes) -> str:
    """Bytes as hexadecimal digits; "-" for no bytes."""
    return value.hex() or ABSENT


def number(value: int) -> str:
    """A number as hexadecimal digits."""
    return f"{value:02x}"


def secret(value: bytes) -> str:
    """An asterisk for each byte."""
    return HIDDEN * len(value) or ABSENT


def proof(value: bytes) -> str:
    """The name of a proof; "-" if there is none."""
    return value.decode("ascii") or ABSENT


def name(value: Enum) -> str:
    """A member's name, in lower case."""
    return value.name.lower()


def flag(value: bool) -> str:
    """ "yes" or "no"."""
    return "yes" if value else "no"


class Words:
    """The words of a line, read from left to right. Every method raises TraceError."""

    def __init__(self, text: str) -> None:
        self._words = text.split(" ")
        self._at = 0

    @property
    def left(self) -> bool:
        """Whether there are more words."""
        return self._at < len(self._words)

    def word(self, what: str = "a word") -> str:
        """The next word, unchanged; `what` names it in the error."""
        if not self.left:
            raise TraceError(f"{what} is missing at the end of the line")
        self._at += 1
        return self._words[self._at - 1]

    def octets(self) -> bytes:
        """Bytes."""
        word = self.word("a value in hexadecimal digits")
        return b"" if word == ABSENT else from_hex(word)

    def number(self) -> int:
        """A number in hexadecimal digits."""
        word = self.word("a number in hexadecimal digits")
        if not (word.isascii() and word.isalnum()):
            raise TraceError(f"{shown(word)} is not a hexadecimal number")
        try:
            value = int(word[:8], 16)
        except ValueError:
            raise TraceError(f"{shown(word)} is not a hexadecimal number") from None
        if len(word) > len(f"{LARGEST_NUMBER:x}"):
            raise TraceError(f"{shown(word)} is a number above {LARGEST_NUMBER:x}")
        return value

    def decimal(self) -> int:
        """A decimal number."""
        word = self.word("a decimal number")
        if not (word.isascii() and word.isdigit()) or len(word) > len(str(LARGEST_NUMBER)):
            raise TraceError(f"{shown(word)} is not a decimal number of at most 8 digits")
        return int(word)

    def secret(self) -> bytes:
        """As many hidden bytes as there are asterisks; the trace does not have the secret."""
        word = self.word("a secret, as asterisks,")
        if word == ABSENT:
            return b""
        if word.strip(HIDDEN):
            raise TraceError("a secret is written as asterisks, one for each byte")
        return HIDDEN_OCTET * len(word)

    def proof(self) -> bytes:
        """The name of a proof."""
        word = self.word("a proof, such as #1,")
        if word == ABSENT:
            return b""
        if not (word.startswith("#") and word[1:].isdigit() and word.isascii()):
            raise TraceError(f"{shown(word)} does not name a proof, as #1 does")
        return word.encode("ascii")

    def member(self, kind: type[E]) -> E:
        """A member of an enumeration, by its name."""
        word = self.word(f"one of {', '.join(map(name, kind))}")
        for member in kind:
            if name(member) == word:
                return member
        raise TraceError(f"{shown(word)} is none of {', '.join(map(name, kind))}")

    def flag(self) -> bool:
        """Yes or no."""
        word = self.word("yes or no")
        if word not in ("yes", "no"):
            raise TraceError(f"{shown(word)} is neither yes nor no")
        return word == "yes"

    def end(self) -> None:
        """Check that there are no more words."""
        if self.left:
            raise TraceError(f"{shown(self._words[self._at])} is one word too many")


def from_hex(text: str) -> bytes:
    """The bytes that hexadecimal digits encode. Raises TraceError, also for blanks; it does not
    quote the text, which can be a passcode.
    """
    if text.isascii() and text.isalnum():  # fromhex would skip blanks
        try:
            return bytes.fromhex(text)
        except ValueError:
            pass
    wrong = next((at for at, digit in enumerate(text, 1) if digit not in DIGITS), None)
    if wrong is None:
        raise TraceError(
            f"{len(text):,} hexadecimal digits are there, where an even number must be"
        )
    raise TraceError(f"character {wrong} of {len(text):,} is not a hexadecimal digit")


def shown(word: str) -> str:
    """A word as error messages show it: quoted, and cut if it is long. Bytes are not shown, because
    they can be a passcode.
    """
    if len(word) > MOST_DIGITS and not word.strip(DIGITS):
        return f"{len(word):,} hexadecimal digits"
    return repr(word if len(word) <= MOST_SHOWN else word[:MOST_SHOWN] + "…")
