"""Waiting for what comes soon."""

from __future__ import annotations

import time
from collections.abc import Callable

# A look counts for no more, so that a computer that stands still for a while uses up no patience.
LONGEST_LOOK = 1.0


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it holds. Raises AssertionError if that takes too long."""
    waited, looked = 0.0, time.monotonic()
    while not holds():
        assert waited < seconds, f"it has not come to that in {seconds:g} s"
        time.sleep(0.0005)
        before, looked = looked, time.monotonic()
        waited += min(looked - before, LONGEST_LOOK)
