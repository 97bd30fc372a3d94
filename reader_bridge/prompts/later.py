"""The QR code of an operation is shown some time after its number, so that a holder whose phone
rings is not offered two ways at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from reader_bridge.prompter import Outcome, Prompt, Prompter, Withdraw

LONGEST_SECONDS = 45  # of the minute for which a code is good: the rest is for scanning it


@dataclass(frozen=True, slots=True)
class _Open:
    """An operation whose code is still to be shown."""

    prompt: Prompt
    withdraw: Withdraw
    timer: threading.Timer


class Later:
    """Shows an operation without its code, and again with it so many seconds later, unless it has
    ended. One that has no number is shown with its code at once.
    """

    def __init__(self, prompter: Prompter, seconds: float) -> None:
        self._prompter = prompter
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Show an operation, and its code later."""
        if not (prompt.number and prompt.qr_text):
            self._prompter.show(prompt, withdraw)
            return
        timer = threading.Timer(self._seconds, self._offer, [prompt.operation_id])
        timer.daemon = True
        with self._lock:
            self._open[prompt.operation_id] = _Open(prompt, withdraw, timer)
            self._prompter.show(replace(prompt, qr_text="", qr_seconds=0.0), withdraw)
        timer.start()

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Clear an operation, whose code is not shown any more."""
        with self._lock:
            ended = self._open.pop(operation_id, None)
        if ended is not None:
            ended.timer.cancel()
        self._prompter.clear(operation_id, outcome)

    def _offer(self, operation_id: str) -> None:
        # Whoever clears it waits meanwhile, so that it does not come back.
        with self._lock:
            found = self._open.pop(operation_id, None)
            if found is None:
                return
            shown = found.prompt
            left = (max(0.0, each - self._seconds) for each in (shown.seconds, shown.qr_seconds))
            seconds, qr_seconds = left
            self._prompter.show(
                replace(shown, seconds=seconds, qr_seconds=qr_seconds), found.withdraw
            )
