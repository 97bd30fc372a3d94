"""Private keys from elsewhere: good ones work, weak and broken ones are refused."""

from __future__ import annotations

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from card_os.piv.algorithms import CURVE25519_BYTES, FIELD_BYTES, MODULUS_BYTES
from card_os.piv.names import Algorithm
from private_keys import importing
from private_keys.keys import BadKey

RSA = rsa.generate_private_key(65537, 2048)
RSA_NUMBERS = RSA.private_numbers()
CURVES = {Algorithm.ECC_P256: ec.SECP256R1(), Algorithm.ECC_P384: ec.SECP384R1()}


def primes(p: int, q: int, size: int = 128) -> bytes:
    return p.to_bytes(size) + q.to_bytes(size)


def refused(algorithm: Algorithm, private: bytes) -> bool:
    try:
        importing.load(algorithm, private)
    except BadKey:
        return True
    return False


def test_an_rsa_key_is_computed_from_its_primes() -> None:
    for numbers in (primes(RSA_NUMBERS.p, RSA_NUMBERS.q), primes(RSA_NUMBERS.q, RSA_NUMBERS.p)):
        key = importing.load(Algorithm.RSA_2048, numbers)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.public_key() == RSA.public_key()


@pytest.mark.parametrize("algorithm", FIELD_BYTES)
def test_an_ec_key(algorithm: Algorithm) -> None:
    made = ec.generate_private_key(CURVES[algorithm])
    scalar = made.private_numbers().private_value.to_bytes(FIELD_BYTES[algorithm])
    key = importing.load(algorithm, scalar)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == made.public_key()


def test_keys_of_25519() -> None:
    signing, agreeing = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
    key = importing.load(Algorithm.ED25519, signing.private_bytes_raw())
    assert isinstance(key, Ed25519PrivateKey)
    assert key.public_key() == signing.public_key()
    other = importing.load(Algorithm.X25519, agreeing.private_bytes_raw())
    assert isinstance(other, X25519PrivateKey)
    assert other.public_key() == agreeing.public_key()


P, Q = RSA_NUMBERS.p, RSA_NUMBERS.q
CLOSE = int(gmpy2.next_prime(P))
MULTIPLE = P // 6 * 6 + 3  # of three, and odd


def smooth_to_the_exponent() -> int:
    """A prime that leaves 1 modulo 65537, so 65537 has no inverse."""
    candidate = (P // 65537) * 65537 + 1
    while not (candidate % 2 and gmpy2.is_prime(candidate)):
        candidate += 65537
    return candidate


@pytest.mark.parametrize(
    "private",
    [
        primes(P, P),
        primes(P, CLOSE),  # Fermat finds them
        primes(P, Q + 2 if not gmpy2.is_prime(Q + 2) else Q + 4),
        primes(P, int(gmpy2.next_prime(1 << 1000))),  # the modulus is too short
        primes(MULTIPLE, Q),
        primes(smooth_to_the_exponent(), Q),
        primes(1, Q),
        primes(0, Q),
        primes(P, Q)[:-1],
        primes(P, Q) + b"\0",
        b"\xff" * 256,
        bytes(256),
        b"",
    ],
    ids=lambda private: f"{len(private)} bytes",
)
def test_bad_primes(private: bytes) -> None:
    assert refused(Algorithm.RSA_2048, private)


def test_primes_of_another_size() -> None:
    assert refused(Algorithm.RSA_3072, primes(P, Q))
    assert refused(Algorithm.RSA_4096, primes(P, Q, 256))


@pytest.mark.parametrize("algorithm", FIELD_BYTES)
@pytest.mark.parametrize("beyond", [0, 1, 2**64])
def test_a_scalar_beyond_the_order(algorithm: Algorithm, beyond: int) -> None:
    order = CURVES[algorithm].group_order
    size = FIELD_BYTES[algorithm]
    assert refused(algorithm, (order + beyond).to_bytes(size))
    assert not refused(algorithm, (order - 1).to_bytes(size))
    assert refused(algorithm, bytes(size))


@given(algorithm=st.sampled_from(Algorithm), private=st.binary(max_size=600))
def test_any_bytes_are_a_key_or_refused(algorithm: Algorithm, private: bytes) -> None:
    size = {**FIELD_BYTES, Algorithm.ED25519: 32, Algorithm.X25519: 32}.get(algorithm)
    assert refused(algorithm, private) or len(private) == size


@given(data=st.binary(min_size=256, max_size=256))
def test_any_primes_of_the_right_length(data: bytes) -> None:
    halves = int.from_bytes(data[:128]), int.from_bytes(data[128:])
    assert refused(Algorithm.RSA_2048, data) or all(map(gmpy2.is_prime, halves))


def test_no_secret_in_the_refusal() -> None:
    with pytest.raises(BadKey) as refusal:
        importing.load(Algorithm.ECC_P256, b"\x5a" * 31 + b"\x5b" * 2)
    assert "5a5a" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("algorithm", Algorithm)
def test_one_byte_repeated_is_no_key(algorithm: Algorithm) -> None:
    size = {**MODULUS_BYTES, **FIELD_BYTES}.get(algorithm, CURVE25519_BYTES)
    with pytest.raises(BadKey, match="repeated"):
        importing.load(algorithm, b"\x11" * size)


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(BadKey, match="15 is no algorithm"):
        importing.load(0x15, bytes(range(128)))
