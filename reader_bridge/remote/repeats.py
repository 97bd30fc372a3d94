"""Refuses an application's automatic retries while the keystore is out of reach, or after somebody
cancelled at the screen.

OpenSC repeats a failed signature at once, and pkcs11-tool a third and a fourth time, whatever the
status word. The keystore itself refuses the repetition of a use that the holder has refused. But
while it is out of reach, each repetition would wait its full time and block the virtual reader.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from card_os.keys import Refusal, UseKey
from card_os.uses import KeyUse

RETRY_SECONDS = 5.0  # programs retry within milliseconds; people take longer


class Repeats:
    """Remembers the last failed use of a key of one card. One thread at a time can use it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: tuple[int, KeyUse, bytes] | None = None
        self._why = Refusal.UNAVAILABLE
        self._until = 0.0

    def why(self, request: UseKey) -> Refusal | None:
        """Why this very use has just failed; None if it has not."""
        just_now = self._failed == _asked(request) and self._clock() < self._until
        return self._why if just_now else None

    def remember(self, request: UseKey, why: Refusal) -> None:
        """Remember a failure for a few seconds; retries do not extend them."""
        self._failed, self._why = _asked(request), why
        self._until = self._clock() + RETRY_SECONDS

    def forget(self) -> None:
        """Forget a failure for want of the keystore, because it is back. What somebody cancelled is
        remembered: OpenSC 0.26 gives the passcode again before it repeats.
        """
        if self._why is Refusal.UNAVAILABLE:
            self._failed = None


def _asked(request: UseKey) -> tuple[int, KeyUse, bytes]:
    return request.key_ref, request.use, request.input
