"""Refuses an application's automatic retries while the keystore is out of reach.

OpenSC repeats a failed signature at once, and pkcs11-tool a third and a fourth time, whatever the
status word. The keystore itself refuses the repetition of a use that the holder has refused. But
while it is out of reach, each repetition would wait its full time and block the virtual reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from card_os.keys import UseKey
from card_os.uses import KeyUse

RETRY_SECONDS = 5.0  # programs retry within milliseconds; people take longer


class Repeats:
    """Remembers the last failed use of a key of one card. One thread at a time can use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: tuple[int, KeyUse, bytes] | None = None
        self._until = 0.0

    def has(self, request: UseKey) -> bool:
        """Whether this very use has just failed."""
        return self._failed == _asked(request) and self._clock() < self._until

    def remember(self, request: UseKey) -> None:
        """Remember a failure for a few seconds; retries do not extend them."""
        self._failed = _asked(request)
        self._until = self._clock() + RETRY_SECONDS

    def forget(self) -> None:
        """Forget the failure, because the keystore is back."""
        self._failed = None


def _asked(request: UseKey) -> tuple[int, KeyUse, bytes]:
    return request.key_ref, request.use, request.input
