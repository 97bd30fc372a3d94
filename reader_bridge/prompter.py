"""Shows the holder the number to type on the phone, or the code to scan with it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol, TextIO

import segno


class Outcome(Enum):
    """How an operation that was shown has ended."""

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
    card_serial: str  # empty: whoever approves puts a card into the reader
    number: str  # two digits to type on the phone; empty if the holder must scan the code
    qr_text: str  # empty if the holder must type the number
    expire_time: datetime  # of the operation; the QR code can expire sooner
    # The phone shows the same one if it was asked for the same data; empty if there are none
    check_code: str


class Prompter(Protocol):
    """The workstation's screen. Its methods are called from the threads of all slots."""

    def show(self, prompt: Prompt, /) -> None: ...

    def clear(self, operation_id: str, outcome: Outcome, /) -> None: ...


class JsonPrompter:
    """Writes one JSON object per line, for programs that show prompts in their own way."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def show(self, prompt: Prompt) -> None:
        """Write the event `approval`."""
        self._write(
            event="approval",
            operation=prompt.operation_id,
            card=prompt.card_serial,
            number=prompt.number,
            qr=prompt.qr_text,
            expire_time=prompt.expire_time.astimezone(UTC).isoformat(timespec="seconds"),
            check_code=prompt.check_code,
        )

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Write the event `decided`."""
        self._write(event="decided", operation=operation_id, outcome=outcome.value)

    def _write(self, **fields: str) -> None:
        with self._lock:
            print(json.dumps(fields), file=self._out, flush=True)


SAYINGS = {
    Outcome.APPROVED: "Approved.",
    Outcome.DENIED: "Denied.",
    Outcome.EXPIRED: "Nobody approved in time.",
    Outcome.CANCELLED: "Withdrawn: the application no longer waits.",
    Outcome.FAILED: "Approved, but the keystore gave no result: try again.",
    Outcome.UNAVAILABLE: "The keystore is out of reach: try again later.",
}

# Digits of five rows, large enough to be read from a distance.
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
    """Prints large digits and a QR code to a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._blocks = _can_write(out, BLOCK)

    def show(self, prompt: Prompt) -> None:
        """Print the number, the code, when they expire, and the check code."""
        local = prompt.expire_time.astimezone()
        with self._lock:
            asked = f"Card {prompt.card_serial}: your approval is asked for"
            title = asked if prompt.card_serial else "Sign in to put your card into the reader"
            print(f"\n{title}", file=self._out)
            if prompt.qr_text:
                # Everything fits into 24 lines, so that the code can be scanned.
                number = f"Type the number {prompt.number} on your phone, or scan this code with it"
                begin = number if prompt.number else "Scan this code with your phone"
                print(f"{begin}, within a minute:", file=self._out)
                # Without block characters the code is drawn with background colours.
                qr_code(prompt.qr_text).terminal(self._out, compact=self._blocks)
            else:
                print(f"\nType the number {prompt.number} on your phone:\n", file=self._out)
                print(large(prompt.number, BLOCK if self._blocks else "#"), file=self._out)
                print(file=self._out)
            code = f" Check code, the same on your phone: {prompt.check_code}"
            print(
                f"It expires at {local:%H:%M:%S}.{code if prompt.check_code else ''}",
                file=self._out,
                flush=True,
            )

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Print how the operation has ended."""
        del operation_id  # a terminal shows one operation at a time
        with self._lock:
            print(SAYINGS[outcome], file=self._out, flush=True)


def qr_code(text: str) -> segno.QRCode:
    """The smallest code for a text: one that fits into a terminal of 24 lines, its margin
    included.
    """
    return segno.make_qr(text, error="l")


def large(number: str, ink: str) -> str:
    """The digits in five lines; each point is two characters wide."""
    rows = ("  ".join(DIGITS[digit][row] for digit in number) for row in range(5))
    return "\n".join("    " + row.replace("#", ink).translate(WIDE).rstrip() for row in rows)


WIDE = {ord(point): point * 2 for point in f" #{BLOCK}"}


def _can_write(out: TextIO, text: str) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
