"""Visits: what an operator, or a holder, does at the pages, from log-in to log-out. Pure."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cloud_keystore.model.clock import Random
from cloud_keystore.model.people import Role
from cloud_keystore.model.portal import codes

CODE_TIME = timedelta(minutes=5)  # within which a code begins a visit
STEP_TIME = codes.CODE_TIME  # within which a mailed code follows a portal password
IDLE_TIME = timedelta(minutes=20)  # without a request, after which a visit is over
LONGEST_VISIT = timedelta(hours=10)
PROOF_TIME = timedelta(minutes=10)  # after a log-in, within which it proves who acts
SEEN_TIME = timedelta(minutes=1)  # as exactly is known when there was a request last
MOST_VISITS = 5  # of one operator or holder at the same time
SECRET_BYTES = 32
CODE_PREFIX, SECRET_PREFIX = "ccvisit_", "ccpage_"  # by which one is not taken for the other
STEP_PREFIX, OWN_PREFIX = "ccstep_", "ccown_"  # those of holders
BEGIN_PREFIX = "ccbegin_"  # of those who begin by an invitation
PREFIXES = (CODE_PREFIX, SECRET_PREFIX, STEP_PREFIX, OWN_PREFIX, BEGIN_PREFIX)
_BODY = r"[A-Za-z0-9_-]{43}"
_FORMS = {each: re.compile(each + _BODY, re.ASCII) for each in PREFIXES}
# Hashed with the text: nobody can give the hash of anything else that the keystore knows.
_PURPOSE = b"cloudcard visit\0"


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit. It begins when its code is given, with a new secret, which the browser keeps; the
    keystore has the hashes of both alone. A holder's browser has the code from when the password
    was right, and gives with it the one that was mailed.
    """

    id: str
    role: Role  # OPERATOR or HOLDER
    visitor_id: str  # an operator, or a user
    code_sha256: bytes
    create_time: datetime
    secret_sha256: bytes | None = None
    begin_time: datetime | None = None
    seen_time: datetime | None = None
    end_time: datetime | None = None
    card_id: str | None = None  # by which an operator has logged in, and as long as it is in use

    def can_begin(self, now: datetime) -> bool:
        """Whether its code is good."""
        fresh = now < self.create_time + (STEP_TIME if self.role is Role.HOLDER else CODE_TIME)
        return fresh and self.begin_time is None and self.end_time is None

    def is_open(self, now: datetime) -> bool:
        """Whether it has begun and is not over."""
        if self.begin_time is None or self.seen_time is None or self.end_time is not None:
            return False
        return now < min(self.seen_time + IDLE_TIME, self.begin_time + LONGEST_VISIT)

    def is_proven(self, now: datetime) -> bool:
        """Whether it has begun so lately that what is of high risk needs no other log-in."""
        return self.begin_time is not None and now < self.begin_time + PROOF_TIME


def new_text(prefix: str, random: Random) -> str:
    """Draw a code or a secret."""
    return prefix + base64.urlsafe_b64encode(random(SECRET_BYTES)).decode().rstrip("=")


def text_sha256(prefix: str, text: str) -> bytes | None:
    """What the keystore keeps of a code or a secret; None for a text that is none."""
    if _FORMS[prefix].fullmatch(text) is None:
        return None
    return sha256(_PURPOSE + text.encode()).digest()
