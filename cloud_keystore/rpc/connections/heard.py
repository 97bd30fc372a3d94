"""Remembers which clients have said what they are, so that few calls ask for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_CALLERS = 10_000  # remembered at once; the one that was asked first is forgotten first
SECONDS = 3600.0  # after which a client is asked again over the same connection


@dataclass(slots=True)
class Heard:
    """Used from one thread."""

    monotonic: Callable[[], float]
    _asked: OrderedDict[bytes, tuple[str, float]] = field(default_factory=OrderedDict)

    def is_due(self, peer: str, fingerprint: bytes) -> bool:
        """Whether a call is the first of a caller over its connection, or the first for an hour."""
        now = self.monotonic()
        connection, since = self._asked.get(fingerprint, ("", 0.0))
        if connection == peer and now < since + SECONDS:
            return False
        self._asked.pop(fingerprint, None)
        self._asked[fingerprint] = (peer, now)
        if len(self._asked) > MOST_CALLERS:
            self._asked.popitem(last=False)
        return True
