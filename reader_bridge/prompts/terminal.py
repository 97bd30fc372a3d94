"""Prompts as text: large digits and a QR code on a terminal."""

from __future__ import annotations

import threading
from typing import TextIO

from reader_bridge.prompt_program import texts
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.prompts.qr import qr_code

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
COLUMNS, CUT = 80, "..."


class TerminalPrompter:
    """Prints large digits and a QR code to a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()
        self._blocks = _can_write(out, BLOCK)

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Print who asks for what, the number, the code, when they expire, and the check code."""
        del withdraw  # Ctrl-C ends the reader, and cancels what is open
        local = prompt.expire_time.astimezone()
        with self._lock:
            if not prompt.qr_text:
                print(file=self._out)
            if prompt.card_serial:
                print(f"Card {prompt.card_serial}: your approval is asked for", file=self._out)
            print(_asked(prompt), file=self._out)
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
            print(texts.OUTCOMES[outcome.value], file=self._out, flush=True)


def _asked(prompt: Prompt) -> str:
    """Who asks for what, in a line that a terminal of 80 columns does not break."""
    purpose = texts.purpose(
        prompt.key, prompt.use, prompt.inputs, prompt.session_uses, prompt.session_seconds
    )
    line = ", ".join(filter(None, (purpose, prompt.program, prompt.workstation)))
    line = "".join(char if char.isprintable() else "?" for char in line)
    return line if len(line) <= COLUMNS else line[: COLUMNS - len(CUT)] + CUT


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
