"""Shows the holder what to type on the phone, or to scan with it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol, TextIO

import segno


class Outcome(Enum):
    """How it went with what was shown."""

    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"  # approved, but the key gave no result
    UNAVAILABLE = "unavailable"  # the keystore was out of reach for too long


@dataclass(frozen=True, slots=True)
class Prompt:
    """One operation that waits for the holder."""

    operation_id: str
    card_serial: str
    number: str  # two digits to be typed on the phone; empty where it is to be scanned
    qr_text: str  # empty where the number is to be typed
    expire_time: datetime  # when the operation expires; a code to be scanned may expire sooner


class Prompter(Protocol):
    """The workstation's screen. Called from the threads of all slots."""

    def show(self, prompt: Prompt, /) -> None: ...

    def clear(self, operation_id: str, outcome: Outcome, /) -> None: ...


class JsonPrompter:
    """One JSON object a line, for programs that show it their way."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def show(self, prompt: Prompt) -> None:
        """The event `approval`."""
        self._write(
            event="approval",
            operation=prompt.operation_id,
            card=prompt.card_serial,
            number=prompt.number,
            qr=prompt.qr_text,
            expire_time=prompt.expire_time.astimezone(UTC).isoformat(timespec="seconds"),
        )

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """The event `decided`."""
        self._write(event="decided", operation=operation_id, outcome=outcome.value)

    def _write(self, **fields: str) -> None:
        with self._lock:
            print(json.dumps(fields), file=self._out, flush=True)


SAYINGS = {
    Outcome.APPROVED: "Approved.",
    Outcome.DENIED: "Denied.",
    Outcome.EXPIRED: "Nobody approved in time.",
    Outcome.CANCELLED: "Withdrawn: the application waits no more.",
    Outcome.FAILED: "Approved, but the keystore made no result: try again.",
    Outcome.UNAVAILABLE: "The keystore is out of reach: try again later.",
}

# Digits of five rows, large enough to be read from a step away.
DIGITS = {
    "0": ("###", "# #", "# #", "# #", "###"),
    "1": ("  #", "  #", "  #", "  #", "  #"),
    "2": ("###", "  #", "###", "#  ", "###"),
    "3": ("###", "  #", "###", "  #", "###"),
    "4": ("# #", "# #", "###", "  #", "  #"),
    "5": ("###", "#  ", "###", "  #", "###"),
    "6": ("###", "#  ", "###", "# #", "###"),
    "7": ("###", "  #", "  #", "  #", "  #"),
    "8": ("###", "# #", "###", "# #", "###"),
    "9": ("###", "# #", "###", "  #", "###"),
}
BLOCK = "\N{FULL BLOCK}"


class TerminalPrompter:
    """Large digits and a QR code, in characters."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._blocks = _can_write(out, BLOCK)

    def show(self, prompt: Prompt) -> None:
        """Print the number, the code and until when they count."""
        local = prompt.expire_time.astimezone()
        with self._lock:
            print(f"\nCard {prompt.card_serial}: your approval is asked for", file=self._out)
            if prompt.number:
                print(f"\nType the number {prompt.number} on your phone:\n", file=self._out)
                print(large(prompt.number, BLOCK if self._blocks else "#"), file=self._out)
            if prompt.qr_text:
                again = "Or scan" if prompt.number else "Scan"
                print(f"\n{again} this code with your phone, within a minute:\n", file=self._out)
                # Without block characters it is drawn by background colours.
                segno.make(prompt.qr_text, error="m").terminal(self._out, compact=self._blocks)
            print(f"\nIt expires at {local:%H:%M:%S}.", file=self._out, flush=True)

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Print how it went."""
        del operation_id  # one at a time on a screen that people read
        with self._lock:
            print(SAYINGS[outcome], file=self._out, flush=True)


def large(number: str, ink: str) -> str:
    """Digits of five lines, each point two characters wide."""
    rows = ("  ".join(DIGITS[digit][row] for digit in number) for row in range(5))
    return "\n".join("    " + row.replace("#", ink).translate(WIDE).rstrip() for row in rows)


WIDE = {ord(point): point * 2 for point in f" #{BLOCK}"}


def _can_write(out: TextIO, text: str) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
