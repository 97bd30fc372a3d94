"""Cards, their keys, and the states of a card. `profiles` says what cards are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from hashlib import sha256
from typing import TypeAlias

from card_os.piv import rules
from card_os.piv.names import Algorithm
from card_os.uses import PinPolicy, TouchPolicy


@dataclass(frozen=True, slots=True)
class KeyPolicies:
    """The PIN policy and touch policy that the administrator has chosen for a key."""

    pin: PinPolicy = PinPolicy.DEFAULT
    touch: TouchPolicy = TouchPolicy.DEFAULT

    @property
    def are_standard(self) -> bool:
        """Whether both are the defaults, so that the standard's rules hold."""
        return self.pin is PinPolicy.DEFAULT and self.touch is TouchPolicy.DEFAULT


class CardState(StrEnum):
    """The state of a card."""

    ISSUING = "issuing"  # its serial number is reserved; keys or certificates are still to come
    FAILED = "failed"  # issuing has stopped, and somebody has to resume or cancel it
    CANCELLED = "cancelled"  # never issued; what was made for it is destroyed
    PENDING = "pending"  # issued; the holder has not set a passcode
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class Replacement(StrEnum):
    """Why a card is replaced."""

    LOST = "lost"
    DAMAGED = "damaged"
    COMPROMISED = "compromised"  # its keys are, or may be, in wrong hands


SERIAL_DIGITS = 16
RENEWED_BEFORE = timedelta(days=90)  # the end of a card, or of what its keys sign
ENDS_DAYS = (90, 30, 7)  # before its end, when its holder is told
IN_USE = (CardState.ACTIVE, CardState.SUSPENDED)  # its holder has finished enrolling
# Not issued: only the registration authority sees it.
UNISSUED = (CardState.ISSUING, CardState.FAILED, CardState.CANCELLED)
LIVE = (CardState.PENDING, *IN_USE)  # issued, and not revoked
OVER = (CardState.CANCELLED, CardState.REVOKED)  # nobody waits for it, and nobody uses it any more


class CardEvent(Enum):
    """What moves a card to another state."""

    FAIL = auto()
    RETRY = auto()
    CANCEL = auto()
    COMPLETE = auto()
    ACTIVATE = auto()
    SUSPEND = auto()
    RESUME = auto()
    RENEW = auto()
    REVOKE = auto()


CARD_TRANSITIONS = {
    (CardState.ISSUING, CardEvent.FAIL): CardState.FAILED,
    (CardState.FAILED, CardEvent.RETRY): CardState.ISSUING,
    (CardState.CANCELLED, CardEvent.RETRY): CardState.ISSUING,
    (CardState.ISSUING, CardEvent.CANCEL): CardState.CANCELLED,
    (CardState.FAILED, CardEvent.CANCEL): CardState.CANCELLED,
    (CardState.ISSUING, CardEvent.COMPLETE): CardState.PENDING,
    (CardState.PENDING, CardEvent.ACTIVATE): CardState.ACTIVE,
    (CardState.ACTIVE, CardEvent.SUSPEND): CardState.SUSPENDED,
    (CardState.SUSPENDED, CardEvent.RESUME): CardState.ACTIVE,
    (CardState.ACTIVE, CardEvent.RENEW): CardState.ACTIVE,
    (CardState.ISSUING, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.FAILED, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.PENDING, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.ACTIVE, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.SUSPENDED, CardEvent.REVOKE): CardState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the keystore keeps it; its objects and keys are in tables of their own."""

    id: str
    serial: str
    guid: bytes
    user_id: str
    profile: str
    state: CardState
    create_time: datetime
    expire_time: datetime
    organisation_id: str = "default"
    replaces_id: str | None = None  # the card in whose place it is

    def is_in_use(self, now: datetime) -> bool:
        """Whether its keys can be used."""
        return self.state is CardState.ACTIVE and now < self.expire_time


def days_left(card: Card, now: datetime) -> int:
    """In how many whole days a card ends; 0 if it has ended."""
    return max(0, (card.expire_time - now) // timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Key:
    """The public facts about a key on a card."""

    id: str
    card_id: str
    key_ref: int
    algorithm: Algorithm
    certificate: bytes
    """DER; empty without a certificate. Key 04 has a card verifiable certificate: template 7F21
    (SP 800-73-5 part 2, table 18)."""
    create_time: datetime
    public_key: bytes = b""  # SubjectPublicKeyInfo, DER
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: int = 0  # kept and reported, but not enforced
    imported: bool = False  # not generated here

    @property
    def asks_for_pin(self) -> PinPolicy:
        """When the key asks for the PIN. A key without a policy of its own follows SP 800-73-5
        part 1, table 5.
        """
        return rules.pin_policy(self.key_ref, self.pin_policy)

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the certificate, or else of the public key; approvals are bound to it."""
        return sha256(self.certificate or self.public_key).digest()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A data object as the database keeps it: in the clear, or sealed under a name of its own."""

    tag: int
    value: bytes = field(repr=False)  # empty if it is sealed
    written: bool = False  # by an administrator
    sealed_as: str | None = None
    sealed_value: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A private key that is sealed in the database."""

    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OnToken:
    """A private key that is in a PKCS#11 token and is found there by its handle. The sealed mark
    names handle and public key, so that no row can be made to refer to another key of the token.
    """

    handle: bytes
    mark: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A private key that is erased here; if it has a handle, it can still be in its token."""

    handle: bytes | None = None


SOFTWARE, PKCS11 = "software", "pkcs11"  # names of the backends
Private: TypeAlias = Sealed | OnToken | Destroyed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey(Key):
    """A key and where its private part is, for the code that uses or destroys it."""

    private: Private
