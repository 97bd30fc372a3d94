"""Private keys that follow from a seed, for cards of tests: a person who has the seed has the keys.

A key depends only on the bytes that `random` gives. For ECC they are the scalar, drawn again if it
is invalid; for 25519 they are the seed. For RSA they are two numbers whose two highest bits are
set, and each prime is the next one from there that fits the exponent 65537.
"""

from __future__ import annotations

from math import gcd

from card_os.piv.algorithms import (
    CURVE25519_BYTES,
    FIELD_BYTES,
    MODULUS_BYTES,
    PUBLIC_EXPONENT,
    SUITE_ALGORITHM,
)
from private_keys.keys import BadKey, Random, load
from private_keys.libcrypto import is_prime


def derive(algorithm: int, random: Random) -> bytes:
    """The private key that follows from these random bytes, in the form of `ImportKey`."""
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
        except BadKey:  # zero or above the order: once in 2**32 draws
            continue
        return scalar


def _prime(drawn: bytes) -> int:
    """The first fitting prime above `drawn`; the product of two such primes has full length."""
    highest = 0b11 << (8 * len(drawn) - 2)
    number = (int.from_bytes(drawn) | highest) + 1 | 1
    while gcd(number - 1, PUBLIC_EXPONENT) != 1 or not is_prime(number):
        number += 2
    return number
