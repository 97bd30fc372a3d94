"""The throw-away card: its keys against `cryptography`, its passcodes against the card's rules."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.keys import (
    ChangePasscode,
    KeyResult,
    KeyUse,
    PasscodeStatus,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm
from reader_bridge.local_keys import PIN, PUK, LocalKeys

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")
ID = bytes(16)


@cache
def shared(algorithm: Algorithm) -> LocalKeys:
    """Keys for tests that leave the passcodes alone: RSA keys take long to make."""
    return LocalKeys(algorithm, os.urandom, NOW)


def new() -> LocalKeys:
    return LocalKeys(Algorithm.ECC_P256, os.urandom, NOW)


def certificate(keys: LocalKeys, key_ref: int) -> x509.Certificate:
    contents = dict(tlv.decode(keys.image.objects[CERTIFICATE_OF_KEY[key_ref]]))
    return x509.load_der_x509_certificate(contents[0x70])


def use(keys: LocalKeys, key_use: KeyUse, key_ref: int, data: bytes) -> KeyResult:
    verified = keys.perform(VerifyPasscode(ID, 0x80, PIN))
    assert isinstance(verified, Verified)
    algorithm = keys.image.keys.get(key_ref, 0x11)
    return keys.perform(UseKey(ID, key_use, key_ref, algorithm, data, verified.proof))


@given(st.binary(max_size=100))
def test_rsa_signs(message: bytes) -> None:
    keys = shared(Algorithm.RSA_2048)
    digest = Hash(SHA256())
    digest.update(message)
    info = DIGEST_INFO_SHA256 + digest.finalize()
    block = b"\x00\x01" + b"\xff" * (253 - len(info)) + b"\x00" + info
    signature = use(keys, KeyUse.SIGN, 0x9C, block)
    public = certificate(keys, 0x9C).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert isinstance(signature, bytes)
    public.verify(signature, message, padding.PKCS1v15(), SHA256())


def test_rsa_decrypts() -> None:
    keys = shared(Algorithm.RSA_2048)
    public = certificate(keys, 0x9D).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    block = use(keys, KeyUse.DECRYPT, 0x9D, public.encrypt(b"secret", padding.PKCS1v15()))
    assert isinstance(block, bytes)
    assert block.startswith(b"\x00\x02")
    assert block.endswith(b"\x00secret")


def test_rsa_keeps_leading_zeros() -> None:
    one = bytes(255) + b"\x01"
    assert use(shared(Algorithm.RSA_2048), KeyUse.DECRYPT, 0x9D, one) == one


def test_a_block_beyond_the_modulus() -> None:
    assert use(shared(Algorithm.RSA_2048), KeyUse.SIGN, 0x9A, b"\xff" * 256) is Refusal.MALFORMED


@given(st.binary(min_size=1, max_size=64))
def test_ecdsa_takes_digests_of_all_lengths(digest: bytes) -> None:
    keys = shared(Algorithm.ECC_P256)
    signature = use(keys, KeyUse.SIGN, 0x9A, digest)
    public = certificate(keys, 0x9A).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(signature, bytes)
    fitted = digest[:32].rjust(32, b"\0")
    public.verify(signature, fitted, ec.ECDSA(Prehashed(SHA256())))


def test_ecdh() -> None:
    keys = shared(Algorithm.ECC_P256)
    peer = ec.generate_private_key(ec.SECP256R1())
    point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    public = certificate(keys, 0x9D).public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert use(keys, KeyUse.AGREE, 0x9D, point) == peer.exchange(ec.ECDH(), public)


def test_a_point_off_the_curve() -> None:
    point = b"\x04" + b"\x01" * 64
    assert use(shared(Algorithm.ECC_P256), KeyUse.AGREE, 0x9D, point) is Refusal.MALFORMED


def test_a_key_that_is_not_there() -> None:
    assert use(shared(Algorithm.ECC_P256), KeyUse.SIGN, 0x9E, b"d") is Refusal.UNKNOWN_KEY


def test_a_use_that_the_key_cannot() -> None:
    assert use(shared(Algorithm.ECC_P256), KeyUse.DECRYPT, 0x9D, b"d") is Refusal.MALFORMED


def test_a_key_is_not_used_without_the_passcode() -> None:
    request = UseKey(ID, KeyUse.SIGN, 0x9A, 0x11, b"digest", b"a guess")
    assert new().perform(request) is Refusal.DENIED


def test_passcodes() -> None:
    keys = new()
    wrong, right = VerifyPasscode(ID, 0x80, b"000000"), VerifyPasscode(ID, 0x80, PIN)
    status = PasscodeStatus(ID, 0x80)
    assert keys.perform(status) == TriesLeft(3)
    assert keys.perform(wrong) == TriesLeft(2)
    assert isinstance(keys.perform(right), Verified)
    assert [keys.perform(wrong) for _ in range(3)] == [TriesLeft(2), TriesLeft(1), TriesLeft(0)]
    assert keys.perform(right) == TriesLeft(0)
    assert isinstance(keys.perform(ResetPasscode(ID, 0x80, PUK, b"654321")), Verified)
    assert isinstance(keys.perform(VerifyPasscode(ID, 0x80, b"654321")), Verified)
    assert keys.perform(ChangePasscode(ID, 0x80, PIN, b"111111")) == TriesLeft(2)
    assert isinstance(keys.perform(ChangePasscode(ID, 0x80, b"654321", b"111111")), Verified)
    assert keys.perform(status) == TriesLeft(3)
    assert keys.perform(PasscodeStatus(ID, 0x81)) == TriesLeft(3)


@pytest.mark.parametrize("algorithm", [Algorithm.RSA_2048, Algorithm.ECC_P256])
def test_each_card_is_one_of_its_kind(algorithm: Algorithm) -> None:
    image = shared(algorithm).image
    assert image.guid != new().image.guid
    assert {key.algorithm for key in image.keys.values()} == {algorithm}
    assert image.guid[6] >> 4 == 4


def test_what_the_certificates_are_for() -> None:
    usages = {
        key_ref: certificate(shared(Algorithm.RSA_2048), key_ref)
        .extensions.get_extension_for_class(x509.KeyUsage)
        .value
        for key_ref in (0x9A, 0x9C, 0x9D)
    }
    assert usages[0x9A].digital_signature
    assert not usages[0x9A].content_commitment
    assert usages[0x9C].content_commitment
    assert usages[0x9D].key_encipherment
    assert not usages[0x9D].key_agreement
