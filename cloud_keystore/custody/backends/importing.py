"""Private keys that were made elsewhere: checked as if an enemy had made them, then sealed."""

from __future__ import annotations

from math import gcd, lcm

import gmpy2
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cloud_keystore.custody.backends import arithmetic
from cloud_keystore.custody.backends.making import MadeKey, key_context
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.algorithms import FIELD_BYTES, MODULUS_BYTES, Algorithm
from cloud_keystore.model.cards import Sealed
from cloud_keystore.model.errors import MalformedKeyInput

SCALAR_BYTES_25519 = 32
PRIMALITY_TESTS = 44  # Miller-Rabin: a composite passes with less than 2**-88
LEAST_DISTANCE_BITS = 100  # of the primes, below half the modulus's (FIPS 186-5, A.1.3)


def import_key(key_id: str, algorithm: Algorithm, private: bytes, seal: Seal) -> MadeKey:
    """Seal a private key under its identifier. Its form is that of `ImportKeyRequest.private_key`.

    Raises MalformedKeyInput for what is no key of this algorithm, or one that others find out.
    """
    if len(set(private)) <= 1:
        raise MalformedKeyInput("a private key is not one byte, repeated")
    made = arithmetic.new_key(_load(algorithm, private))
    sealed = Sealed(seal.close(made.pkcs8, key_context(key_id)))
    return MadeKey(made.private.public_key(), sealed)


def _load(algorithm: Algorithm, private: bytes) -> arithmetic.PrivateKey:
    match algorithm:
        case Algorithm.RSA_2048 | Algorithm.RSA_3072 | Algorithm.RSA_4096:
            return _rsa(MODULUS_BYTES[algorithm], private)
        case Algorithm.ECC_P256 | Algorithm.ECC_P384:
            return _ec(algorithm, private)
        case Algorithm.ED25519:
            _check_size(private, SCALAR_BYTES_25519)
            return Ed25519PrivateKey.from_private_bytes(private)
        case Algorithm.X25519:
            _check_size(private, SCALAR_BYTES_25519)
            return X25519PrivateKey.from_private_bytes(private)


def _rsa(size: int, primes: bytes) -> rsa.RSAPrivateKey:
    """A key of two primes; all else is computed here and taken from nobody."""
    _check_size(primes, size)
    p, q = int.from_bytes(primes[: size // 2]), int.from_bytes(primes[size // 2 :])
    bits, e = size * 8, arithmetic.PUBLIC_EXPONENT
    if (p * q).bit_length() != bits:
        raise MalformedKeyInput(f"the product of the primes has not {bits} bits")
    if abs(p - q).bit_length() <= bits // 2 - LEAST_DISTANCE_BITS:
        raise MalformedKeyInput("the primes are too close to each other: they can be found")
    if gcd(e, (p - 1) * (q - 1)) != 1:
        raise MalformedKeyInput(f"the public exponent {e} does not go with these primes")
    if not all(gmpy2.is_prime(prime, PRIMALITY_TESTS) for prime in (p, q)):
        raise MalformedKeyInput("a number that should be prime is not")
    d = int(gmpy2.invert(e, lcm(p - 1, q - 1)))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=int(gmpy2.invert(q, p)),
        public_numbers=rsa.RSAPublicNumbers(e, p * q),
    )
    try:
        return numbers.private_key()
    except ValueError:
        raise MalformedKeyInput("the primes make no RSA key") from None


def _ec(algorithm: Algorithm, scalar: bytes) -> ec.EllipticCurvePrivateKey:
    _check_size(scalar, FIELD_BYTES[algorithm])
    try:
        return ec.derive_private_key(int.from_bytes(scalar), arithmetic.CURVES[algorithm])
    except ValueError:
        raise MalformedKeyInput("the scalar is not below the order of the curve") from None


def _check_size(private: bytes, size: int) -> None:
    if len(private) != size:
        raise MalformedKeyInput(f"the private key has {len(private)} bytes, not {size}")
