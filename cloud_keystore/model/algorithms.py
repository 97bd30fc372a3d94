"""Algorithms of keys, by PIV's identifiers, and what keys are used for."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class Algorithm(IntEnum):
    """Algorithms of private keys (SP 800-78-5, table 9); the last three are not NIST's, but those
    of Yubico and others.
    """

    RSA_3072 = 0x05
    RSA_2048 = 0x07
    ECC_P256 = 0x11
    ECC_P384 = 0x14
    RSA_4096 = 0x16
    ED25519 = 0xE0
    X25519 = 0xE1


@unique
class Cipher(IntEnum):
    """Algorithms of management keys (SP 800-78-5, table 9)."""

    TDEA = 0x03  # three keys; deprecated
    AES_128 = 0x08
    AES_192 = 0x0A
    AES_256 = 0x0C


@unique
class CipherSuite(IntEnum):
    """Algorithms of secure messaging (SP 800-73-5 part 2, table 17)."""

    CS2 = 0x27
    CS7 = 0x2E


@unique
class KeyUse(IntEnum):
    """What a private key is used for; the numbers are those of `cloudcard.approval.v1.KeyUse`."""

    SIGN = 1
    DECRYPT = 2
    AGREE = 3


MODULUS_BYTES = {Algorithm.RSA_2048: 256, Algorithm.RSA_3072: 384, Algorithm.RSA_4096: 512}
FIELD_BYTES = {Algorithm.ECC_P256: 32, Algorithm.ECC_P384: 48}
SUITE_ALGORITHM = {
    CipherSuite.CS2: Algorithm.ECC_P256,
    CipherSuite.CS7: Algorithm.ECC_P384,
}
SUITE_OF = {algorithm: suite for suite, algorithm in SUITE_ALGORITHM.items()}

CAN_DO = {
    **dict.fromkeys(MODULUS_BYTES, frozenset({KeyUse.SIGN, KeyUse.DECRYPT})),
    **dict.fromkeys(FIELD_BYTES, frozenset({KeyUse.SIGN, KeyUse.AGREE})),
    Algorithm.ED25519: frozenset({KeyUse.SIGN}),
    Algorithm.X25519: frozenset({KeyUse.AGREE}),
}
"""What the mathematics of an algorithm allows; which of it a key may do is its profile's."""
