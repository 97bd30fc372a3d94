"""A local card as a value: everything that survives a reset. Each change makes a new value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from card_os.administration import CardKey
from card_os.keys import TriesLeft
from card_os.piv import CardImage
from card_os.piv.issuing import encode
from card_os.piv.names import ATTESTATION_CERTIFICATE, KeyRef, ObjectTag
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY, FACTORY_PIN, FACTORY_PUK, TRIES
from card_os.uses import PinPolicy, TouchPolicy
from reader_bridge.local import private_keys
from reader_bridge.local.certificates import LIFETIME
from reader_bridge.local.profiles import Profile

GLOBAL_PIN = b"654321"  # well-known, as the other factory passcodes
FACTORY_PASSCODES: Mapping[int, bytes] = {
    KeyRef.PIN: FACTORY_PIN,
    KeyRef.PUK: FACTORY_PUK,
    KeyRef.GLOBAL_PIN: GLOBAL_PIN,
}


@dataclass(frozen=True, slots=True)
class Passcode:
    """A passcode, and how many tries it has left."""

    value: bytes = field(repr=False)  # without the padding of the APDU
    tries: int = TRIES
    most: int = TRIES  # after the right passcode

    def left(self, factory: bytes) -> TriesLeft:
        """The tries left, as a key result; `factory` is the passcode's factory value."""
        return TriesLeft(self.tries, self.most, self.value == factory)


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A private key."""

    algorithm: int
    private: bytes = field(repr=False)  # in the form of `ImportKey`
    pin_policy: PinPolicy = PinPolicy.DEFAULT
    touch_policy: TouchPolicy = TouchPolicy.DEFAULT
    imported: bool = False

    def shown(self) -> CardKey:
        """What the card knows of the key. Raises BadKey if the key is damaged."""
        public = private_keys.public_template(self.algorithm, self.private)
        return CardKey(self.algorithm, public, self.pin_policy, self.touch_policy, self.imported)


@dataclass(frozen=True, slots=True)
class Attester:
    """The key that attests others, and its certificate in DER. A reset keeps both."""

    key: LocalKey
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LocalCard:
    """The complete state of a card."""

    profile: Profile
    serial: str
    guid: bytes
    made: datetime
    passcodes: Mapping[int, Passcode]
    objects: Mapping[int, bytes] = field(repr=False)
    keys: Mapping[int, LocalKey]
    management_algorithm: int | None = None
    management_key: bytes = field(default=b"", repr=False)
    attester: Attester | None = None
    verifiable_certificate: bytes = field(default=b"", repr=False)

    def image(self) -> CardImage:
        """The card's image. Raises ValueError if no card can have this state."""
        features = replace(self.profile.features, management_algorithm=self.management_algorithm)
        return CardImage(
            serial=self.serial,
            guid=self.guid,
            objects=self.objects,
            keys={key_ref: key.shown() for key_ref, key in self.keys.items()},
            features=features,
            verifiable_certificate=self.verifiable_certificate,
            factory_management_key=self.has_factory_management_key,
        )

    @property
    def has_factory_management_key(self) -> bool:
        """Whether the card's management key is the well-known one."""
        return self.management_key == FACTORY_MANAGEMENT_KEY

    def with_passcode(self, key_ref: int, passcode: Passcode) -> LocalCard:
        """A copy with one passcode replaced."""
        return replace(self, passcodes={**self.passcodes, key_ref: passcode})

    def with_key(self, key_ref: int, key: LocalKey | None) -> LocalCard:
        """A copy with one key replaced, or removed."""
        others = {other: kept for other, kept in self.keys.items() if other != key_ref}
        return replace(self, keys=others if key is None else {**others, key_ref: key})

    def with_object(self, tag: int, contents: bytes) -> LocalCard:
        """A copy with one data object replaced; empty contents remove it."""
        others = {other: kept for other, kept in self.objects.items() if other != tag}
        return replace(self, objects={**others, tag: contents} if contents else others)


def factory_passcodes(profile: Profile) -> dict[int, Passcode]:
    """The passcodes of a new card."""
    return {
        int(key_ref): Passcode(value)
        for key_ref, value in FACTORY_PASSCODES.items()
        if key_ref != KeyRef.GLOBAL_PIN or profile.features.global_pin
    }


def factory_objects(card: LocalCard) -> dict[int, bytes]:
    """The data objects of a card without keys."""
    expiry = f"{card.made + LIFETIME:%Y%m%d}"
    objects: dict[int, bytes] = {
        ObjectTag.CHUID: encode.chuid(card.guid, expiry),
        ObjectTag.CCC: encode.ccc(card.guid),
        ObjectTag.DISCOVERY: encode.discovery(global_pin=card.profile.features.global_pin),
        ObjectTag.KEY_HISTORY: encode.key_history(),
    }
    # With the extensions, Yubico's tools keep a secret in the printed information.
    if not card.profile.features.extensions:
        objects[ObjectTag.PRINTED_INFORMATION] = encode.printed_information(
            "cloudcard local", "Development", expiry, card.serial, "cloudcard"
        )
    if card.attester is not None:
        objects[ATTESTATION_CERTIFICATE] = encode.certificate(card.attester.certificate)
    return objects
