"""Time and randomness as the use cases receive them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

Clock: TypeAlias = Callable[[], datetime]
Random: TypeAlias = Callable[[int], bytes]
Nanoseconds: TypeAlias = Callable[[], int]

TOLD_AS = "cloudcard-time"  # the keystore's time, in the metadata behind an answer
SLEW = 2000  # corrections are at most 1/2000 of the time passed, as fast as kernels slew a clock
STEP = 1_000_000_000  # ns; a clock that differs by more has been set, not corrected
PAUSE = 50_000_000  # ns; readings that far apart are not of the same moment
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Read the machine's clock, which can be set at any time."""
    return datetime.now(UTC)


class SteadyClock:
    """A clock that advances evenly even if the machine's clock is set; all decisions use it.

    It starts from the wall clock and advances with a monotonic clock. It follows gradual
    corrections of the wall clock by at most 0.5 ms a second. It does not follow when the wall clock
    is set, forward or back: what has ended would become valid again, or what is valid would end.
    `on_step` is called with each such step. To be used by one thread at a time.
    """

    def __init__(
        self, wall: Nanoseconds, monotonic: Nanoseconds, on_step: Callable[[timedelta], None]
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._on_step = on_step
        self._read = monotonic()
        self._now = wall()
        self._ignored = 0  # the sum of all steps
        self._rest = 0  # of the allowance for corrections, in parts of a nanosecond

    def __call__(self) -> datetime:
        """Return the time."""
        if step := self._advance():
            self._on_step(timedelta(microseconds=step // 1000))
        return EPOCH + timedelta(microseconds=self._now // 1000)

    def _advance(self) -> int:
        """Advance to this moment; returns the step of the wall clock in nanoseconds, or 0."""
        before, wall, read = self._monotonic(), self._wall(), self._monotonic()
        passed = max(0, read - self._read)
        self._read += passed
        self._now += passed
        allowed, self._rest = divmod(self._rest + passed, SLEW)
        if read - before > PAUSE:
            return 0  # the process slept between the readings: the next ones show any step
        behind = wall - self._ignored - self._now
        correction = max(-allowed, min(behind, allowed))
        if abs(behind - correction) > STEP:
            self._ignored += behind
            return behind
        self._now += correction
        return 0


def earliest_id(time: datetime) -> str:
    """The first identifier of a moment: those that `new_id` has made earlier come before it."""
    return str(UUID(int=int(time.timestamp() * 1000) << 80))


def new_id(now: datetime, random: Random) -> str:
    """Make a UUIDv7. It sorts by time, so the rows of a table stay in order (RFC 9562, 5.7)."""
    milliseconds = int(now.timestamp() * 1000)
    tail = int.from_bytes(random(10))
    rand_a, rand_b = tail >> 68, tail & ((1 << 62) - 1)
    number = milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b
    digits = f"{number:032x}"  # a UUID object would take twice as long
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
