"""Codes that are mailed to people: they show that somebody reads what an address gets."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Self

CODE_DIGITS = 8
CODE_TIME = timedelta(minutes=15)
CODE_TRIES = 5
LINK_TIME = timedelta(days=3)
LINK_BYTES = 16  # of what proves that a link is the keystore's
LINK_PREFIX = "cca1"
_LINK = re.compile(rf"{LINK_PREFIX}\.([0-9a-f-]{{36}})\.([A-Za-z0-9_-]{{22}})", re.ASCII)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOST_CODES = {HOUR: 3, DAY: 10}  # for one person and purpose within such a time


@unique
class Purpose(StrEnum):
    """What a code is good for. A name that was once written keeps its meaning."""

    ADDRESS = "address"  # verifies an e-mail address
    PASSWORD = "password"  # noqa: S105 (a name): sets another portal password
    RESET = "reset"  # does so too, by SMS, where the mailed one is not enough
    DEVICE = "device"  # invites another phone, from one that its holder has
    VISIT = "visit"  # logs in to the portal, after the password
    FACTOR = "factor"  # lets a log-in to the portal need something else besides the password
    PASSKEY = "passkey"  # adds or removes a passkey by which a holder logs in
    CHANGE = "change"  # puts another e-mail address in force, by a link


# How long a code is good.
TIMES: Mapping[Purpose, timedelta] = MappingProxyType(
    {
        Purpose.ADDRESS: CODE_TIME,
        Purpose.PASSWORD: CODE_TIME,
        Purpose.RESET: CODE_TIME,
        Purpose.DEVICE: CODE_TIME,
        Purpose.VISIT: CODE_TIME,
        Purpose.FACTOR: CODE_TIME,
        Purpose.PASSKEY: CODE_TIME,
        Purpose.CHANGE: LINK_TIME,
    }
)


@dataclass(frozen=True, slots=True)
class MailedCode:
    """A code that was mailed. It is derived, and kept nowhere."""

    id: str
    # For whom it was asked: a user, the code that is not enough without it, or a digest of a name
    # that nobody has.
    who: str
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


@dataclass(frozen=True, slots=True)
class Link:
    """What a mailed link has behind its #: which code it is of, and the proof."""

    code_id: str
    proof: bytes = field(repr=False)

    def __str__(self) -> str:
        proof = base64.urlsafe_b64encode(self.proof).decode().rstrip("=")
        return f"{LINK_PREFIX}.{self.code_id}.{proof}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read the text of a link; None for anything else."""
        found = _LINK.fullmatch(text.strip())
        if found is None:
            return None
        try:
            return cls(found[1], base64.b64decode(found[2] + "==", b"-_", validate=True))
        except binascii.Error:
            return None
