"""Cards, their keys, and the states of a card."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, IntEnum, StrEnum, auto, unique

PIN = 0x80
PUK = 0x81

AUTHENTICATION = 0x9A
SIGNATURE = 0x9C
KEY_MANAGEMENT = 0x9D
CARD_AUTHENTICATION = 0x9E


@unique
class Algorithm(IntEnum):
    """Key algorithms by PIV's identifiers (SP 800-78-5, table 9)."""

    RSA_2048 = 0x07
    ECC_P256 = 0x11


@unique
class KeyUse(IntEnum):
    """What a private key is used for; the numbers are those of `cloudcard.approval.v1.KeyUse`."""

    SIGN = 1
    DECRYPT = 2
    AGREE = 3


KEY_MANAGEMENT_USE = {Algorithm.RSA_2048: KeyUse.DECRYPT, Algorithm.ECC_P256: KeyUse.AGREE}


def allowed_use(key_ref: int, algorithm: Algorithm) -> KeyUse:
    """The one use of a key: key management keys decrypt or agree, all others sign (SP 800-73-5 part
    1, 5).
    """
    return KEY_MANAGEMENT_USE[algorithm] if key_ref == KEY_MANAGEMENT else KeyUse.SIGN


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


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, sealed, with its certificate. `sealed_private` is None once destroyed."""

    id: str
    card_id: str
    key_ref: int
    algorithm: Algorithm
    certificate: bytes  # DER
    sealed_private: bytes | None = field(repr=False)
    create_time: datetime


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """One key of a profile. `key_usage` names the bits of the certificate's extension (RFC 5280,
    4.2.1.3).
    """

    key_ref: int
    algorithm: Algorithm
    key_usage: frozenset[str]
    client_authentication: bool = False


@dataclass(frozen=True, slots=True)
class CardProfile:
    """What a new card is made of."""

    name: str
    serial_prefix: str
    validity_days: int
    keys: tuple[KeyTemplate, ...]


def _standard(name: str, algorithm: Algorithm) -> CardProfile:
    management = {
        Algorithm.RSA_2048: frozenset({"key_encipherment", "data_encipherment"}),
        Algorithm.ECC_P256: frozenset({"key_agreement"}),
    }
    return CardProfile(
        name=name,
        serial_prefix="100",
        validity_days=730,
        keys=(
            KeyTemplate(AUTHENTICATION, algorithm, frozenset({"digital_signature"}), True),
            KeyTemplate(
                SIGNATURE, algorithm, frozenset({"digital_signature", "content_commitment"})
            ),
            KeyTemplate(KEY_MANAGEMENT, algorithm, management[algorithm]),
        ),
    )


PROFILES = {
    profile.name: profile
    for profile in (
        _standard("rsa2048", Algorithm.RSA_2048),
        _standard("p256", Algorithm.ECC_P256),
    )
}
DEFAULT_PROFILE = "rsa2048"
