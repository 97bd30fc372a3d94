"""Prompts in a file, for software that shows them in its own way."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from reader_bridge.prompter import Outcome, Prompt, Withdraw
from reader_bridge.prompts.json_lines import Line, drawn

log = structlog.get_logger()

PRIVATE = 0o600


class FilePrompter:
    """Keeps a file with a JSON list of what waits, oldest first, readable by this user alone. There
    is no such file while nothing waits.
    """

    def __init__(self, path: Path) -> None:
        """Removes what a reader that was killed left there."""
        self._path = path
        self._lock = threading.Lock()
        self._open: dict[str, Line] = {}
        self._write()

    def show(self, prompt: Prompt, withdraw: Withdraw) -> None:
        """Add an operation."""
        del withdraw  # nobody answers in a file
        with self._lock:
            self._open[prompt.operation_id] = drawn(prompt)
            self._write()

    def clear(self, operation_id: str, outcome: Outcome) -> None:
        """Take an operation out."""
        del outcome
        with self._lock:
            self._open.pop(operation_id, None)
            self._write()

    def _write(self) -> None:
        """Replace the file as a whole, so that no reader sees half of it. A full disk costs the
        prompt, not the operation: the phone rings all the same.
        """
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            if not self._open:
                self._path.unlink(missing_ok=True)
                return
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with suppress(FileNotFoundError):
                new.unlink()
            with os.fdopen(os.open(new, flags, PRIVATE), "w", encoding="utf-8") as out:
                json.dump(list(self._open.values()), out)
            new.replace(self._path)
        except OSError as error:
            log.warning("prompt not written", path=str(self._path), error=error.strerror)
