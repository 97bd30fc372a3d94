"""Sessions: uses of one key for one purpose at one workstation, under one approval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from card_os.uses import KeyUse
from cloud_keystore.model.policies import Policy, SessionTerms


@dataclass(frozen=True, slots=True)
class Session:
    """A session that the holder has approved."""

    id: str  # of the operation that asked for it
    card_id: str
    key_id: str
    user_id: str
    workstation_id: str
    key_use: KeyUse
    policy: str  # the name of the policy that was in force
    uses_left: int
    create_time: datetime  # when the holder approved
    expire_time: datetime
    end_time: datetime | None = None  # set if it was ended early

    def is_open(self, now: datetime) -> bool:
        """Whether it can be used at `now`; not before its beginning, after a clock was set back."""
        return self.end_time is None and self.uses_left > 0 and self.in_time(now)

    def in_time(self, now: datetime) -> bool:
        """Whether `now` lies between its beginning and its end."""
        return self.create_time <= now < self.expire_time


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a session: the inputs of one request."""

    id: str
    session_id: str
    request_id: bytes
    input_sha256: bytes  # see `inputs_sha256`
    create_time: datetime  # when it was taken from the session, before the key is used
    end_time: datetime | None = None  # None: the key is in use
    sealed_result: bytes | None = field(default=None, repr=False)  # kept for a while
    used_by: int | None = None  # the number of the process that uses the key


def within(asked: SessionTerms, allowed: SessionTerms | None) -> bool:
    """Whether the terms do not exceed those that a policy allows."""
    return (
        allowed is not None and asked.most_uses <= allowed.most_uses and asked.time <= allowed.time
    )


def still_allowed(session: Session, policy: Policy, now: datetime) -> bool:
    """Whether an open session can go on under a policy, which can have become stricter."""
    terms = policy.session
    return (
        terms is not None
        and session.uses_left <= terms.most_uses
        and now < session.create_time + terms.time
    )


def inputs_sha256(inputs: Sequence[bytes]) -> bytes:
    """Return SHA-256 over the SHA-256 of each input, so that the boundaries are unambiguous."""
    return sha256(b"".join(sha256(each).digest() for each in inputs)).digest()
