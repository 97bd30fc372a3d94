"""Public keys as cards show them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from card_os.piv.issuing import encode_keys
from cloud_keystore.custody.backends.keys import PublicKey


def load(der: bytes) -> PublicKey:
    """Read a SubjectPublicKeyInfo from the database; raises TypeError for another kind of key."""
    key = load_der_public_key(der)
    if not isinstance(
        key,
        rsa.RSAPublicKey
        | ec.EllipticCurvePublicKey
        | ed25519.Ed25519PublicKey
        | x25519.X25519PublicKey,
    ):
        raise TypeError("a card has no key of this kind")
    return key


def template(der: bytes) -> bytes:
    """The contents of template 7F49 of a key (SP 800-73-5 part 2, table 21)."""
    key = load(der)
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        exponent = numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)
        return encode_keys.rsa_public_key(numbers.n.to_bytes(key.key_size // 8), exponent)
    return encode_keys.ecc_public_key(point(key))


def point(
    key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | x25519.X25519PublicKey,
) -> bytes:
    """The point of a public key, uncompressed; for the curves of 25519, its 32 bytes."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return key.public_bytes_raw()
