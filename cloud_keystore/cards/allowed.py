"""Checks what a card's profile lets an administrator put on the card; pure functions."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.administration import CardKey
from card_os.piv.image import CardImage, Features
from card_os.piv.names import (
    ATTESTATION_CERTIFICATE,
    CERTIFICATE_OF_KEY,
    CONTAINER_ID,
    EXTENSION_OBJECTS,
    RETIRED,
    Algorithm,
    Cipher,
)
from card_os.piv.sizes import GUID_BYTES, LARGEST_OBJECT, ROOM
from cloud_keystore.model.cards import KeyPolicies
from cloud_keystore.model.errors import AdministrationRefused, CardFull, InvalidInput, KeyNotFound
from cloud_keystore.model.profiles import CardProfile


def check_changeable(profile: CardProfile, *, extension: bool) -> None:
    """Raise AdministrationRefused unless cards of the profile are administered through readers and,
    for a change that is an extension, have the extensions.
    """
    if profile.management is None:
        raise AdministrationRefused("a card of this profile is changed by its issuer alone")
    if extension and not profile.extensions:
        raise AdministrationRefused("a card of this profile has no such command")


def check_resettable(profile: CardProfile) -> None:
    """Raise AdministrationRefused unless the profile has factory passcodes."""
    check_changeable(profile, extension=True)
    if not profile.factory_passcodes:
        raise AdministrationRefused("a card of this profile has no factory passcodes")


def check_object(
    profile: CardProfile, tag: int, contents: bytes, objects: Mapping[int, bytes]
) -> None:
    """Raise InvalidInput for a tag that the card does not have or that only the keystore writes,
    CardFull if `contents` do not fit beside the other `objects`.
    """
    known = tag in CONTAINER_ID or (profile.extensions and tag in EXTENSION_OBJECTS)
    if not known or tag == ATTESTATION_CERTIFICATE:
        raise InvalidInput(f"no administrator writes a data object {tag:X}")
    if len(contents) > LARGEST_OBJECT:
        raise CardFull(f"a data object has at most {LARGEST_OBJECT} bytes, not {len(contents)}")
    others = sum(len(value) for other, value in objects.items() if other != tag)
    if contents and others + len(contents) > ROOM:
        raise CardFull(f"the data objects of a card have at most {ROOM} bytes in all")


def key_algorithm(profile: CardProfile, number: int) -> Algorithm:
    """The algorithm of a key to be made or imported; raises InvalidInput."""
    for algorithm in profile.algorithms:
        if algorithm == number:
            return algorithm
    raise InvalidInput(f"a card of this profile takes no keys of algorithm {number:02X}")


def management_cipher(profile: CardProfile, number: int) -> Cipher:
    """The algorithm of a management key to be set; raises InvalidInput."""
    for cipher in profile.management_ciphers:
        if cipher == number:
            return cipher
    raise InvalidInput(f"a card of this profile takes no management key of {number:02X}")


def check_key(
    profile: CardProfile, key_ref: int, algorithm: Algorithm, policies: KeyPolicies
) -> None:
    """Raise KeyNotFound for a reference that administrators cannot use, InvalidInput for an
    algorithm or policies that a key cannot have there.

    The standard does not generate retired keys (SP 800-73-5 part 2, 3.3.2); the extensions do.
    """
    if key_ref not in CERTIFICATE_OF_KEY or (key_ref in RETIRED and not profile.extensions):
        raise KeyNotFound(f"no administrator puts a key under reference {key_ref:02X}")
    if not _is_possible(profile, key_ref, algorithm):
        raise InvalidInput(f"a key {key_ref:02X} is not of {algorithm.name}")
    if not policies.are_standard and not profile.extensions:
        raise InvalidInput("a card of this profile has no policies but the standard's")


def _is_possible(profile: CardProfile, key_ref: int, algorithm: Algorithm) -> bool:
    """Whether a reader can present a card with such a key; the card's own code decides."""
    features = Features(extensions=profile.extensions)
    try:
        CardImage("", bytes(GUID_BYTES), {}, {key_ref: CardKey(algorithm)}, features)
    except ValueError:
        return False
    return True
