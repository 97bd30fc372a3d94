"""How holders begin at the pages, by an invitation: what they still have to do, in which order.
Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique
from types import MappingProxyType

LONGEST = timedelta(hours=1)  # after which the invitation's code is entered again
MOST = 5  # that go on at the same time with one invitation
PIN_BYTES, SECRET_BYTES = 32, 16  # of a token: what programs pin, and the secret
_TOKEN = re.compile(r"(?:https?://\S+#)?cc1\.([A-Za-z0-9_-]{64})(?:(?:@|%40)[^#?\s]{1,300})?")
LONGEST_TEXT = 1000


@unique
class Task(StrEnum):
    """What there is to do, in this order."""

    EMAIL = "email"
    PASSWORD = "password"  # noqa: S105 (a name)
    PHONE = "phone"
    PASSCODE = "passcode"


@unique
class Stage(StrEnum):
    """How far a task is."""

    LATER = "later"  # another one comes first
    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What somebody does at the pages who has the token of an invitation."""

    id: str
    device_id: str  # that is invited
    secret_sha256: bytes
    create_time: datetime
    prove_time: datetime | None = None  # when a code was given that the address had got
    end_time: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it goes on."""
        return self.end_time is None and now < self.create_time + LONGEST


@dataclass(frozen=True, slots=True)
class Facts:
    """What tasks depend on."""

    reachable: bool  # there is an address, and the keystore sends e-mail
    verified: bool
    proved: bool  # in this beginning
    offered: bool  # passwords, by the policy
    has_password: bool
    enrolled: bool  # the phone
    has_card: bool
    has_passcode: bool  # on each card


def stages(facts: Facts) -> Mapping[Task, Stage]:
    """The tasks that there are, and how far each is."""
    found: dict[Task, Stage] = {}
    wants_password = facts.offered and not facts.has_password
    if facts.reachable:
        # Who sets the password shows that it is their mail, also if somebody has shown it before.
        is_done = facts.verified and (facts.proved or not wants_password)
        found[Task.EMAIL] = Stage.DONE if is_done else Stage.OPEN
        if facts.offered:
            ready = Stage.OPEN if facts.proved else Stage.LATER
            found[Task.PASSWORD] = Stage.DONE if facts.has_password else ready
    found[Task.PHONE] = Stage.DONE if facts.enrolled else Stage.OPEN
    passcode = Stage.DONE if facts.has_card and facts.has_passcode else Stage.OPEN
    found[Task.PASSCODE] = passcode if facts.enrolled and facts.has_card else Stage.LATER
    return MappingProxyType(found)


def secret_in(text: str) -> bytes | None:
    """The secret of an enrolment token, as it was copied, alone or in its link; None for anything
    else.
    """
    found = _TOKEN.fullmatch("".join(text[:LONGEST_TEXT].split()))
    if found is None:
        return None
    try:
        raw = base64.b64decode(found[1], b"-_", validate=True)
    except binascii.Error:
        return None
    return raw[PIN_BYTES:]
