"""Time and randomness as the use cases receive them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

Clock: TypeAlias = Callable[[], datetime]
Random: TypeAlias = Callable[[int], bytes]


def utc_now() -> datetime:
    """The server's clock; the only one that decides."""
    return datetime.now(UTC)


def new_id(now: datetime, random: Random) -> str:
    """Make a UUIDv7: ordered by time, so rows of one table stay in order (RFC 9562, 5.7)."""
    milliseconds = int(now.timestamp() * 1000)
    tail = int.from_bytes(random(10))
    rand_a, rand_b = tail >> 68, tail & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b))
