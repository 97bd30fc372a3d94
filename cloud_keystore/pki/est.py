"""What the keystore knows of EST servers, and whether their answers are what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.est import Credentials, EstServer
from cloud_keystore.model.pki.external import Csr
from cloud_keystore.pki import csrs, external
from cloud_keystore.pki.external import NotCertified

MOST_ANCHORS = 10
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_server(server: EstServer, credentials: Credentials, now: datetime) -> None:
    """Raise InvalidInput unless a server can be known, and the keystore there."""
    anchors = read_pem(server.anchors, "anchors")
    if not any(each.not_valid_before_utc <= now < each.not_valid_after_utc for each in anchors):
        raise InvalidInput("anchors have ended, or are not valid yet")
    if not server.user and not server.certificate:
        raise InvalidInput(
            "the server knows the keystore by a user and password, or by a certificate: give one"
        )
    if bool(server.user) != bool(credentials.password):
        raise InvalidInput("user and password go together")
    if bool(server.certificate) != bool(credentials.private):
        raise InvalidInput("a certificate and its private key go together")
    if server.certificate:
        _check_pair(read_pem(server.certificate, "certificate")[0], credentials.private, now)


def read_pem(pem: bytes, what: str) -> Sequence[x509.Certificate]:
    """Read certificates, PEM; raises InvalidInput."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        found = []
    if not 0 < len(found) <= MOST_ANCHORS:
        raise InvalidInput(f"{what} is to hold 1 to {MOST_ANCHORS} certificates, PEM")
    return found


def pem(der: bytes) -> bytes:
    """A certificate, DER, as PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def check_answer(certificate: x509.Certificate, asked: Csr, *, any_subject: bool) -> None:
    """Raise NotCertified unless a certificate is for the key and, unless any is taken, for the
    names that were asked for.
    """
    if external.public_sha256(certificate) != asked.public_sha256:
        raise NotCertified(
            "the certificate is for another key", "look at the EST server: it mixes up requests"
        )
    request = x509.load_der_x509_csr(asked.csr)
    if any_subject or csrs.names(certificate) == csrs.names(request):
        return
    raise NotCertified(
        f"the certificate names {certificate.subject.rfc4514_string()[:100]}, or has other names "
        "of the subject than were asked for",
        "have the authority take the names of the request, or allow others: "
        "`cloudcard ra ca est --any-subject`",
    )


def _check_pair(certificate: x509.Certificate, pem: bytes, now: datetime) -> None:
    try:
        private = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput("private key is not one in PEM, without a password") from None
    if private.public_key().public_bytes(*SPKI) != certificate.public_key().public_bytes(*SPKI):
        raise InvalidInput("private key is not that of the first certificate")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidInput("certificate has ended, or is not valid yet")
