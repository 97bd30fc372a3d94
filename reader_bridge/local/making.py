"""Makes new local cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from card_os.piv.issuing import encode
from card_os.piv.names import CERTIFICATE_OF_KEY, RETIRED, Algorithm, KeyRef, ObjectTag
from card_os.piv.rules import ESTABLISHMENT
from card_os.piv.sizes import FACTORY_MANAGEMENT_KEY, GUID_BYTES
from private_keys.keys import Random
from reader_bridge.local import certificates, private_keys
from reader_bridge.local.card import (
    Attester,
    LocalCard,
    LocalKey,
    factory_objects,
    factory_passcodes,
)
from reader_bridge.local.profiles import PROFILES, Profile

Generate: TypeAlias = Callable[[int], bytes]  # makes a private key of an algorithm

MADE_KEYS = (
    KeyRef.AUTHENTICATION,
    KeyRef.SIGNATURE,
    KeyRef.KEY_MANAGEMENT,
    KeyRef.CARD_AUTHENTICATION,
)
NOT_VENDORS = 0x8000_0000  # no vendor uses serial numbers from here on


def new_card(
    profile: Profile,
    algorithm: Algorithm,
    random: Random,
    now: datetime,
    retired: int = 0,
    generate: Generate = private_keys.generate,
) -> LocalCard:
    """A new card of a profile. With 25519, keys sign by Ed25519 and establish keys by X25519.

    `algorithm`, and `retired`, the number of retired keys, apply only to profiles with keys.
    """
    guid = _guid(random)
    blank = LocalCard(
        profile=profile,
        serial=str(int.from_bytes(guid[:4]) | NOT_VENDORS),
        guid=guid,
        made=now,
        passcodes=factory_passcodes(profile),
        objects={},
        keys={},
        management_algorithm=profile.features.management_algorithm,
        management_key=FACTORY_MANAGEMENT_KEY if profile.features.management_algorithm else b"",
        attester=_attester(now, generate) if profile.features.extensions else None,
    )
    card = replace(blank, objects=factory_objects(blank))
    if profile.keys:
        card = _with_keys(card, algorithm, (*MADE_KEYS, *RETIRED[:retired]), generate)
        if retired:
            card = card.with_object(ObjectTag.KEY_HISTORY, encode.key_history(on_card=retired))
    if profile.suite is not None:
        card = _with_secure_messaging(card, profile.suite, generate)
    return card


def plain_card(algorithm: Algorithm, random: Random, now: datetime) -> LocalCard:
    """A card with keys 9A, 9C, 9D and 9E of one algorithm, and their certificates."""
    return new_card(PROFILES["plain"], algorithm, random, now)


def _with_keys(
    card: LocalCard, algorithm: Algorithm, key_refs: tuple[int, ...], generate: Generate
) -> LocalCard:
    made: dict[int, LocalKey] = {}
    for key_ref in key_refs:
        chosen = _fitting(key_ref, algorithm)
        made[key_ref] = LocalKey(chosen, generate(chosen))
    return replace(
        card,
        keys={**card.keys, **made},
        objects={**card.objects, **_certificates(made, card.made)},
    )


def _certificates(keys: Mapping[int, LocalKey], now: datetime) -> dict[int, bytes]:
    loaded = {ref: private_keys.load(key.algorithm, key.private) for ref, key in keys.items()}
    authentication = int(KeyRef.AUTHENTICATION), loaded[KeyRef.AUTHENTICATION]
    objects = {}
    for ref, key in loaded.items():
        signs_itself = keys[ref].algorithm != Algorithm.X25519
        der = certificates.of_key(ref, key, (ref, key) if signs_itself else authentication, now)
        objects[CERTIFICATE_OF_KEY[ref]] = encode.certificate(der)
    return objects


def _with_secure_messaging(card: LocalCard, suite: int, generate: Generate) -> LocalCard:
    """A copy with key 04, its certificate, and the certificate of the signer."""
    signer = private_keys.load(suite, generate(suite))
    own = certificates.of_content_signer(signer, card.made)
    private = generate(suite)
    return replace(
        card.with_key(KeyRef.SECURE_MESSAGING, LocalKey(suite, private)).with_object(
            ObjectTag.SECURE_MESSAGING_SIGNER, encode.certificate(own)
        ),
        verifiable_certificate=certificates.verifiable(suite, private, card.guid, signer, own),
    )


def _attester(now: datetime, generate: Generate) -> Attester:
    private = generate(Algorithm.ECC_P256)
    key = private_keys.load(Algorithm.ECC_P256, private)
    return Attester(
        LocalKey(Algorithm.ECC_P256, private), certificates.of_attestation_key(key, now)
    )


def _fitting(key_ref: int, algorithm: Algorithm) -> Algorithm:
    if algorithm in (Algorithm.ED25519, Algorithm.X25519):
        return Algorithm.X25519 if key_ref in ESTABLISHMENT else Algorithm.ED25519
    return algorithm


def _guid(random: Random) -> bytes:
    guid = bytearray(random(GUID_BYTES))
    guid[6] = guid[6] & 0x0F | 0x40  # version and variant of a random UUID (RFC 9562, 5.4)
    guid[8] = guid[8] & 0x3F | 0x80
    return bytes(guid)
