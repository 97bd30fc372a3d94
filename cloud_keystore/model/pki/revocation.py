"""Whether certificates of cards are good, and why they are not (RFC 5280, 5.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum, unique

# Times in lists and answers begin earlier, for clocks that are slow.
SLOW_CLOCKS = timedelta(minutes=5)
LIST_LIFETIME = timedelta(days=3)
LIST_RENEWED = timedelta(hours=12)  # after which there is another list, whether or not it differs
# Lists keep certificates for so long after these have ended: RFC 5280, 3.3 wants them on at least
# one regular list of after their end.
LISTED_LONGER = 2 * LIST_RENEWED
ANSWER_LIFETIME = timedelta(minutes=10)  # in which an answer may be given again


@unique
class RevocationReason(StrEnum):
    """Why a certificate is not good, under the names of RFC 5280. A name that was once written
    keeps its meaning for ever.
    """

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"


@dataclass(frozen=True, slots=True)
class Revoked:
    """Since when a certificate is not good, and why. `invalid_time` is since when its key was in
    wrong hands, or may have been: what it signed after that counts for nothing, although the
    certificate was good at the time (5.3.2).
    """

    reason: RevocationReason
    time: datetime
    invalid_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate of a card that was issued: `issuer` is the key identifier of the authority, and
    with the serial number names it.
    """

    issuer: bytes
    serial: bytes
    card_id: str
    key_id: str
    end_time: datetime
    revoked: Revoked | None = None  # None: it is good


@dataclass(frozen=True, slots=True)
class Listed:
    """One certificate on a list."""

    serial: bytes
    revoked: Revoked


@dataclass(frozen=True, slots=True)
class RevocationList:
    """The newest list of an authority, and what the next has to have. Times are None before the
    first one was signed.
    """

    issuer: bytes
    number: int
    changes: int  # of certificates of the authority so far, and
    covered: int  # how many of these it has
    listed: int  # certificates that the next one has to have
    this_time: datetime | None = None
    next_time: datetime | None = None

    def is_due(self, now: datetime) -> bool:
        """Whether another one has to be signed."""
        return (
            self.this_time is None
            or self.changes != self.covered
            # A clock that is a little slow must not have what another one has signed signed anew.
            or not self.this_time - SLOW_CLOCKS <= now < self.this_time + LIST_RENEWED
        )


@dataclass(frozen=True, slots=True)
class Document:
    """A list, DER, and until when it is the newest if nothing changes."""

    number: int
    this_time: datetime
    next_time: datetime
    document: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request of OCSP, DER, and until when it can be given to others too: None if
    that is for nobody else.
    """

    document: bytes
    good_until: datetime | None = None
