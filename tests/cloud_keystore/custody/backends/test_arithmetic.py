"""Software keys agree with an independent implementation."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody.backends import arithmetic
from cloud_keystore.model.algorithms import MODULUS_BYTES, Algorithm, KeyUse
from cloud_keystore.model.errors import MalformedKeyInput

RSA = arithmetic.generate(Algorithm.RSA_2048)
CURVES = {
    Algorithm.ECC_P256: (ec.SECP256R1(), 32),
    Algorithm.ECC_P384: (ec.SECP384R1(), 48),
}
EC = {algorithm: arithmetic.generate(algorithm) for algorithm in CURVES}
both_curves = pytest.mark.parametrize("algorithm", CURVES, ids=lambda each: each.name)


def rsa_public() -> rsa.RSAPublicKey:
    public = RSA.private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def test_raw_rsa_signs() -> None:
    digest_info = bytes.fromhex("3031300d060960864801650304020105000420") + b"\x42" * 32
    block = b"\0\1" + b"\xff" * (253 - len(digest_info)) + b"\0" + digest_info
    signature = arithmetic.use(RSA.pkcs8, KeyUse.SIGN, block, os.urandom)
    rsa_public().verify(signature, b"\x42" * 32, rsa_padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def test_raw_rsa_decrypts() -> None:
    cryptogram = rsa_public().encrypt(b"for Ada", rsa_padding.PKCS1v15())
    block = arithmetic.use(RSA.pkcs8, KeyUse.DECRYPT, cryptogram, os.urandom)
    assert block.startswith(b"\0\2")
    assert block.endswith(b"\0for Ada")


@pytest.mark.parametrize("algorithm", MODULUS_BYTES, ids=lambda each: each.name)
def test_raw_rsa_of_every_size(algorithm: Algorithm) -> None:
    size = MODULUS_BYTES[algorithm]
    key = arithmetic.generate(algorithm)
    public = key.private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.public_numbers().e == 65537
    digest_info = bytes.fromhex("3041300d060960864801650304020205000430") + b"\x42" * 48
    block = b"\0\1" + b"\xff" * (size - 3 - len(digest_info)) + b"\0" + digest_info
    signature = arithmetic.use(key.pkcs8, KeyUse.SIGN, block, os.urandom)
    assert len(signature) == size
    public.verify(signature, b"\x42" * 48, rsa_padding.PKCS1v15(), Prehashed(hashes.SHA384()))
    cryptogram = public.encrypt(b"for Ada", rsa_padding.PKCS1v15())
    plain = arithmetic.use(key.pkcs8, KeyUse.DECRYPT, cryptogram, os.urandom)
    assert plain.endswith(b"\0for Ada")


def test_a_block_beyond_the_modulus_is_refused() -> None:
    with pytest.raises(MalformedKeyInput):
        arithmetic.use(RSA.pkcs8, KeyUse.DECRYPT, b"\xff" * 256, os.urandom)


@pytest.mark.parametrize("half", ["dmp1", "dmq1", "iqmp"])
def test_a_faulty_half_is_not_told(half: str) -> None:
    """Result and input of one fault give the factors away (Boneh, DeMillo, Lipton)."""
    key = arithmetic.load(RSA.pkcs8)
    assert key.numbers is not None
    whole = {name: getattr(key.numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    whole[half] ^= 2
    numbers = rsa.RSAPrivateNumbers(public_numbers=key.numbers.public_numbers, **whole)
    with pytest.raises(ArithmeticError, match="did not verify"):
        arithmetic.use_open(
            replace(key, numbers=numbers), KeyUse.DECRYPT, b"\0\2" + b"\x55" * 254, os.urandom
        )


@both_curves
def test_openssl_verifies_digests_of_any_length(algorithm: Algorithm, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_bytes(
        EC[algorithm]
        .private.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    signed, signature = tmp_path / "digest", tmp_path / "signature"
    for size in range(1, 65):
        digest = os.urandom(size)
        signed.write_bytes(digest)
        signature.write_bytes(arithmetic.use(EC[algorithm].pkcs8, KeyUse.SIGN, digest, os.urandom))
        done = subprocess.run(
            [
                *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public)),
                *("-in", str(signed), "-sigfile", str(signature)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Verified Successfully" in done.stdout, (size, done.stderr)


@both_curves
@given(digest=st.binary(min_size=1, max_size=64))
def test_a_digest_counts_by_its_leftmost_bits(algorithm: Algorithm, digest: bytes) -> None:
    signature = arithmetic.use(EC[algorithm].pkcs8, KeyUse.SIGN, digest, os.urandom)
    public = EC[algorithm].private.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    size = CURVES[algorithm][1]
    fitted = digest[:size].rjust(size, b"\0")
    hashed = {32: hashes.SHA256(), 48: hashes.SHA384()}[size]
    public.verify(signature, fitted, ec.ECDSA(Prehashed(hashed)))


@both_curves
def test_ecdh_agrees_with_the_peer(algorithm: Algorithm) -> None:
    peer = ec.generate_private_key(CURVES[algorithm][0])
    point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    public = EC[algorithm].private.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    secret = arithmetic.use(EC[algorithm].pkcs8, KeyUse.AGREE, point, os.urandom)
    assert secret == peer.exchange(ec.ECDH(), public)
    off_the_curve = point[:-1] + bytes((point[-1] ^ 1,))
    with pytest.raises(MalformedKeyInput):
        arithmetic.use(EC[algorithm].pkcs8, KeyUse.AGREE, off_the_curve, os.urandom)


def test_ed25519_signs_the_message_itself() -> None:
    key = arithmetic.generate(Algorithm.ED25519)
    public = key.private.public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey)
    for message in (b"m", os.urandom(32), os.urandom(5000)):
        public.verify(arithmetic.use(key.pkcs8, KeyUse.SIGN, message, os.urandom), message)


def test_ed25519_follows_rfc_8032() -> None:  # 7.1, test 2
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    signature = arithmetic.use(arithmetic.new_key(private).pkcs8, KeyUse.SIGN, b"\x72", os.urandom)
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_x25519_agrees_with_the_peer() -> None:
    key, peer = arithmetic.generate(Algorithm.X25519), x25519.X25519PrivateKey.generate()
    public = key.private.public_key()
    assert isinstance(public, x25519.X25519PublicKey)
    point = peer.public_key().public_bytes_raw()
    secret = arithmetic.use(key.pkcs8, KeyUse.AGREE, point, os.urandom)
    assert secret == peer.exchange(public)


@pytest.mark.parametrize("point", [b"\0" * 32, b"\1" + b"\0" * 31])
def test_x25519_refuses_points_of_small_order(point: bytes) -> None:
    key = arithmetic.generate(Algorithm.X25519)
    with pytest.raises(MalformedKeyInput):
        arithmetic.use(key.pkcs8, KeyUse.AGREE, point, os.urandom)


def test_no_secret_in_a_repr() -> None:
    assert "pkcs8" not in repr(RSA)
    assert "RSAPrivateKey" not in repr(RSA)


def test_a_key_is_not_used_for_what_it_cannot_do() -> None:
    with pytest.raises(MalformedKeyInput):
        arithmetic.use(EC[Algorithm.ECC_P256].pkcs8, KeyUse.DECRYPT, b"\1" * 32, os.urandom)
