"""Passkeys by which operators log in to the pages, and what these are asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique

from cloud_keystore.model.approval_keys import Passkey, RelyingParty

CHALLENGE_TIME = timedelta(minutes=5)  # within which a challenge is answered
MOST_PASSKEYS = 10  # of one operator
LONGEST_PASSKEY_NAME = 60
TIME_BYTES, DRAWN_BYTES, CODE_BYTES = 8, 24, 32
CHALLENGE_BYTES = TIME_BYTES + DRAWN_BYTES + CODE_BYTES
_START = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@unique
class ChallengeUse(StrEnum):
    """What a challenge is for. One for another use is none."""

    LOG_IN = "log in"
    ADD = "add a passkey"
    PORTAL_LOG_IN = "log in to the portal"
    PORTAL_ADD = "add a passkey to the portal"
    PORTAL_RESET = "set another password for the portal"


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a passkey signs. The keystore does not keep it, and knows it again by its code."""

    create_time: datetime
    drawn: bytes
    code: bytes

    @property
    def coded(self) -> bytes:
        """What the code is over."""
        passed = (self.create_time - _START) // _MICROSECOND
        return passed.to_bytes(TIME_BYTES) + self.drawn

    def __bytes__(self) -> bytes:
        return self.coded + self.code

    @classmethod
    def parse(cls, raw: bytes) -> Challenge | None:
        """Read one; None for bytes that are none."""
        if len(raw) != CHALLENGE_BYTES:
            return None
        passed = int.from_bytes(raw[:TIME_BYTES])
        try:
            create_time = _START + passed * _MICROSECOND
        except OverflowError:
            return None
        return cls(create_time, raw[TIME_BYTES:-CODE_BYTES], raw[-CODE_BYTES:])

    def is_fresh(self, now: datetime) -> bool:
        """Whether it can still be answered."""
        return now < self.expire_time

    @property
    def expire_time(self) -> datetime:
        """When it can be answered no more."""
        return self.create_time + CHALLENGE_TIME


@dataclass(frozen=True, slots=True)
class LogInPasskey:
    """A passkey of an operator's. It logs in, and approves nothing."""

    id: str
    operator_id: str
    display_name: str
    credential_id: bytes
    public_key: bytes  # COSE key
    challenge_sha256: bytes  # of what it has answered when it was made
    sign_count: int
    backup_eligible: bool  # whether it can be copied to other devices ("synced")
    create_time: datetime
    use_time: datetime | None = None
    end_time: datetime | None = None

    def of(self, party: RelyingParty) -> Passkey:
        """The passkey as it is checked, for the party whose pages these are."""
        return Passkey(
            public_key=self.public_key,
            credential_id=self.credential_id,
            relying_party=party,
            backup_eligible=self.backup_eligible,
        )
