"""Waiting for what comes soon."""

from __future__ import annotations

import time
from collections.abc import Callable

# A look counts for no more, so that a computer that stands still for a while uses up no patience.
LONGEST_LOOK = 1.0

# However slow looks are, nothing waits for longer than so many times its patience.
MOST_TIMES = 5


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it holds. Raises AssertionError if that takes too long."""
    waited, began = 0.0, time.monotonic()
    looked = began
    while not holds():
        whole = looked - began
        said = f"it has not come to that in {whole:.1f} s"
        assert waited < seconds, said
        assert whole < MOST_TIMES * seconds, said
        time.sleep(0.0005)
        before, looked = looked, time.monotonic()
        waited += min(looked - before, LONGEST_LOOK)
