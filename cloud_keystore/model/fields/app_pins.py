"""App PINs: what a phone asks its holder for before it approves, if the holder wants that."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

PIN_TRIES = 5  # wrong ones in a row
CHECKED_TIME = timedelta(minutes=2)  # for which a right one is good, for one request
LONGEST_REQUEST = 64  # characters of what names one
CODE_TIME = timedelta(hours=1)
CODE_TRIES = 5


@dataclass(frozen=True, slots=True)
class AppPin:
    """A device's PIN, and the newest code by which its holder can choose another one."""

    device_id: str
    hash: str = field(repr=False)
    tries_left: int
    checked_for: str | None = None  # the request for which it was right
    checked_until: datetime | None = None
    code_id: str | None = None
    code_hash: str | None = field(default=None, repr=False)
    code_tries: int = 0
    code_end: datetime | None = None

    def permits(self, request_id: str, now: datetime) -> bool:
        """Whether it was given for a request, just now."""
        until = self.checked_until
        return self.checked_for == request_id and until is not None and now < until

    def has_code(self, now: datetime) -> bool:
        """Whether there is a code that is still good."""
        end = self.code_end
        return self.code_id is not None and self.code_tries > 0 and end is not None and now < end


@dataclass(frozen=True, slots=True)
class Tried:
    """What has come of a PIN or code: a new PIN that breaks `rule` has spent nothing."""

    is_right: bool
    tries_left: int
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whether a device asks for a PIN, and how many tries it has."""

    is_set: bool
    tries_left: int = 0


@dataclass(frozen=True, slots=True)
class PinCode:
    """A code as it is read out, once."""

    code: str = field(repr=False)
    expire_time: datetime
