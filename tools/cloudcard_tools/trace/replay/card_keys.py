"""The public keys of a card, which verify its signatures. They come from an image, from a
certificate, or from the card's response when a key is made.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from card_os import tlv
from card_os.piv.algorithms import MODULUS_BYTES
from card_os.piv.image import CardImage
from card_os.piv.names import Algorithm, CertificateTag, PublicKeyTag, Tag

CURVES: Mapping[int, ec.EllipticCurve] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}
COMPRESSED = b"\x01"
LARGEST_CERTIFICATE = 64 * 1024  # bytes, also after decompression


def of_image(image: CardImage) -> Mapping[int, PublicKeyTypes]:
    """The keys of an image that can sign, by key reference."""
    made = {ref: of_template(key.algorithm, key.public) for ref, key in image.keys.items()}
    return {key_ref: key for key_ref, key in made.items() if key is not None}


def of_answer(algorithm: int, data: bytes) -> PublicKeyTypes | None:
    """The new key in a response to GENERATE ASYMMETRIC KEY PAIR."""
    try:
        return of_template(algorithm, tlv.decode_one(Tag.PUBLIC_KEY, data))
    except tlv.TlvError:
        return None


def of_template(algorithm: int, template: bytes) -> PublicKeyTypes | None:
    """The key in template 7F49; None if it cannot sign."""
    try:
        parts = dict(tlv.decode(template))
        if algorithm in MODULUS_BYTES:
            exponent, modulus = (
                int.from_bytes(parts[tag]) for tag in (PublicKeyTag.EXPONENT, PublicKeyTag.MODULUS)
            )
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if algorithm in CURVES:
            return ec.EllipticCurvePublicKey.from_encoded_point(
                CURVES[algorithm], parts[PublicKeyTag.POINT]
            )
        if algorithm == Algorithm.ED25519:
            return Ed25519PublicKey.from_public_bytes(parts[PublicKeyTag.POINT])
    except (tlv.TlvError, KeyError, ValueError):
        return None
    return None


def of_certificate(contents: bytes) -> PublicKeyTypes | None:
    """The key in a certificate object, as GET DATA returns it; None if there is no readable one."""
    try:
        objects = dict(tlv.decode(tlv.decode_one(Tag.DATA, contents)))
        certificate = objects[CertificateTag.CERTIFICATE]
        if objects.get(CertificateTag.INFO, b"\0") == COMPRESSED:
            certificate = zlib.decompressobj(wbits=31).decompress(certificate, LARGEST_CERTIFICATE)
        return x509.load_der_x509_certificate(certificate).public_key()
    except (tlv.TlvError, KeyError, ValueError, zlib.error, UnsupportedAlgorithm):
        return None
