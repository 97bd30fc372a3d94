"""Certificates of identities: what is asked for, and what is issued."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.people import IDENTITY_LIFETIME
from cloud_keystore.pki.building import begin, named
from cloud_keystore.pki.issuers import TRANSPORT_TOLERANCE, Authority

LARGEST_CSR = 4096


def requested_key(csr: bytes) -> ec.EllipticCurvePublicKey:
    """The key for which a certificate is asked. Raises InvalidInput unless it is of P-256, and has
    signed the request.
    """
    if len(csr) > LARGEST_CSR:
        raise InvalidInput(f"csr has {len(csr)} bytes: at most {LARGEST_CSR} are taken")
    try:
        request = x509.load_der_x509_csr(csr)
        key = request.public_key()
        valid = request.is_signature_valid
    except ValueError:
        raise InvalidInput("csr is not a PKCS#10 request in DER") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("csr has a key that is not of P-256")
    if not valid:
        raise InvalidInput("csr is not signed by its own key")
    return key


def check_name(csr: bytes, *names: str) -> None:
    """Raise InvalidInput unless a request names nobody, or one of these by its common name alone.
    The certificate says who it is for, whatever the request does.
    """
    try:
        found = [each.value for each in x509.load_der_x509_csr(csr).subject]
    except ValueError:
        raise InvalidInput("csr has a subject that cannot be read") from None
    if found and (len(found) > 1 or found[0] not in names):
        raise InvalidInput(
            "csr names another subject than this is for: leave it out, or give the name under "
            "which the workstation was added"
        )


def public_der(key: ec.EllipticCurvePublicKey) -> bytes:
    """The key as SubjectPublicKeyInfo, DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def read_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a SubjectPublicKeyInfo; raises InvalidInput unless it is of P-256."""
    try:
        key = load_der_public_key(der)
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("the key is not of P-256")
    return key


def certify(
    identity_id: str, key: ec.EllipticCurvePublicKey, issuer: Authority, now: datetime
) -> x509.Certificate:
    """The certificate by which a client is known as an identity."""
    not_before = now - TRANSPORT_TOLERANCE
    builder = begin(named(identity_id), key, issuer, now, IDENTITY_LIFETIME, not_before=not_before)
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return builder.add_extension(usage, critical=False).sign(issuer.private, SHA256())
