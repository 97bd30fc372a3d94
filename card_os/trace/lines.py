"""Lines of a trace, as values and as text (docs/trace-format.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from card_os.keys import KeyRequest, KeyResult
from card_os.trace import requests, results
from card_os.trace.words import TraceError, from_hex, octets, shown

HEADER = "cloudcard trace 1"
LONGEST_LINE = 400_000  # characters: an APDU has 65,544 bytes, a key result can hold a few objects
DIGEST_BYTES = 32
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)


class Power(Enum):
    """What a reader does to a card besides sending commands."""

    ON = "power-on"
    OFF = "power-off"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Comment:
    """A note for people."""

    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """The name of the lines that follow, up to the next step."""

    name: str


@dataclass(frozen=True, slots=True)
class Image:
    """The card: SHA-256 of its image's file."""

    sha256: bytes


@dataclass(frozen=True, slots=True)
class Seed:
    """The seed with which the card's random source starts here."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Clock:
    """When this was recorded, for people: the card has no clock."""

    time: str  # of UTC, as in RFC 3339


@dataclass(frozen=True, slots=True)
class Pause:
    """The time between the previous line and the next one, for people."""

    microseconds: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A command APDU."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A response APDU."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the card to its key service."""

    request: KeyRequest


@dataclass(frozen=True, slots=True)
class Answered:
    """The result from the key service."""

    result: KeyResult


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The reader hung up while the card waited for its key service."""


Line: TypeAlias = (
    Comment
    | Step
    | Image
    | Seed
    | Clock
    | Pause
    | Power
    | Sent
    | Received
    | Asked
    | Answered
    | Abandoned
)


def write(line: Line) -> str:
    """The text of a line, without a line feed."""
    match line:
        case Comment(text):
            return f"# {text}".rstrip()
        case Step(name):
            return f"= {name}"
        case Image(sha256):
            return f"@ card sha256:{sha256.hex()}"
        case Seed(value):
            return f"@ seed {octets(value)}"
        case Clock(time):
            return f"@ clock {time}"
        case Pause(microseconds):
            return f"~ {microseconds}"
        case Power():
            return f"@ {line.value}"
        case Sent(apdu):
            return f"> {octets(apdu)}"
        case Received(apdu):
            return f"< {octets(apdu)}"
        case Asked(request):
            return f"? {requests.write(request)}"
        case Answered(result):
            return f"! {results.write(result)}"
        case Abandoned():
            return "@ hang-up"


def read(text: str) -> Line:
    """The line that a text encodes; spaces at its end mean nothing. Raises TraceError, which says
    what is wrong.
    """
    if len(text) > LONGEST_LINE:
        raise TraceError(f"the line has more than {LONGEST_LINE:,} characters")
    if not text.isprintable():
        raise TraceError("the line holds control characters: traces are plain text")
    mark, _, rest = text.rstrip(" ").partition(" ")
    if mark not in MARKS:
        raise TraceError(f"a line begins with one of {' '.join(MARKS)}, not with {shown(mark)}")
    return MARKS[mark](rest)


def read_all(lines: Iterable[str]) -> Iterator[tuple[int, Line]]:
    """Yield the lines of a file with their numbers; blank lines are left out.

    Raises TraceError, which names the line's number.
    """
    number = 0
    for number, raw in enumerate(lines, 1):
        text = raw.rstrip("\r\n")
        try:
            if number == 1:
                _check_header(text)
            elif text.strip():
                yield number, read(text)
        except TraceError as error:
            raise TraceError(f"line {number}: {error}") from None
    if number == 0:
        raise TraceError(f"the file is empty: a trace begins with {HEADER!r}")


def _check_header(text: str) -> None:
    if text == HEADER:
        return
    if text.startswith("cloudcard trace "):
        raise TraceError(f"{shown(text)} is another version: this program reads {HEADER!r}")
    raise TraceError(
        f"a trace begins with {HEADER!r}; another program's log becomes one by "
        "`cloudcard trace import`"
    )


def _setting(rest: str) -> Line:
    word, _, value = rest.partition(" ")
    for power in Power:
        if rest == power.value:
            return power
    match word:
        case "card":
            return Image(_digest(value))
        case "seed":
            return Seed(from_hex(value))
        case "clock":
            return Clock(_time(value))
        case "hang-up" if not value:
            return Abandoned()
    raise TraceError(
        f"{shown(rest)} is none of power-on, power-off, reset, hang-up, card, seed, clock"
    )


def _digest(value: str) -> bytes:
    kind, _, digits = value.partition(":")
    digest = from_hex(digits)
    if kind != "sha256" or len(digest) != DIGEST_BYTES:
        raise TraceError("a card is named by sha256: and 64 hexadecimal digits")
    return digest


def _time(value: str) -> str:
    if TIME.fullmatch(value) is None:
        raise TraceError(f"{shown(value)} is not a UTC time such as 2026-11-23T09:00:00Z")
    return value


def _pause(rest: str) -> Pause:
    if not (rest.isascii() and rest.isdigit()) or len(rest) > 15:
        raise TraceError(f"{shown(rest)} is not a number of microseconds of at most 15 digits")
    return Pause(int(rest))


MARKS: Mapping[str, Callable[[str], Line]] = {
    "#": Comment,
    "=": Step,
    "@": _setting,
    "~": _pause,
    ">": lambda rest: Sent(from_hex(rest)),
    "<": lambda rest: Received(from_hex(rest)),
    "?": lambda rest: Asked(requests.read(rest)),
    "!": lambda rest: Answered(results.read(rest)),
}
