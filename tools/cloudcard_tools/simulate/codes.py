"""Logging in without a card: a passphrase, and a one-time code (TOTP, RFC 6238)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hmac import compare_digest

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from cloudcard_tools.simulate.directory import Person

DIGITS, STEP = 6, 30
MOST_WRONG, WRONG_WITHIN = 5, timedelta(minutes=5)


@dataclass(slots=True)
class Codes:
    """Checks them. Who was wrong too often waits; a code counts once."""

    find: Callable[[str], Person | None]
    _wrong: dict[str, deque[datetime]] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def check(self, person_id: str, passphrase: str, code: str, now: datetime) -> Person | None:
        """The person, if all is right."""
        person = self.find(person_id)
        if person is None or not person.passphrase:
            return None
        wrong = self._wrong.setdefault(person.id, deque(maxlen=MOST_WRONG))
        if len(wrong) == MOST_WRONG and now - wrong[0] < WRONG_WITHIN:
            return None
        known = compare_digest(passphrase.encode(), person.passphrase.encode())
        step = self._step(person, code, now)
        if not known or step is None:
            wrong.append(now)
            return None
        self._last[person.id] = step
        return person

    def _step(self, person: Person, code: str, now: datetime) -> int | None:
        """The time step whose code it is: this one or the one before, and none that was used."""
        totp = TOTP(person.code_key, DIGITS, SHA1(), STEP)  # noqa: S303 (what programs generate)
        found = None
        for step in (int(now.timestamp()) // STEP - back for back in (0, 1)):
            right = compare_digest(code.encode(), totp.generate(step * STEP))
            if right and step > self._last.get(person.id, -1):
                found = step
        return found
