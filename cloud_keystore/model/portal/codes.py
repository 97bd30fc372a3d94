"""Codes that are mailed to people: they show that somebody reads what an address gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

CODE_DIGITS = 8
CODE_TIME = timedelta(minutes=15)
CODE_TRIES = 5
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_CODES = {HOUR: 3, DAY: 10}  # for one person and purpose within such a time


@unique
class Purpose(StrEnum):
    """What a code is good for. A name that was once written keeps its meaning."""

    ADDRESS = "address"  # verifies an e-mail address
    PASSWORD = "password"  # noqa: S105 (a name): sets another portal password


@dataclass(frozen=True, slots=True)
class MailedCode:
    """A code that was mailed. It is derived, and kept nowhere."""

    id: str
    who: str  # for whom it was asked: a user, or a digest of a name that nobody has
    user_id: str | None  # None: nobody gets it
    purpose: Purpose
    address: str  # empty: nobody gets it
    tries_left: int
    create_time: datetime
    expire_time: datetime
    end_time: datetime | None = None  # it was used, or another one was asked for

    def is_live(self, now: datetime) -> bool:
        """Whether it can still be given."""
        return self.end_time is None and now < self.expire_time and self.tries_left > 0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Whether a code was right; if not, how many tries are left."""

    email: str
    is_verified: bool
    tries_left: int = 0
