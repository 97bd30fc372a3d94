"""Lines that one thread produces and another thread waits for."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


class Lines:
    """A queue of lines with an end. Each line is handed out once."""

    def __init__(self) -> None:
        self._unread: deque[str] = deque()
        self._ended = False
        self._changed = threading.Condition()

    def put(self, line: str) -> None:
        """Append a line."""
        with self._changed:
            self._unread.append(line)
            self._changed.notify_all()

    def end(self) -> None:
        """Mark the end: no line will follow."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def first(self, match: Callable[[str], Found | None], timeout: float) -> Found:
        """The first result of `match` that is not None; the lines before that one are dropped.

        Raises EOFError when the lines end first, TimeoutError after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._unread:
                    found = match(self._unread.popleft())
                    if found is not None:
                        return found
                if self._ended:
                    raise EOFError
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError

    def take_all(self) -> list[str]:
        """All lines that have not been handed out yet."""
        with self._changed:
            lines = list(self._unread)
            self._unread.clear()
            return lines
