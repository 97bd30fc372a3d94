"""Answers an application's automatic retry where the keystore cannot.

OpenSC sends a failed signature again at once, and pkcs11-tool a third and a fourth time, whatever
the status word. What the holder refused the keystore refuses again. But while it is out of reach
each retry would wait for it to the end, with the virtual reader blocked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from card_os.keys import UseKey
from card_os.uses import KeyUse

RETRY_SECONDS = 5.0  # programs retry within milliseconds; a person who tries anew takes longer


class Repeats:
    """Remembers the last use of a key that came to nothing. Of one card, one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: tuple[int, KeyUse, bytes] | None = None
        self._until = 0.0

    def has(self, request: UseKey) -> bool:
        """Whether this very use has just failed."""
        return self._failed == _asked(request) and self._clock() < self._until

    def remember(self, request: UseKey) -> None:
        """Keep a failure for the retry; retries do not prolong it."""
        self._failed = _asked(request)
        self._until = self._clock() + RETRY_SECONDS

    def forget(self) -> None:
        """Begin anew: the keystore is back."""
        self._failed = None


def _asked(request: UseKey) -> tuple[int, KeyUse, bytes]:
    return request.key_ref, request.use, request.input
