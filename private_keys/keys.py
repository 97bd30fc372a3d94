"""Generates and opens private keys. Their bytes have the form of `ImportKey` in `card_os`: two
primes of equal length, a scalar as long as the field, or the 32 bytes of curve 25519.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from card_os.piv.algorithms import CURVE25519_BYTES, FIELD_BYTES, MODULUS_BYTES, PUBLIC_EXPONENT
from card_os.piv.names import Algorithm

Random: TypeAlias = Callable[[int], bytes]
PrivateKey: TypeAlias = (
    "rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | X25519PrivateKey"
)

CURVES: Mapping[int, ec.EllipticCurve] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}
# For each curve, a hash as long as the field: with it, ECDSA takes the prepared bytes unchanged.
FIELD_HASH: Mapping[str, SHA256 | SHA384] = {"secp256r1": SHA256(), "secp384r1": SHA384()}


class BadKey(ValueError):
    """The bytes are no private key of the algorithm, or others could find the key."""


def generate(algorithm: int) -> PrivateKey:
    """Generate a private key with OpenSSL's own randomness.

    Raises BadKey for an unknown algorithm.
    """
    if algorithm in MODULUS_BYTES:
        return rsa.generate_private_key(PUBLIC_EXPONENT, MODULUS_BYTES[algorithm] * 8)
    if algorithm in CURVES:
        return ec.generate_private_key(CURVES[algorithm])
    match algorithm:
        case Algorithm.ED25519:
            return Ed25519PrivateKey.generate()
        case Algorithm.X25519:
            return X25519PrivateKey.generate()
    raise BadKey(f"{algorithm:02X} is no algorithm of a private key")


def encode(key: PrivateKey) -> bytes:
    """Return the bytes of a key, in the form that `load` reads."""
    match key:
        case rsa.RSAPrivateKey():
            numbers, half = key.private_numbers(), key.key_size // 16
            return numbers.p.to_bytes(half) + numbers.q.to_bytes(half)
        case ec.EllipticCurvePrivateKey():
            return key.private_numbers().private_value.to_bytes(field_bytes(key.curve))
        case _:
            return key.private_bytes_raw()


def load(algorithm: int, private: bytes) -> PrivateKey:
    """Open a key that was made here, or that `importing` has accepted. Primes are not checked.

    Raises BadKey if the bytes cannot be a key of the algorithm.
    """
    if algorithm in MODULUS_BYTES:
        check_size(private, MODULUS_BYTES[algorithm])
        try:
            return rsa_numbers(private).private_key(unsafe_skip_rsa_key_validation=True)
        except (ValueError, ArithmeticError):
            raise BadKey("the primes make no RSA key") from None
    if algorithm in CURVES:
        check_size(private, FIELD_BYTES[algorithm])
        try:
            return ec.derive_private_key(int.from_bytes(private), CURVES[algorithm])
        except ValueError:
            raise BadKey("the scalar is zero or not below the order of the curve") from None
    match algorithm:
        case Algorithm.ED25519:
            check_size(private, CURVE25519_BYTES)
            return Ed25519PrivateKey.from_private_bytes(private)
        case Algorithm.X25519:
            check_size(private, CURVE25519_BYTES)
            return X25519PrivateKey.from_private_bytes(private)
    raise BadKey(f"{algorithm:02X} is no algorithm of a private key")


def primes(private: bytes) -> tuple[int, int]:
    """The two primes of an RSA key's bytes."""
    half = len(private) // 2
    return int.from_bytes(private[:half]), int.from_bytes(private[half:])


def rsa_numbers(private: bytes) -> rsa.RSAPrivateNumbers:
    """Compute all numbers of an RSA key from its primes; raises ValueError or ArithmeticError if
    none exist.
    """
    p, q = primes(private)
    d = pow(PUBLIC_EXPONENT, -1, lcm(p - 1, q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=pow(q, -1, p),
        public_numbers=rsa.RSAPublicNumbers(PUBLIC_EXPONENT, p * q),
    )


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the public point, uncompressed."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def field_bytes(curve: ec.EllipticCurve) -> int:
    """Return the length of a scalar and of a coordinate, in bytes."""
    return (curve.key_size + 7) // 8


def check_size(private: bytes, size: int) -> None:
    """Raise BadKey unless the key has this size, in bytes."""
    if len(private) != size:
        raise BadKey(f"the private key has {len(private)} bytes, not {size}")
