"""Results that wait to be kept for repeated requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from cloud_keystore.storage.session_uses import Ended

MOST = 32  # that wait
LONGEST = timedelta(milliseconds=50)  # that one waits while others come


class Unwritten:
    """They wait for a later transaction, whoever's it is. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Ended] = []

    def add(self, ended: Ended) -> None:
        with self._lock:
            self._ended.append(ended)

    @contextmanager
    def due(self, now: datetime) -> Iterator[list[Ended]]:
        """All of them if they are many, or one has waited long, and else none; to be written by the
        block.
        """
        with self._lock:
            many = len(self._ended) >= MOST
            due = many or (bool(self._ended) and not self._ended[0].time > now - LONGEST)
        if not due:
            yield []
            return
        with self.all() as ended:
            yield ended

    @contextmanager
    def all(self) -> Iterator[list[Ended]]:
        """All of them, to be written by the block; if it fails they wait on."""
        with self._lock:
            ended, self._ended = self._ended, []
        try:
            yield ended
        except BaseException:
            with self._lock:
                self._ended[:0] = ended
            raise
