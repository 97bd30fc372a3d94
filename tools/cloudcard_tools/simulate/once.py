"""Values that are handed out under secrets, for a short time. Nobody finds one by comparing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Generic, TypeVar

T = TypeVar("T")
MOST = 10_000  # at a time; the oldest go first
SECRET_BYTES = 32


@dataclass(slots=True)
class Handed(Generic[T]):
    """Keeps values until their time is over. What is compared are digests, so that how long it
    takes tells nothing about a secret.
    """

    lifetime: timedelta
    draw: Callable[[int], str] = secrets.token_urlsafe
    _kept: dict[bytes, tuple[T, datetime]] = field(default_factory=dict, repr=False)

    def hand(self, value: T, now: datetime) -> str:
        """Keep a value; returns the secret under which it is found."""
        secret = self.draw(SECRET_BYTES)
        self.keep(secret, value, now)
        return secret

    def keep(self, secret: str, value: T, now: datetime) -> None:
        """Keep a value under a secret of somebody else's, or another value under one of ours."""
        for digest, (_, end) in list(self._kept.items()):
            if end > now and len(self._kept) < MOST:
                break
            del self._kept[digest]
        self._kept[_digest(secret)] = (value, now + self.lifetime)

    def find(self, secret: str, now: datetime) -> T | None:
        """What is kept under a secret; None if there is nothing, or its time is over."""
        value, end = self._kept.get(_digest(secret), (None, now))
        return value if now < end else None

    def take(self, secret: str, now: datetime) -> T | None:
        """Find a value, which nobody finds again."""
        found = self.find(secret, now)
        self._kept.pop(_digest(secret), None)
        return found

    def drop(self, wanted: Callable[[T], bool]) -> None:
        """Forget all such values."""
        for digest in [each for each, (value, _) in self._kept.items() if wanted(value)]:
            del self._kept[digest]


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
