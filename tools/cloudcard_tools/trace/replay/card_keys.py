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
from card_os.piv.image import CardImage
from card_os.piv.names import Algorithm

CURVES: Mapping[int, ec.EllipticCurve] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}
RSA = frozenset({Algorithm.RSA_2048, Algorithm.RSA_3072, Algorithm.RSA_4096})
PUBLIC_KEY, MODULUS, EXPONENT, POINT = 0x7F49, 0x81, 0x82, 0x86  # part 2, tables 10 and 11
CERTIFICATE, CERTIFICATE_INFO = 0x70, 0x71  # in a certificate object (part 1, table 10)
COMPRESSED = b"\x01"
LARGEST_CERTIFICATE = 64 * 1024  # bytes, also after decompression


def of_image(image: CardImage) -> Mapping[int, PublicKeyTypes]:
    """The keys of an image that can sign, by key reference."""
    made = {ref: of_template(key.algorithm, key.public) for ref, key in image.keys.items()}
    return {key_ref: key for key_ref, key in made.items() if key is not None}


def of_answer(algorithm: int, data: bytes) -> PublicKeyTypes | None:
    """The new key in a response to GENERATE ASYMMETRIC KEY PAIR."""
    try:
        return of_template(algorithm, tlv.decode_one(PUBLIC_KEY, data))
    except tlv.TlvError:
        return None


def of_template(algorithm: int, template: bytes) -> PublicKeyTypes | None:
    """The key in template 7F49; None if it cannot sign."""
    try:
        parts = dict(tlv.decode(template))
        if algorithm in RSA:
            exponent, modulus = (int.from_bytes(parts[tag]) for tag in (EXPONENT, MODULUS))
            return rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if algorithm in CURVES:
            return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[algorithm], parts[POINT])
        if algorithm == Algorithm.ED25519:
            return Ed25519PublicKey.from_public_bytes(parts[POINT])
    except (tlv.TlvError, KeyError, ValueError):
        return None
    return None


def of_certificate(contents: bytes) -> PublicKeyTypes | None:
    """The key in a certificate object, as GET DATA returns it; None if there is no readable one."""
    try:
        objects = dict(tlv.decode(tlv.decode_one(0x53, contents)))
        certificate = objects[CERTIFICATE]
        if objects.get(CERTIFICATE_INFO, b"\0") == COMPRESSED:
            certificate = zlib.decompressobj(wbits=31).decompress(certificate, LARGEST_CERTIFICATE)
        return x509.load_der_x509_certificate(certificate).public_key()
    except (tlv.TlvError, KeyError, ValueError, zlib.error, UnsupportedAlgorithm):
        return None
