"""Private keys that were made elsewhere; they are checked as if an attacker had made them."""

from __future__ import annotations

from math import gcd

from card_os.piv.algorithms import MODULUS_BYTES, PUBLIC_EXPONENT
from private_keys import keys
from private_keys.keys import BadKey, PrivateKey

LEAST_DISTANCE_BITS = 100  # |p - q| > 2**(bits / 2 - 100) (FIPS 186-5, A.1.3)


def load(algorithm: int, private: bytes) -> PrivateKey:
    """Open a key that was made elsewhere; all numbers but the primes or the scalar are computed.

    Raises BadKey if the bytes are no key of this algorithm, or if others could find the key.
    """
    if len(set(private)) <= 1:
        raise BadKey("a private key must not be one byte, repeated")
    if algorithm not in MODULUS_BYTES:
        return keys.load(algorithm, private)
    _check_primes(MODULUS_BYTES[algorithm], private)
    try:
        # OpenSSL checks the key, and with it whether both are prime (RSA_check_key): a composite
        # passes with a probability below 2**-128.
        return keys.rsa_numbers(private).private_key()
    except (ValueError, ArithmeticError):
        raise BadKey("the numbers are not primes, or make no RSA key") from None


def _check_primes(size: int, private: bytes) -> None:
    keys.check_size(private, size)
    p, q = keys.primes(private)
    bits = size * 8
    if (p * q).bit_length() != bits:
        raise BadKey(f"the product of the primes does not have {bits} bits")
    if abs(p - q).bit_length() <= bits // 2 - LEAST_DISTANCE_BITS:
        raise BadKey("the primes are too close to each other: others could find them")
    if gcd(PUBLIC_EXPONENT, (p - 1) * (q - 1)) != 1:
        raise BadKey(
            f"the public exponent {PUBLIC_EXPONENT} has a factor in common with p-1 or q-1"
        )
