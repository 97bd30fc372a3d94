"""The proof at log-in: a PKCS#7 signature (CMS, RFC 5652) over the broker's challenge. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from hashlib import new

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

# SHA-1 is what clients of this broker sign with.
HASHES: Mapping[str, HashAlgorithm] = {"sha1": SHA1(), "sha256": SHA256()}  # noqa: S303
SEQUENCE = b"\x30"
MOST_BYTES = 24 * 1024


class BadProof(Exception):
    """A proof that proves nothing; the text says why."""


@dataclass(frozen=True, slots=True)
class _Signer:
    """The one signer of a proof, as far as it was read."""

    certificate: x509.Certificate
    digest: str
    signed: bytes
    value: bytes


def signer(encoded: str, challenge: bytes) -> bytes:
    """The certificate (DER) of the key that has signed a challenge. `encoded` is base64 of the DER,
    or of an S/MIME message with it. Raises BadProof.
    """
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except (ValueError, binascii.Error):
        raise BadProof("the signature is not encoded as base64") from None
    if len(content) > MOST_BYTES:
        raise BadProof("the signature is too long")
    if not content.startswith(SEQUENCE):
        payload = message_from_bytes(content).get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
    found = _read(content, challenge)
    try:
        match found.certificate.public_key():
            case RSAPublicKey() as key:
                key.verify(found.value, found.signed, PKCS1v15(), HASHES[found.digest])
            case EllipticCurvePublicKey() as key:
                key.verify(found.value, found.signed, ECDSA(HASHES[found.digest]))
            case _:
                raise BadProof("the certificate has a key of a kind that is not known here")
    except InvalidSignature:
        raise BadProof("the signature is not that of the card over this challenge") from None
    return found.certificate.public_bytes(Encoding.DER)


def _read(content: bytes, challenge: bytes) -> _Signer:
    """Raises BadProof."""
    try:
        whole = cms.ContentInfo.load(content, strict=True)
        if whole["content_type"].native != "signed_data":
            raise BadProof("the signature is no SignedData of PKCS#7")
        data = whole["content"]
        [one] = data["signer_infos"]
        [held] = [each.chosen for each in data["certificates"] if each.name == "certificate"]
        inside = data["encap_content_info"]["content"].native
        digest = one["digest_algorithm"]["algorithm"].native
        attributes = one["signed_attrs"]
        named = one["sid"].chosen.native if one["sid"].name == "issuer_and_serial_number" else {}
        value = one["signature"].native
        signed = _signed(attributes, digest, challenge)
        certificate = x509.load_der_x509_certificate(held.dump())
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BadProof("the signature is no PKCS#7 with one signer and one certificate") from None
    if inside is not None and inside != challenge:
        raise BadProof("the signature is over something else than the challenge")
    if named.get("serial_number") != certificate.serial_number:
        raise BadProof("the signer is not the one of the certificate")
    return _Signer(certificate, digest, signed, value)


def _signed(attributes: cms.CMSAttributes, digest: str, challenge: bytes) -> bytes:
    """The bytes that are signed: the challenge, or attributes with its digest. Raises BadProof."""
    if digest not in HASHES:
        raise BadProof(f"the digest is {' or '.join(HASHES)}")
    if not attributes:
        return challenge
    told = {each["type"].native: each["values"] for each in attributes}
    [own] = told["message_digest"]
    if own.native != new(digest, challenge).digest():
        raise BadProof("the signature is over something else than the challenge")
    return bytes(attributes.untag().dump(force=True))
