"""Authorities outside of the keystore that certify cards, and what comes from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique

MOST_CERTIFICATES = 100  # of one import
LARGEST_CERTIFICATE = 8192  # bytes
MOST_AUTHORITIES = 100
OWN = "own"  # what the keystore's own authorities are called among the others


@dataclass(frozen=True, slots=True)
class ExternalAuthority:
    """An authority that is trusted to certify cards: what it has issued leads to its certificate,
    DER, by way of others or not. One that is known to be below another has its own revocation list
    heeded for cards of that one.
    """

    id: str
    name: str
    certificate: bytes
    create_time: datetime
    above_id: str = ""  # the trusted one to which it leads; empty: none

    @property
    def chief_id(self) -> str:
        """The one that is asked for certificates, and by whose certificate they are checked."""
        return self.above_id or self.id


@dataclass(frozen=True, slots=True)
class IssuerChoice:
    """Which authority certifies new cards: an empty organisation or profile means all of them, an
    empty authority the keystore's own.
    """

    organisation_id: str
    profile: str
    authority_id: str


@unique
class Standing(StrEnum):
    """What a key is to its card that an external authority certifies."""

    PRESENT = "present"  # it is on the card, or will be with the first certificates
    NEXT = "next"  # it takes the place of another when the card is renewed
    FORMER = "former"  # another has its place, or it came to be of no use


@dataclass(frozen=True, slots=True)
class Csr:
    """What an external authority is asked to certify: a key of a card. The rows stay as long as the
    card does, because they tell whose certificates it has. An authority that has an EST server was
    asked there so many times, is next at a time (None: at once), and the texts say what went wrong.
    """

    key_id: str
    card_id: str
    authority_id: str
    csr: bytes  # PKCS#10, DER, signed by the key
    public_sha256: bytes  # of SubjectPublicKeyInfo
    create_time: datetime
    standing: Standing = Standing.PRESENT
    certificate: bytes = b""  # DER; empty as long as none has come
    tries: int = 0
    next_time: datetime | None = None
    why: str = ""
    fix: str = ""


@unique
class Outcome(StrEnum):
    """What became of a certificate that was brought."""

    COMPLETED = "completed"  # installed, and with it its card has all of them
    KEPT = "kept"  # until the others of its card are there
    THERE = "there"  # brought before
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Brought:
    """A certificate that was brought: for which card and key, as far as that is known; and why it
    is refused, and what to do. `subject` is what it names if it was asked for something else.
    """

    outcome: Outcome
    card_serial: str = ""
    key_ref: int = 0
    subject: str = ""
    reason: str = ""
    fix: str = ""
