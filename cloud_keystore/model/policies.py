"""Policies: what the use of a card's keys asks of its holder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from cloud_keystore.model.operations import Channel

MOST_INPUTS = 250  # of one batch
LONGEST_SESSION = timedelta(hours=12)
MOST_SESSION_USES = 100_000
DEFAULT_ORGANISATION = "default"


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What a session allows: so many inputs, for so long."""

    most_uses: int
    time: timedelta


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of the holder; the default is what holds where nobody has set one."""

    passwordless: bool = False
    largest_batch: int = MOST_INPUTS
    session: SessionTerms | None = None
    channels: frozenset[Channel] = frozenset(Channel)
    passkeys: bool = True
    synced_passkeys: bool = False


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy with where it holds: an empty organisation or profile means all of them."""

    organisation_id: str
    profile: str
    version: int
    policy: Policy
    create_time: datetime | None = None  # None of version 0, which nobody has set

    @property
    def name(self) -> str:
        """As payloads and the journal name it, such as "default/v2/3"."""
        return f"{self.organisation_id or '*'}/{self.profile or '*'}/{self.version}"
