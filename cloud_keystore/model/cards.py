"""Cards, their keys, and the states of a card. What cards are made of stands in `profiles`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum, auto
from hashlib import sha256
from typing import TypeAlias

from card_os.piv import rules
from card_os.piv.names import Algorithm
from card_os.uses import PinPolicy, TouchPolicy


@dataclass(frozen=True, slots=True)
class KeyPolicies:
    """How a key is to be used, as its administrator says."""

    pin: PinPolicy = PinPolicy.DEFAULT
    touch: TouchPolicy = TouchPolicy.DEFAULT

    @property
    def are_standard(self) -> bool:
        """Whether the standard knows them."""
        return self.pin is PinPolicy.DEFAULT and self.touch is TouchPolicy.DEFAULT


class CardState(StrEnum):
    """Where a card stands."""

    PENDING = "pending"  # issued; the holder has not set a passcode
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


class CardEvent(Enum):
    """What moves a card to another state."""

    ACTIVATE = auto()
    SUSPEND = auto()
    RESUME = auto()
    REVOKE = auto()


CARD_TRANSITIONS = {
    (CardState.PENDING, CardEvent.ACTIVATE): CardState.ACTIVE,
    (CardState.ACTIVE, CardEvent.SUSPEND): CardState.SUSPENDED,
    (CardState.SUSPENDED, CardEvent.RESUME): CardState.ACTIVE,
    (CardState.PENDING, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.ACTIVE, CardEvent.REVOKE): CardState.REVOKED,
    (CardState.SUSPENDED, CardEvent.REVOKE): CardState.REVOKED,
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card as the keystore keeps it; its objects and keys stand in tables of their own."""

    id: str
    serial: str
    guid: bytes
    user_id: str
    profile: str
    state: CardState
    create_time: datetime
    expire_time: datetime
    organisation_id: str = "default"


@dataclass(frozen=True, slots=True)
class Key:
    """What everybody may know of a key on a card."""

    id: str
    card_id: str
    key_ref: int
    algorithm: Algorithm
    certificate: bytes
    """DER; empty without one. Of key 04, the card verifiable certificate: template 7F21 (SP
    800-73-5 part 2, table 18)."""
    create_time: datetime
    public_key: bytes = b""  # SubjectPublicKeyInfo, DER
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: int = 0  # kept and told, no more
    imported: bool = False  # not made here

    @property
    def asks_for_pin(self) -> PinPolicy:
        """When the key asks for the PIN; without a policy of its own, as in SP 800-73-5 part 1,
        table 5.
        """
        return rules.pin_policy(self.key_ref, self.pin_policy)

    @property
    def sha256(self) -> bytes:
        """What an approval is bound to: SHA-256 of the certificate, or else of the public key."""
        return sha256(self.certificate or self.public_key).digest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A private key that is in the database, sealed."""

    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class OnToken:
    """A private key that is in a token, which finds it by the handle. The sealed mark names handle
    and public key, so that no row can be pointed at another key of the token.
    """

    handle: bytes
    mark: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A private key that is erased here; one with a handle may still be in its token."""

    handle: bytes | None = None


SOFTWARE, PKCS11 = "software", "pkcs11"  # names of where keys are, sealed or on a token
Private: TypeAlias = Sealed | OnToken | Destroyed


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldKey(Key):
    """A key, and where its private part is: for those who use or destroy it."""

    private: Private
