"""Software keys agree with an independent implementation."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.custody import software
from cloud_keystore.model.algorithms import Algorithm, KeyUse
from cloud_keystore.model.errors import MalformedKeyInput

RSA = software.generate(Algorithm.RSA_2048)
EC = software.generate(Algorithm.ECC_P256)


def rsa_public() -> rsa.RSAPublicKey:
    public = RSA.private.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    return public


def test_raw_rsa_signs() -> None:
    digest_info = bytes.fromhex("3031300d060960864801650304020105000420") + b"\x42" * 32
    block = b"\0\1" + b"\xff" * (253 - len(digest_info)) + b"\0" + digest_info
    signature = software.use(RSA.pkcs8, KeyUse.SIGN, block, os.urandom)
    rsa_public().verify(signature, b"\x42" * 32, rsa_padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def test_raw_rsa_decrypts() -> None:
    cryptogram = rsa_public().encrypt(b"for Ada", rsa_padding.PKCS1v15())
    block = software.use(RSA.pkcs8, KeyUse.DECRYPT, cryptogram, os.urandom)
    assert block.startswith(b"\0\2")
    assert block.endswith(b"\0for Ada")


def test_a_block_beyond_the_modulus_is_refused() -> None:
    with pytest.raises(MalformedKeyInput):
        software.use(RSA.pkcs8, KeyUse.DECRYPT, b"\xff" * 256, os.urandom)


@pytest.mark.parametrize("size", [1, 20, 28, 32, 48, 64])
def test_ecdsa_takes_digests_of_any_length(size: int) -> None:
    digest = os.urandom(size)
    signature = software.use(EC.pkcs8, KeyUse.SIGN, digest, os.urandom)
    public = EC.private.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    fitted = digest[:32].rjust(32, b"\0")
    public.verify(signature, fitted, ec.ECDSA(Prehashed(hashes.SHA256())))


def test_ecdh_agrees_with_the_peer() -> None:
    peer = ec.generate_private_key(ec.SECP256R1())
    point = peer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    public = EC.private.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert software.use(EC.pkcs8, KeyUse.AGREE, point, os.urandom) == peer.exchange(
        ec.ECDH(), public
    )


def test_no_secret_in_a_repr() -> None:
    assert "pkcs8" not in repr(RSA)
    assert "RSAPrivateKey" not in repr(RSA)


def test_a_key_is_not_used_for_what_it_cannot_do() -> None:
    with pytest.raises(MalformedKeyInput):
        software.use(EC.pkcs8, KeyUse.DECRYPT, b"\1" * 32, os.urandom)
