"""Prompts as JSON objects, one on each line (docs/prompt.md)."""

from __future__ import annotations

import json
import threading
from datetime import UTC
from typing import TextIO, TypeAlias

from reader_bridge.prompt_program.lines import LONGEST_TEXT
from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.prompts.qr import qr_code

Line: TypeAlias = dict[str, str | int | float | list[str]]


def approval(prompt: Prompt) -> Line:
    """The event `approval`."""
    return {
        "event": "approval",
        "operation": prompt.operation_id,
        "card": prompt.card_serial,
        "number": prompt.number,
        "qr": prompt.qr_text,
        "expire_time": prompt.expire_time.astimezone(UTC).isoformat(timespec="seconds"),
        "check_code": prompt.check_code,
        "workstation": _printable(prompt.workstation),
        "program": _printable(prompt.program),
        "key": prompt.key,
        "use": prompt.use,
        "inputs": prompt.inputs,
        "session_uses": prompt.session_uses,
        "session_seconds": prompt.session_seconds,
        "seconds": round(prompt.seconds, 1),
        "qr_seconds": round(prompt.qr_seconds, 1),
    }


def _printable(text: str) -> str:
    """A name without what could hide or turn round its neighbours on a screen."""
    return "".join(char if char.isprintable() else "?" for char in text)[:LONGEST_TEXT]


def drawn(prompt: Prompt) -> Line:
    """The event `approval`, with the modules of the QR code: a program needs no encoder."""
    rows = qr_code(prompt.qr_text).matrix if prompt.qr_text else ()
    return {**approval(prompt), "qr_modules": ["".join(map(str, row)) for row in rows]}


def decided(operation_id: str, outcome: Outcome) -> Line:
    """The event `decided`."""
    return {"event": "decided", "operation": operation_id, "outcome": outcome.value}


class JsonPrompter:
    """Writes one JSON object per line, for programs that show prompts in their own way."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Write the event `approval`."""
        del withdraw  # nobody answers on an output
        self._write(approval(prompt))

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Write the event `decided`."""
        self._write(decided(operation_id, outcome))

    def _write(self, line: Line) -> None:
        with self._lock:
            self._out.write(f"{json.dumps(line)}\n")  # in one piece: others print there too
            self._out.flush()
