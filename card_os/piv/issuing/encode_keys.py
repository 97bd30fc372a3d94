"""Public keys as the card returns them, and the card verifiable certificate, for issuing cards."""

from __future__ import annotations

from card_os.piv.names import PublicKeyTag, Tag
from card_os.piv.sizes import GUID_BYTES
from card_os.tlv import encode

PROFILE_IDENTIFIER = b"\x80"
CARD_APPLICATION_KEY = b"\x00"  # role
ISSUER_BYTES = 8


def rsa_public_key(modulus: bytes, exponent: bytes) -> bytes:
    """The contents of template 7F49 for an RSA key (SP 800-73-5 part 2, table 21)."""
    return encode(PublicKeyTag.MODULUS, modulus) + encode(PublicKeyTag.EXPONENT, exponent)


def ecc_public_key(point: bytes) -> bytes:
    """The contents of template 7F49 for a key on a curve. The point is uncompressed; Curve25519 and
    Edwards25519 use the encoding of RFC 7748 and RFC 8032.
    """
    return encode(PublicKeyTag.POINT, point)


def verifiable_covered(issuer: bytes, guid: bytes, oid: bytes, point: bytes) -> bytes:
    """The bytes that the signature of a card verifiable certificate covers (part 2, 4.1.5).

    `issuer` is the start of the signer's subject key identifier, `oid` the curve's object
    identifier without tag and length, and `point` the public key for secure messaging. Raises
    ValueError if the issuer does not have 8 bytes or the GUID does not have 16.
    """
    if len(issuer) != ISSUER_BYTES or len(guid) != GUID_BYTES:
        raise ValueError("the issuer must have 8 bytes and the GUID 16")
    return (
        encode(0x5F29, PROFILE_IDENTIFIER)
        + encode(0x42, issuer)
        + encode(0x5F20, guid)
        + encode(Tag.PUBLIC_KEY, encode(0x06, oid), ecc_public_key(point))
        + encode(0x5F4C, CARD_APPLICATION_KEY)
    )


def verifiable_certificate(covered: bytes, signature: bytes) -> bytes:
    """The card verifiable certificate; `signature` is a DigitalSignature in DER (part 2, 4.1.5)."""
    return encode(Tag.VERIFIABLE_CERTIFICATE, covered, encode(0x5F37, signature))
