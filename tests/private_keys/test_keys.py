"""Private keys as bytes: what is made, written and opened again is the same key."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from card_os.piv.algorithms import CURVE25519_BYTES, FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm
from private_keys import importing, keys
from private_keys.keys import BadKey

SIZES = {
    **MODULUS_BYTES,
    **FIELD_BYTES,
    Algorithm.ED25519: CURVE25519_BYTES,
    Algorithm.X25519: CURVE25519_BYTES,
}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_made_key_is_opened_again(algorithm: Algorithm) -> None:
    made = keys.generate(algorithm)
    private = keys.encode(made)
    assert len(private) == SIZES[algorithm]
    for opened in (keys.load(algorithm, private), importing.load(algorithm, private)):
        assert opened.public_key() == made.public_key()


@pytest.mark.parametrize("algorithm", Algorithm)
@pytest.mark.parametrize("change", [-1, 1])
def test_bytes_of_another_length_are_no_key(algorithm: Algorithm, change: int) -> None:
    with pytest.raises(BadKey, match="bytes, not"):
        keys.load(algorithm, os.urandom(SIZES[algorithm] + change))


def test_numbers_without_an_exponent_are_no_key() -> None:
    with pytest.raises(BadKey, match="no RSA key"):
        keys.load(Algorithm.RSA_2048, bytes(256))


@pytest.mark.parametrize("algorithm", FIELD_BYTES)
def test_a_scalar_of_zero_is_no_key(algorithm: Algorithm) -> None:
    with pytest.raises(BadKey, match="scalar"):
        keys.load(algorithm, bytes(FIELD_BYTES[algorithm]))


@pytest.mark.parametrize("algorithm", [0x00, 0x15, 0x27, 0xFF])
def test_an_unknown_algorithm_is_refused(algorithm: int) -> None:
    with pytest.raises(BadKey, match="no algorithm"):
        keys.generate(algorithm)
    with pytest.raises(BadKey, match="no algorithm"):
        keys.load(algorithm, bytes(range(32)))


def test_a_small_scalar_keeps_its_length() -> None:
    private = (7).to_bytes(48)
    opened = keys.load(Algorithm.ECC_P384, private)
    assert isinstance(opened, ec.EllipticCurvePrivateKey)
    assert keys.encode(opened) == private
    assert len(keys.point(opened)) == 97


def test_every_rsa_key_has_the_exponent_of_the_standard() -> None:
    made = keys.generate(Algorithm.RSA_2048)
    assert isinstance(made, rsa.RSAPrivateKey)
    assert made.public_key().public_numbers().e == 65537
