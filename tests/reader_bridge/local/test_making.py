"""New local cards: their identity, their certificates, and what their profile gives them."""

from __future__ import annotations

import os
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID

from card_os import atr, piv, tlv
from card_os.piv.algorithms import INTEROPERABLE
from card_os.piv.names import CERTIFICATE_OF_KEY, RETIRED, Algorithm, Cipher, ObjectTag
from reader_bridge.local.card import LocalCard
from reader_bridge.local.making import new_card
from reader_bridge.local.private_keys import generate, load
from reader_bridge.local.profiles import PROFILES
from support.announcing import announced
from support.local_world import NOW, card, keys

generated = cache(generate)  # one key of each algorithm is enough
FOUR = {0x9A, 0x9C, 0x9D, 0x9E}


def certificate(card: LocalCard, tag: int) -> x509.Certificate:
    return x509.load_der_x509_certificate(dict(tlv.decode(card.objects[tag]))[0x70])


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_plain_card_has_four_keys_and_their_certificates(algorithm: Algorithm) -> None:
    made = card("plain", algorithm)
    assert set(made.keys) == FOUR
    for key_ref, key in made.keys.items():
        found = certificate(made, CERTIFICATE_OF_KEY[key_ref])
        assert found.public_key() == load(key.algorithm, key.private).public_key()
        assert found.not_valid_before_utc < NOW < found.not_valid_after_utc
        issuer = certificate(made, CERTIFICATE_OF_KEY[0x9A])
        found.verify_directly_issued_by(found if found.issuer == found.subject else issuer)
    signing, establishing = made.keys[0x9A].algorithm, made.keys[0x9D].algorithm
    if algorithm in (Algorithm.ED25519, Algorithm.X25519):
        assert (signing, establishing) == (Algorithm.ED25519, Algorithm.X25519)
    else:
        assert (signing, establishing) == (algorithm, algorithm)


@pytest.mark.parametrize(
    ("algorithm", "establishes"),
    [
        (Algorithm.RSA_2048, "key_encipherment"),
        (Algorithm.ECC_P256, "key_agreement"),
        (Algorithm.ED25519, "key_agreement"),
    ],
)
def test_what_the_certificates_are_for(algorithm: Algorithm, establishes: str) -> None:
    made = card("plain", algorithm)
    usages = {
        key_ref: certificate(made, CERTIFICATE_OF_KEY[key_ref])
        .extensions.get_extension_for_class(x509.KeyUsage)
        .value
        for key_ref in FOUR
    }
    assert usages[0x9A].digital_signature
    assert not usages[0x9A].content_commitment
    assert usages[0x9C].content_commitment
    assert usages[0x9E].digital_signature
    for name in ("key_encipherment", "key_agreement"):
        assert getattr(usages[0x9D], name) == (name == establishes)


def test_the_purpose_of_card_authentication_is_its_own() -> None:
    purposes = (
        certificate(card(), ObjectTag.CARD_AUTHENTICATION_CERTIFICATE)
        .extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        .value
    )
    assert [each.dotted_string for each in purposes] == ["2.16.840.1.101.3.6.8"]
    logon = certificate(card(), ObjectTag.AUTHENTICATION_CERTIFICATE)
    assert ExtendedKeyUsageOID.CLIENT_AUTH in (
        logon.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    )


def test_each_card_is_one_of_its_kind() -> None:
    made = [new_card(PROFILES["developer"], Algorithm.ECC_P256, os.urandom, NOW) for _ in range(2)]
    assert made[0].guid != made[1].guid
    assert made[0].serial != made[1].serial
    for each in made:
        assert each.guid[6] >> 4 == 4
        assert each.guid[8] >> 6 == 2
        assert int(each.serial) >= 2**31  # of no vendor's card
        assert dict(tlv.decode(each.objects[ObjectTag.CHUID]))[0x34] == each.guid


@pytest.mark.parametrize("profile", PROFILES)
def test_a_card_of_each_profile_can_be_inserted(profile: str) -> None:
    made = card(profile)
    image = keys(profile).image
    assert piv.new_card(image, os.urandom).atr
    assert set(image.keys) & FOUR == (FOUR if PROFILES[profile].keys else set())
    assert image.objects[ObjectTag.DISCOVERY].endswith(
        bytes.fromhex("6010" if profile == "global-pin" else "4000")
    )
    assert (0x00 in made.passcodes) == (profile == "global-pin")


def test_the_developer_card_is_empty_and_has_an_administrator() -> None:
    made = card("developer")
    features = made.image().features
    assert made.keys == {}
    assert not set(made.objects) & set(CERTIFICATE_OF_KEY.values())
    assert features.extensions
    assert features.algorithms == frozenset(Algorithm)
    assert features.management_algorithm == Cipher.AES_192
    assert made.management_key.hex() == "010203040506070801020304050607080102030405060708"
    assert certificate(made, 0x5FFF01).public_key() is not None


@pytest.mark.parametrize("profile", ["plain", "global-pin", "sm-cs2", "sm-cs7"])
def test_nobody_administers_the_others(profile: str) -> None:
    features = card(profile).image().features
    assert not features.extensions
    assert features.management_algorithm is None


@pytest.mark.parametrize("profile", sorted(set(PROFILES) - {"developer"}))
@pytest.mark.parametrize("algorithm", Algorithm)
def test_every_algorithm_that_a_card_holds_is_announced(profile: str, algorithm: Algorithm) -> None:
    """Clients that read the list use no other, and clients that know the card's kind by its ATR do
    not read it.
    """
    made = new_card(PROFILES[profile], algorithm, os.urandom, NOW, generate=generated)
    held = {key.algorithm for key in made.keys.values()}
    assert algorithm in held | {Algorithm.X25519}
    told = set(announced(made.image()))
    assert told == held | INTEROPERABLE
    generic = piv.new_card(made.image(), os.urandom).atr == atr.generic()
    assert generic == (not told <= INTEROPERABLE)


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (Algorithm.RSA_2048, "sha256"),
        (Algorithm.ECC_P256, "sha256"),
        (Algorithm.ECC_P384, "sha384"),
    ],
)
def test_the_hash_of_a_certificate_goes_with_its_key(algorithm: Algorithm, digest: str) -> None:
    made = card("plain", algorithm)
    for tag in CERTIFICATE_OF_KEY.values():
        if tag in made.objects:
            chosen = certificate(made, tag).signature_hash_algorithm
            assert chosen is not None
            assert chosen.name == digest


@pytest.mark.parametrize("count", [1, 20])
def test_retired_keys(count: int) -> None:
    made = new_card(PROFILES["plain"], Algorithm.ECC_P256, os.urandom, NOW, retired=count)
    assert set(made.keys) - FOUR == set(RETIRED[:count])
    assert dict(tlv.decode(made.objects[ObjectTag.KEY_HISTORY]))[0xC1] == bytes((count,))
    for key_ref in RETIRED[:count]:
        usage = (
            certificate(made, CERTIFICATE_OF_KEY[key_ref])
            .extensions.get_extension_for_class(x509.KeyUsage)
            .value
        )
        assert usage.key_agreement


@pytest.mark.parametrize(
    ("profile", "curve", "digest", "oid"),
    [
        ("sm-cs2", ec.SECP256R1(), SHA256(), "300A06082A8648CE3D040302"),
        ("sm-cs7", ec.SECP384R1(), SHA384(), "300A06082A8648CE3D040303"),
    ],
)
def test_the_verifiable_certificate(
    profile: str, curve: ec.EllipticCurve, digest: SHA256 | SHA384, oid: str
) -> None:
    made = card(profile)
    whole = tlv.decode_one(0x7F21, made.verifiable_certificate)
    elements = dict(tlv.decode(whole))
    assert list(elements) == [0x5F29, 0x42, 0x5F20, 0x7F49, 0x5F4C, 0x5F37]
    assert elements[0x5F20] == made.guid
    shown = dict(tlv.decode(elements[0x7F49]))
    assert tlv.encode(0x86, shown[0x86]) == made.image().keys[0x04].public
    signer = certificate(made, ObjectTag.SECURE_MESSAGING_SIGNER)
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert elements[0x42] == identifier[:8]
    assert digest.name == signer.signature_hash_algorithm.name  # type: ignore[union-attr]
    body = whole[: -len(tlv.encode(0x5F37, elements[0x5F37]))]
    signature = tlv.decode_one(0x30, elements[0x5F37])
    assert signature.startswith(bytes.fromhex(oid))
    (_, bits) = list(tlv.decode(signature))[1]
    public = signer.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == curve.name
    public.verify(bits[1:], body, ec.ECDSA(digest))
