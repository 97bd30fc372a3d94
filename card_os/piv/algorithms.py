"""The algorithms of keys: sizes in bytes, public exponent, uses, and curves of cipher suites."""

from __future__ import annotations

from collections.abc import Mapping

from card_os.piv.names import Algorithm, Cipher, CipherSuite
from card_os.uses import KeyUse

PUBLIC_EXPONENT = 65537  # of all RSA keys (SP 800-78-5, 3.1)
MODULUS_BYTES: Mapping[int, int] = {
    Algorithm.RSA_1024: 128,
    Algorithm.RSA_2048: 256,
    Algorithm.RSA_3072: 384,
    Algorithm.RSA_4096: 512,
}
FIELD_BYTES: Mapping[int, int] = {Algorithm.ECC_P256: 32, Algorithm.ECC_P384: 48}
CURVE25519_BYTES = 32  # of private keys, public keys and shared secrets (RFC 7748, RFC 8032)
UNCOMPRESSED_POINT = b"\x04"  # first byte of a point (SEC 1, 2.3.3)
LONGEST_DIGEST = 64  # that an ECC key signs: SHA-512

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

INTEROPERABLE = frozenset(
    {Algorithm.RSA_2048, Algorithm.RSA_3072, Algorithm.ECC_P256, Algorithm.ECC_P384}
)  # in SP 800-78-5, and known to every client
CAN_DO: Mapping[int, frozenset[KeyUse]] = {
    **dict.fromkeys(MODULUS_BYTES, frozenset({KeyUse.SIGN, KeyUse.DECRYPT})),
    **dict.fromkeys(FIELD_BYTES, frozenset({KeyUse.SIGN, KeyUse.AGREE})),
    Algorithm.ED25519: frozenset({KeyUse.SIGN}),
    Algorithm.X25519: frozenset({KeyUse.AGREE}),
}
"""The uses that an algorithm supports; `rules` says which of them a key has."""

SUITE_ALGORITHM: Mapping[int, Algorithm] = {
    CipherSuite.CS2: Algorithm.ECC_P256,
    CipherSuite.CS7: Algorithm.ECC_P384,
}
"""The algorithm of key 04, by its cipher suite (SP 800-73-5 part 2, table 17)."""
SUITE_OF: Mapping[int, CipherSuite] = {SUITE_ALGORITHM[suite]: suite for suite in CipherSuite}
