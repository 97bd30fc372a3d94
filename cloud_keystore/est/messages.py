"""What goes over the wire in EST: requests and certificates, in base64 (RFC 7030, 4; RFC 8951)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from asn1crypto import cms
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

REQUEST = "application/pkcs10"
CERTIFICATES = "application/pkcs7-mime"
MOST_CERTIFICATES = 20  # in one message
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class NoCertificates(Exception):
    """A message has no certificates that can be read; the text says what is wrong."""


def encode(der: bytes) -> bytes:
    """A message: base64, in lines."""
    return base64.encodebytes(der)


def certificates(body: bytes) -> Sequence[x509.Certificate]:
    """The certificates of a message, which has nothing else (RFC 7030, 4.1.3 and 4.2.3). Raises
    NoCertificates.
    """
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except ValueError:
        raise NoCertificates("it is not in base64") from None
    try:
        content = cms.ContentInfo.load(der, strict=True)["content"]
        # Servers leave them in an order that is not that of DER.
        ders = [each.chosen.dump() for each in content["certificates"]]
    # What is no PKCS#7, of every kind
    except Exception:
        raise NoCertificates("it is no PKCS#7 with certificates") from None
    if not 0 < len(ders) <= MOST_CERTIFICATES:
        raise NoCertificates(f"it has {len(ders)} certificates")
    return [certificate(each) for each in ders]


def certificate(der: bytes) -> x509.Certificate:
    """Read a certificate; raises NoCertificates."""
    try:
        found = x509.load_der_x509_certificate(der)
        # Nothing is read before it is asked for.
        _ = found.extensions, found.public_key(), found.subject, found.issuer
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise NoCertificates("one of its certificates cannot be read") from None
    return found


def is_for(certificate: x509.Certificate, csr: bytes) -> bool:
    """Whether a certificate is for the key of a request, DER."""
    public = x509.load_der_x509_csr(csr).public_key()
    return certificate.public_key().public_bytes(*SPKI) == public.public_bytes(*SPKI)


def leads_to(found: Sequence[x509.Certificate], trusted: bytes) -> bool:
    """Whether an authority, DER, is among some, or has issued one of them."""
    anchor = x509.load_der_x509_certificate(trusted)
    return any(each == anchor or _issued(anchor, each) for each in found)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    # Every signature that is none, of every kind of key
    except Exception:
        return False
    return True
