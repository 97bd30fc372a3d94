"""Waiting for what comes soon."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until it holds. Raises AssertionError if that takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it has not come to that in {seconds:g} s"
        time.sleep(0.0005)
