"""Results that still have to be stored for repeated requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from cloud_keystore.storage.session_uses import Ended

MOST = 32  # results that wait
LONGEST = timedelta(milliseconds=50)  # for which a result waits while others arrive


class Unwritten:
    """Holds results until some later transaction stores them. Can be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Ended] = []

    def add(self, ended: Ended) -> None:
        with self._lock:
            self._ended.append(ended)

    @contextmanager
    def due(self, now: datetime) -> Iterator[list[Ended]]:
        """Yield all results if there are many or one has waited long, otherwise none. The block
        stores them.
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
        """Yield all results. The block stores them; if it fails, they continue to wait."""
        with self._lock:
            ended, self._ended = self._ended, []
        try:
            yield ended
        except BaseException:
            with self._lock:
                self._ended[:0] = ended
            raise
