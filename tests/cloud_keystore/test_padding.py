"""Which blocks a key accepts: what real software makes passes, every other use is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from cloud_keystore.custody import padding
from cloud_keystore.model.algorithms import Algorithm, KeyUse
from cloud_keystore.model.errors import MalformedKeyInput

KEY = rsa.generate_private_key(65537, 2048)
HASHES = [hashes.SHA1(), hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]


def raw_public(data: bytes) -> bytes:
    """The block inside a signature."""
    numbers = KEY.public_key().public_numbers()
    return pow(int.from_bytes(data), numbers.e, numbers.n).to_bytes(256)


def sign(block: bytes) -> None:
    padding.check(KeyUse.SIGN, Algorithm.RSA_2048, block)


def decrypt(block: bytes) -> None:
    padding.check(KeyUse.DECRYPT, Algorithm.RSA_2048, block)


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda each: each.name)
def test_pkcs1_blocks_of_real_signatures(algorithm: hashes.HashAlgorithm) -> None:
    block = raw_public(KEY.sign(b"document", rsa_padding.PKCS1v15(), algorithm))
    sign(block)
    with pytest.raises(MalformedKeyInput):
        decrypt(block)


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda each: each.name)
@pytest.mark.parametrize("salt", [0, 8, rsa_padding.PSS.DIGEST_LENGTH])
def test_pss_blocks_of_real_signatures(algorithm: hashes.HashAlgorithm, salt: int) -> None:
    scheme = rsa_padding.PSS(rsa_padding.MGF1(algorithm), salt)
    block = raw_public(KEY.sign(b"document", scheme, algorithm))
    sign(block)
    with pytest.raises(MalformedKeyInput):
        decrypt(block)


@pytest.mark.parametrize(
    "scheme",
    [
        rsa_padding.PKCS1v15(),
        rsa_padding.OAEP(rsa_padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    ],
)
def test_cryptograms_are_decrypted_and_not_signed(scheme: rsa_padding.AsymmetricPadding) -> None:
    cryptogram = KEY.public_key().encrypt(b"secret", scheme)
    decrypt(cryptogram)
    with pytest.raises(MalformedKeyInput):
        sign(cryptogram)


def block_of(info: bytes, kind: int = 1, filler: int = 0xFF) -> bytes:
    return bytes((0, kind)) + bytes((filler,)) * (253 - len(info)) + b"\0" + info


INFO = padding.DIGEST_INFO["sha256"][0] + b"\x55" * 32


@pytest.mark.parametrize(
    "block",
    [
        block_of(INFO, kind=2),
        block_of(INFO, filler=0xFE),
        block_of(INFO + b"\0"),
        block_of(b"\x55" * 32),
        block_of(INFO)[1:],
        block_of(INFO) + b"\0",
        b"\0\1\xff\0" + INFO.rjust(252, b"\0"),
        b"\0" * 256,
        b"\xff" * 256,
        b"\0" * 255 + b"\xbc",
        b"",
    ],
)
def test_blocks_that_only_look_like_signatures(block: bytes) -> None:
    with pytest.raises(MalformedKeyInput):
        sign(block)


@given(st.binary(min_size=256, max_size=256))
def test_no_block_is_both_signed_and_decrypted(block: bytes) -> None:
    accepted = []
    for use in (sign, decrypt):
        try:
            use(block)
            accepted.append(use)
        except MalformedKeyInput:
            pass
    assert len(accepted) < 2


@given(st.sampled_from(list(padding.CHECKS)), st.binary(max_size=300))
def test_any_input_is_taken_or_refused(case: tuple[KeyUse, Algorithm], data: bytes) -> None:
    with suppress(MalformedKeyInput):
        padding.check(*case, data)


@pytest.mark.parametrize(
    ("size", "good"), [(0, False), (1, True), (20, True), (64, True), (65, False)]
)
def test_digests(size: int, good: bool) -> None:
    if good:
        padding.check(KeyUse.SIGN, Algorithm.ECC_P256, b"\1" * size)
    else:
        with pytest.raises(MalformedKeyInput):
            padding.check(KeyUse.SIGN, Algorithm.ECC_P256, b"\1" * size)
