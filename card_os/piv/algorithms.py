"""Sizes of keys and of their inputs, in bytes."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.piv.names import Algorithm, Cipher

MODULUS_BYTES: Mapping[int, int] = {
    Algorithm.RSA_2048: 256,
    Algorithm.RSA_3072: 384,
    Algorithm.RSA_4096: 512,
}
FIELD_BYTES: Mapping[int, int] = {Algorithm.ECC_P256: 32, Algorithm.ECC_P384: 48}
CURVE25519_BYTES = 32  # of private keys, public keys and shared secrets (RFC 7748, RFC 8032)

BLOCK_BYTES: Mapping[int, int] = {
    Cipher.TDEA: 8,
    Cipher.AES_128: 16,
    Cipher.AES_192: 16,
    Cipher.AES_256: 16,
}
MANAGEMENT_KEY_BYTES: Mapping[int, int] = {
    Cipher.TDEA: 24,
    Cipher.AES_128: 16,
    Cipher.AES_192: 24,
    Cipher.AES_256: 32,
}
