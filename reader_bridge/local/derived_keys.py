"""Private keys that follow from a seed, for cards of tests: whoever has the seed has the keys.

The bytes that `random` gives are all that decides. They are the scalar of an ECC key, drawn anew
while it is none; the seed of a 25519 key; for RSA two odd numbers with their two highest bits set,
from each of which the next prime is taken that goes with the exponent 65537.
"""

from __future__ import annotations

from math import gcd

import gmpy2

from card_os.piv.algorithms import (
    CURVE25519_BYTES,
    FIELD_BYTES,
    MODULUS_BYTES,
    PUBLIC_EXPONENT,
    SUITE_ALGORITHM,
)
from private_keys.keys import BadKey, Random, load


def derive(algorithm: int, random: Random) -> bytes:
    """The private key of these random bytes, in the form of `ImportKey`."""
    algorithm = SUITE_ALGORITHM.get(algorithm, algorithm)
    if algorithm in MODULUS_BYTES:
        half = MODULUS_BYTES[algorithm] // 2
        first = second = _prime(random(half))
        while second == first:
            second = _prime(random(half))
        return first.to_bytes(half) + second.to_bytes(half)
    if algorithm in FIELD_BYTES:
        return _scalar(algorithm, random)
    return random(CURVE25519_BYTES)


def _scalar(algorithm: int, random: Random) -> bytes:
    while True:
        scalar = random(FIELD_BYTES[algorithm])
        try:
            load(algorithm, scalar)
        except BadKey:  # zero, or beyond the order: once in 2**32 draws
            continue
        return scalar


def _prime(drawn: bytes) -> int:
    """The first fitting prime from there on; the product of two has full length."""
    highest = 0b11 << (8 * len(drawn) - 2)
    prime = int(gmpy2.next_prime(int.from_bytes(drawn) | highest))
    while gcd(prime - 1, PUBLIC_EXPONENT) != 1:
        prime = int(gmpy2.next_prime(prime))
    return prime
