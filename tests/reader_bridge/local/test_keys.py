"""A local card's keys against `cryptography`, its passcodes against the card's rules."""

from __future__ import annotations

import os

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from card_os import tlv
from card_os.keys import (
    ChangePasscode,
    PasscodeStatus,
    ReadObject,
    Refusal,
    ResetPasscode,
    TriesLeft,
    UseKey,
    Verified,
    VerifyPasscode,
)
from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import CERTIFICATE_OF_KEY, Algorithm, ObjectTag
from card_os.piv.sizes import FACTORY_PIN, FACTORY_PUK
from card_os.uses import KeyUse
from private_keys import libcrypto
from private_keys.keys import FIELD_HASH
from reader_bridge.local.card import GLOBAL_PIN
from reader_bridge.local.keys import LocalKeys
from reader_bridge.tasks import Cancellation
from support.local_world import ID, card, keys, passcode_proof, use

RSA = (Algorithm.RSA_2048, Algorithm.RSA_3072, Algorithm.RSA_4096)
ECC = (Algorithm.ECC_P256, Algorithm.ECC_P384)
DIGEST_INFO_SHA256 = bytes.fromhex("3031300D060960864801650304020105000420")


def public_key(keys: LocalKeys, key_ref: int) -> object:
    contents = dict(tlv.decode(keys.image.objects[CERTIFICATE_OF_KEY[key_ref]]))
    return x509.load_der_x509_certificate(contents[0x70]).public_key()


@pytest.mark.parametrize("algorithm", RSA)
@pytest.mark.parametrize("key_ref", [0x9A, 0x9C])
def test_rsa_signs(algorithm: Algorithm, key_ref: int) -> None:
    service = keys(algorithm=algorithm)
    digest = Hash(SHA256())
    digest.update(b"message")
    info = DIGEST_INFO_SHA256 + digest.finalize()
    size = MODULUS_BYTES[algorithm]
    block = b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
    signature = use(service, KeyUse.SIGN, key_ref, block)
    public = public_key(service, key_ref)
    assert isinstance(public, rsa.RSAPublicKey)
    assert isinstance(signature, bytes)
    public.verify(signature, b"message", padding.PKCS1v15(), SHA256())


@given(st.binary(min_size=256, max_size=256))
def test_raw_rsa_is_a_power(block: bytes) -> None:
    service = keys(algorithm=Algorithm.RSA_2048)
    public = public_key(service, 0x9A)
    assert isinstance(public, rsa.RSAPublicKey)
    numbers = public.public_numbers()
    result = use(service, KeyUse.SIGN, 0x9A, block)
    if int.from_bytes(block) >= numbers.n:
        assert result is Refusal.MALFORMED
    else:
        assert isinstance(result, bytes)
        assert len(result) == 256
        assert pow(int.from_bytes(result), numbers.e, numbers.n) == int.from_bytes(block)


@pytest.mark.parametrize("algorithm", RSA)
def test_rsa_decrypts(algorithm: Algorithm) -> None:
    service = keys(algorithm=algorithm)
    public = public_key(service, 0x9D)
    assert isinstance(public, rsa.RSAPublicKey)
    block = use(service, KeyUse.DECRYPT, 0x9D, public.encrypt(b"secret", padding.PKCS1v15()))
    assert isinstance(block, bytes)
    assert block.startswith(b"\x00\x02")
    assert block.endswith(b"\x00secret")


@pytest.mark.parametrize("size", [0, 1, 255, 257])
def test_a_block_of_another_length(size: int) -> None:
    service = keys(algorithm=Algorithm.RSA_2048)
    assert use(service, KeyUse.SIGN, 0x9A, bytes(size)) is Refusal.MALFORMED


@pytest.mark.parametrize("algorithm", ECC)
@given(digest=st.binary(min_size=1, max_size=64))
def test_ecdsa_takes_digests_of_all_lengths(algorithm: Algorithm, digest: bytes) -> None:
    service = keys(algorithm=algorithm)
    signature = use(service, KeyUse.SIGN, 0x9A, digest)
    public = public_key(service, 0x9A)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(signature, bytes)
    field_hash = FIELD_HASH[public.curve.name]
    fitted = digest[: field_hash.digest_size].rjust(field_hash.digest_size, b"\0")
    public.verify(signature, fitted, ec.ECDSA(Prehashed(field_hash)))


@pytest.mark.parametrize("algorithm", ECC)
def test_ecdh(algorithm: Algorithm) -> None:
    service = keys(algorithm=algorithm)
    public = public_key(service, 0x9D)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    peer = ec.generate_private_key(public.curve)
    point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert use(service, KeyUse.AGREE, 0x9D, point) == peer.exchange(ec.ECDH(), public)


@pytest.mark.parametrize("size", [0, 32, 64, 96])
def test_a_point_off_the_curve(size: int) -> None:
    point = b"\x04" + b"\x01" * size
    for algorithm in ECC:
        assert use(keys(algorithm=algorithm), KeyUse.AGREE, 0x9D, point) is Refusal.MALFORMED


def test_25519() -> None:
    service = keys(algorithm=Algorithm.ED25519)
    signature = use(service, KeyUse.SIGN, 0x9C, b"the message itself")
    signer, agreer = public_key(service, 0x9C), public_key(service, 0x9D)
    assert isinstance(signer, Ed25519PublicKey)
    assert isinstance(agreer, X25519PublicKey)
    assert isinstance(signature, bytes)
    signer.verify(signature, b"the message itself")
    with pytest.raises(InvalidSignature):
        signer.verify(signature, b"another message")
    peer = X25519PrivateKey.generate()
    point = peer.public_key().public_bytes_raw()
    assert use(service, KeyUse.AGREE, 0x9D, point) == peer.exchange(agreer)


@pytest.mark.parametrize("point", [bytes(32), bytes(31), bytes(33), b"\x01" + bytes(31)])
def test_a_point_that_agrees_with_everybody(point: bytes) -> None:
    service = keys(algorithm=Algorithm.ED25519)
    assert use(service, KeyUse.AGREE, 0x9D, point) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("profile", "suite", "curve"),
    [("sm-cs2", 0x27, ec.SECP256R1()), ("sm-cs7", 0x2E, ec.SECP384R1())],
)
def test_the_key_of_secure_messaging(profile: str, suite: int, curve: ec.EllipticCurve) -> None:
    service = keys(profile)
    peer = ec.generate_private_key(curve)
    point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shown = service.image.keys[0x04]
    assert shown.algorithm == suite
    public = ec.EllipticCurvePublicKey.from_encoded_point(curve, tlv.decode_one(0x86, shown.public))
    agree = UseKey(ID, KeyUse.AGREE, 0x04, suite, point)  # no passcode
    assert service.perform(agree) == peer.exchange(ec.ECDH(), public)
    sign = UseKey(ID, KeyUse.SIGN, 0x04, suite, b"digest")
    assert service.perform(sign) is Refusal.MALFORMED


def test_without_libcrypto_an_rsa_key_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rsa_card, ec_card = keys(algorithm=Algorithm.RSA_2048), keys()
    monkeypatch.setattr(libcrypto, "load", lambda _: None)
    libcrypto.library.cache_clear()
    assert use(rsa_card, KeyUse.SIGN, 0x9A, b"\1" * 256) is Refusal.UNAVAILABLE
    assert "install it" in capsys.readouterr().out
    assert isinstance(use(ec_card, KeyUse.SIGN, 0x9A, b"\1" * 32), bytes)


def test_a_key_that_is_not_there() -> None:
    assert use(keys(), KeyUse.SIGN, 0x82, b"d") is Refusal.UNKNOWN_KEY


def test_a_key_of_another_algorithm() -> None:
    service = keys()
    proof = passcode_proof(service)
    request = UseKey(ID, KeyUse.SIGN, 0x9A, Algorithm.RSA_2048, b"d", proof)
    assert service.perform(request) is Refusal.UNKNOWN_KEY


def test_a_use_that_the_key_cannot() -> None:
    assert use(keys(), KeyUse.DECRYPT, 0x9D, b"d") is Refusal.MALFORMED


@pytest.mark.parametrize("key_ref", [0x9A, 0x9C, 0x9D])
@pytest.mark.parametrize("proof", [b"", b"a guess"])
def test_a_key_is_not_used_without_the_passcode(key_ref: int, proof: bytes) -> None:
    request = UseKey(ID, KeyUse.SIGN, key_ref, 0x11, b"digest", proof)
    assert keys().perform(request) is Refusal.PASSCODE_NEEDED


def test_the_card_authentication_key_needs_none() -> None:
    assert isinstance(keys().perform(UseKey(ID, KeyUse.SIGN, 0x9E, 0x11, b"digest")), bytes)


def test_a_proof_is_good_for_one_process_and_one_passcode() -> None:
    service, other = keys(), keys()
    proof = passcode_proof(service)

    def sign(by: LocalKeys, proof: bytes) -> object:
        return by.perform(UseKey(ID, KeyUse.SIGN, 0x9A, 0x11, b"digest", proof))

    assert isinstance(sign(service, proof), bytes)
    assert sign(other, proof) is Refusal.PASSCODE_NEEDED
    changed = service.perform(ChangePasscode(ID, 0x80, FACTORY_PIN, b"111111"))
    assert isinstance(changed, Verified)
    assert sign(service, proof) is Refusal.PASSCODE_NEEDED
    assert isinstance(sign(service, changed.proof), bytes)


def test_an_object_is_read_by_who_gave_the_passcode() -> None:
    tag = ObjectTag.FACIAL_IMAGE
    service = LocalKeys(card().with_object(tag, b"face"), os.urandom)
    proof = passcode_proof(service)
    assert service.perform(ReadObject(proof, tag)) == b"face"
    assert service.perform(ReadObject(proof, ObjectTag.IRIS_IMAGES)) is Refusal.UNKNOWN_KEY
    for wrong in (b"", bytes(32)):
        assert service.perform(ReadObject(wrong, tag)) is Refusal.PASSCODE_NEEDED


def test_passcodes() -> None:
    service = keys()
    wrong, right = VerifyPasscode(ID, 0x80, b"000000"), VerifyPasscode(ID, 0x80, FACTORY_PIN)
    status = PasscodeStatus(ID, 0x80)
    assert service.perform(status) == TriesLeft(3, factory=True)
    assert service.perform(wrong) == TriesLeft(2, factory=True)
    assert isinstance(service.perform(right), Verified)
    tries = [service.perform(wrong) for _ in range(4)]
    assert tries == [TriesLeft(left, factory=True) for left in (2, 1, 0, 0)]
    assert service.perform(right) == TriesLeft(0, factory=True)
    assert isinstance(service.perform(ResetPasscode(ID, 0x80, FACTORY_PUK, b"654321")), Verified)
    assert isinstance(service.perform(VerifyPasscode(ID, 0x80, b"654321")), Verified)
    assert service.perform(ChangePasscode(ID, 0x80, FACTORY_PIN, b"111111")) == TriesLeft(2)
    assert isinstance(service.perform(ChangePasscode(ID, 0x80, b"654321", b"111111")), Verified)
    assert service.perform(status) == TriesLeft(3)
    assert service.perform(PasscodeStatus(ID, 0x81)) == TriesLeft(3, factory=True)


def test_a_wrong_puk_spends_its_own_tries() -> None:
    service = keys()
    for left in (2, 1, 0, 0):
        reset = service.perform(ResetPasscode(ID, 0x80, b"87654321", b"111111"))
        assert reset == TriesLeft(left, factory=True)
    assert service.perform(ResetPasscode(ID, 0x80, FACTORY_PUK, b"111111")) == TriesLeft(
        0, factory=True
    )
    assert isinstance(service.perform(VerifyPasscode(ID, 0x80, FACTORY_PIN)), Verified)


@pytest.mark.parametrize("new", [b"", b"123456789"])
def test_a_passcode_that_does_not_fit_costs_no_try(new: bytes) -> None:
    service = keys()
    assert service.perform(ChangePasscode(ID, 0x80, FACTORY_PIN, new)) is Refusal.MALFORMED
    assert service.perform(PasscodeStatus(ID, 0x80)) == TriesLeft(3, factory=True)


def test_what_is_wrong_twice_costs_a_try() -> None:
    assert keys().perform(ResetPasscode(ID, 0x80, b"", b"")) == TriesLeft(2, factory=True)


def test_the_global_pin_opens_the_card_where_there_is_one() -> None:
    assert keys().perform(VerifyPasscode(ID, 0x00, GLOBAL_PIN)) is Refusal.UNKNOWN_KEY
    assert keys().perform(PasscodeStatus(ID, 0x00)) is Refusal.UNKNOWN_KEY
    assert keys().perform(ChangePasscode(ID, 0x00, FACTORY_PIN, b"1")) is Refusal.UNKNOWN_KEY
    service = keys("global-pin")
    verified = service.perform(VerifyPasscode(ID, 0x00, GLOBAL_PIN))
    assert isinstance(verified, Verified)
    signed = service.perform(UseKey(ID, KeyUse.SIGN, 0x9A, 0x11, b"digest", verified.proof))
    assert isinstance(signed, bytes)


def test_a_cancelled_request_spends_no_try() -> None:
    service = keys()
    cancellation = Cancellation()
    cancellation.request()
    assert service.perform(VerifyPasscode(ID, 0x80, b"0"), cancellation) is Refusal.CANCELLED
    assert service.perform(PasscodeStatus(ID, 0x80)) == TriesLeft(3, factory=True)


def test_secrets_are_not_shown() -> None:
    secret = card("developer").management_key.hex()
    for shown in (card("developer"), card()):
        text = repr(shown).replace(shown.serial, "")
        assert secret not in text
        assert "123456" not in text
        assert repr(card().keys[0x9A].private) not in text
