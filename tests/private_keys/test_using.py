"""Private keys in use agree with an independent implementation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.names import Algorithm
from card_os.uses import KeyUse
from private_keys import using
from private_keys.keys import generate
from private_keys.using import BadInput, OpenKey

RSA = OpenKey.of(generate(Algorithm.RSA_2048))
CURVES = {
    Algorithm.ECC_P256: (ec.SECP256R1(), 32),
    Algorithm.ECC_P384: (ec.SECP384R1(), 48),
}
EC = {algorithm: OpenKey.of(generate(algorithm)) for algorithm in CURVES}
both_curves = pytest.mark.parametrize("algorithm", CURVES, ids=lambda each: each.name)


def rsa_public() -> rsa.RSAPublicKey:
    public = RSA.private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def test_raw_rsa_signs() -> None:
    digest_info = bytes.fromhex("3031300d060960864801650304020105000420") + b"\x42" * 32
    block = b"\0\1" + b"\xff" * (253 - len(digest_info)) + b"\0" + digest_info
    signature = using.use(RSA, KeyUse.SIGN, block)
    rsa_public().verify(signature, b"\x42" * 32, rsa_padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def test_raw_rsa_decrypts() -> None:
    cryptogram = rsa_public().encrypt(b"for Ada", rsa_padding.PKCS1v15())
    block = using.use(RSA, KeyUse.DECRYPT, cryptogram)
    assert block.startswith(b"\0\2")
    assert block.endswith(b"\0for Ada")


@pytest.mark.parametrize("algorithm", MODULUS_BYTES, ids=lambda each: each.name)
def test_raw_rsa_of_every_size(algorithm: Algorithm) -> None:
    size = MODULUS_BYTES[algorithm]
    key = OpenKey.of(generate(algorithm))
    public = key.private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    assert public.public_numbers().e == 65537
    digest_info = bytes.fromhex("3041300d060960864801650304020205000430") + b"\x42" * 48
    block = b"\0\1" + b"\xff" * (size - 3 - len(digest_info)) + b"\0" + digest_info
    signature = using.use(key, KeyUse.SIGN, block)
    assert len(signature) == size
    public.verify(signature, b"\x42" * 48, rsa_padding.PKCS1v15(), Prehashed(hashes.SHA384()))
    cryptogram = public.encrypt(b"for Ada", rsa_padding.PKCS1v15())
    plain = using.use(key, KeyUse.DECRYPT, cryptogram)
    assert plain.endswith(b"\0for Ada")


def test_a_block_beyond_the_modulus_is_refused() -> None:
    with pytest.raises(BadInput, match="beyond"):
        using.use(RSA, KeyUse.DECRYPT, b"\xff" * 256)


@pytest.mark.parametrize("size", [0, 1, 255, 257])
def test_a_block_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(BadInput, match=f"{size} bytes"):
        using.use(RSA, KeyUse.DECRYPT, bytes(size))


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
        signature.write_bytes(using.use(EC[algorithm], KeyUse.SIGN, digest))
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
    signature = using.use(EC[algorithm], KeyUse.SIGN, digest)
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
    secret = using.use(EC[algorithm], KeyUse.AGREE, point)
    assert secret == peer.exchange(ec.ECDH(), public)
    off_the_curve = point[:-1] + bytes((point[-1] ^ 1,))
    with pytest.raises(BadInput):
        using.use(EC[algorithm], KeyUse.AGREE, off_the_curve)


def test_ed25519_signs_the_message_itself() -> None:
    key = OpenKey.of(generate(Algorithm.ED25519))
    public = key.private.public_key()
    assert isinstance(public, ed25519.Ed25519PublicKey)
    for message in (b"m", os.urandom(32), os.urandom(5000)):
        public.verify(using.use(key, KeyUse.SIGN, message), message)


def test_ed25519_follows_rfc_8032() -> None:  # 7.1, test 2
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    signature = using.use(OpenKey.of(private), KeyUse.SIGN, b"\x72")
    assert signature.hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_x25519_agrees_with_the_peer() -> None:
    key, peer = OpenKey.of(generate(Algorithm.X25519)), x25519.X25519PrivateKey.generate()
    public = key.private.public_key()
    assert isinstance(public, x25519.X25519PublicKey)
    point = peer.public_key().public_bytes_raw()
    secret = using.use(key, KeyUse.AGREE, point)
    assert secret == peer.exchange(public)


@pytest.mark.parametrize("point", [b"\0" * 32, b"\1" + b"\0" * 31, b"\2" * 31])
def test_x25519_refuses_points_of_small_order_or_length(point: bytes) -> None:
    key = OpenKey.of(generate(Algorithm.X25519))
    with pytest.raises(BadInput):
        using.use(key, KeyUse.AGREE, point)


def test_no_secret_in_a_repr() -> None:
    assert "RSAPrivate" not in repr(RSA)
    assert repr(RSA) == "OpenKey()"


@pytest.mark.parametrize(
    ("key", "key_use"),
    [
        (EC[Algorithm.ECC_P256], KeyUse.DECRYPT),
        (RSA, KeyUse.AGREE),
        (OpenKey(RSA.private, None), KeyUse.SIGN),
        (OpenKey.of(generate(Algorithm.ED25519)), KeyUse.AGREE),
        (OpenKey.of(generate(Algorithm.X25519)), KeyUse.SIGN),
    ],
)
def test_a_key_is_not_used_for_what_it_cannot_do(key: OpenKey, key_use: KeyUse) -> None:
    with pytest.raises(BadInput, match="cannot be used so"):
        using.use(key, key_use, b"\1" * 32)
