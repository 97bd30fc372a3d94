"""How fast one caller may call: a token bucket per certificate or address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from cloud_keystore.model.errors import TooManyCalls

MOST_CALLERS = 10_000  # remembered at once; the longest silent is forgotten first


@dataclass(slots=True)
class Limiter:
    """Allows `burst` calls at once and `per_second` for ever. Used from one thread."""

    per_second: float
    burst: float
    monotonic: Callable[[], float]
    _buckets: OrderedDict[Hashable, tuple[float, float]] = field(default_factory=OrderedDict)

    def admit(self, caller: Hashable) -> None:
        """Count one call; raise TooManyCalls if the caller has none left."""
        now = self.monotonic()
        level, since = self._buckets.pop(caller, (self.burst, now))
        level = min(self.burst, level + (now - since) * self.per_second)
        allowed = level >= 1
        self._buckets[caller] = (level - 1 if allowed else level, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not allowed:
            raise TooManyCalls("too many calls: wait a few seconds, then go slower")
