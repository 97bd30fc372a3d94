"""A clock that nobody can turn back, nor on, while the service runs.

Approvals, proofs and sessions end by the server's clock. If the system's clock is stepped, by hand
or by a time server, those that have ended must not live again, and those that live must not end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Nanoseconds: TypeAlias = Callable[[], int]

SLEW = 2000  # a correction of 1 ns takes as many: time servers slew by 0.5 ms a second
STEP = 1_000_000_000  # a difference that is no drift
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SteadyClock:
    """Goes as a monotonic clock goes, from where the wall clock stood at the start, and follows
    small corrections of the wall clock slowly. Used from any thread.
    """

    def __init__(
        self, wall: Nanoseconds, monotonic: Nanoseconds, stepped: Callable[[timedelta], object]
    ) -> None:
        """`wall` gives nanoseconds since 1970, `monotonic` since any moment; `stepped` hears of
        each step of the wall clock that is not followed, with its size.
        """
        self._wall = wall
        self._monotonic = monotonic
        self._stepped = stepped
        self._lock = threading.Lock()
        self._corrected = monotonic()
        self._offset = wall() - self._corrected
        self._reported = 0  # by how much the wall clock is known to be elsewhere

    def __call__(self) -> datetime:
        """Now; never before what it was, and never faster than the monotonic clock but for slow
        corrections.
        """
        step = 0
        with self._lock:
            elapsed = self._monotonic()
            difference = self._wall() - elapsed - self._offset
            if abs(difference - self._reported) > STEP:
                step, self._reported = difference - self._reported, difference
            elif not self._reported:
                allowed = max(0, elapsed - self._corrected) // SLEW
                if allowed:
                    self._offset += max(-allowed, min(allowed, difference))
                    self._corrected = elapsed
            now = elapsed + self._offset
        if step:
            self._stepped(timedelta(microseconds=step // 1000))
        return EPOCH + timedelta(microseconds=now // 1000)
