"""Results that wait to be kept for repeated requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cloud_keystore.storage.session_uses import Ended


class Unwritten:
    """They wait for the next transaction, whoever's it is. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[Ended] = []

    def add(self, ended: Ended) -> None:
        with self._lock:
            self._ended.append(ended)

    @contextmanager
    def written(self) -> Iterator[list[Ended]]:
        """All of them, to be written by the block; if it fails they wait on."""
        with self._lock:
            ended, self._ended = self._ended, []
        try:
            yield ended
        except BaseException:
            with self._lock:
                self._ended[:0] = ended
            raise
