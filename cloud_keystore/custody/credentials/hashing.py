"""Limits how many passcodes are hashed at once, so that signatures do not wait for log-ins."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from cloud_keystore.model.errors import Overloaded

WAIT_SECONDS = 3.0
MOST_WAITING = 12  # log-ins that can wait; fewer than there are threads for use cases


def half_the_cores() -> int:
    """Return how many threads hash at once, so that cores are left for signatures."""
    return max(1, (os.cpu_count() or 1) // 2)


class Hashing:
    """Lets `at_once` threads hash and `waiting` more threads wait; any further one is refused."""

    def __init__(self, at_once: int | None = None, waiting: int = MOST_WAITING) -> None:
        at_once = at_once or half_the_cores()
        self._places = BoundedSemaphore(at_once + waiting)
        self._turns = BoundedSemaphore(at_once)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn. Raises Overloaded, with nothing done, if there is none in time."""
        if not self._places.acquire(blocking=False):
            raise Overloaded("too many people log in at this moment: try again")
        try:
            if not self._turns.acquire(timeout=WAIT_SECONDS):
                raise Overloaded("too many people log in at this moment: try again")
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()
