"""Builds revocation lists (RFC 5280, 5) and answers (RFC 6960) from what is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cloud_keystore.model.pki.revocation import (
    ANSWER_LIFETIME,
    LIST_LIFETIME,
    SLOW_CLOCKS,
    Listed,
    RevocationReason,
    Revoked,
)
from cloud_keystore.pki.issuers import Authority

REASONS = {each: x509.ReasonFlags(each.value) for each in RevocationReason}


def revocation_list(
    issuer: Authority, entries: Iterable[Listed], number: int, now: datetime
) -> bytes:
    """The list of an authority, DER."""
    revoked = [_entry(each) for each in entries]
    # The builder's own method would copy the list for each entry.
    return (
        x509.CertificateRevocationListBuilder(revoked_certificates=revoked)
        .issuer_name(issuer.certificate.subject)
        .last_update(now - SLOW_CLOCKS)
        .next_update(now + LIST_LIFETIME)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private.public_key()),
            critical=False,
        )
        .sign(issuer.private, SHA256())
        .public_bytes(Encoding.DER)
    )


def _entry(entry: Listed) -> x509.RevokedCertificate:
    revoked = entry.revoked
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int.from_bytes(entry.serial))
        .revocation_date(revoked.time)
    )
    # The reason "unspecified" is told by none (5.3.1).
    if revoked.reason is not RevocationReason.UNSPECIFIED:
        builder = builder.add_extension(x509.CRLReason(REASONS[revoked.reason]), critical=False)
    if revoked.invalid_time is not None:
        builder = builder.add_extension(x509.InvalidityDate(revoked.invalid_time), critical=False)
    return builder.build()


def answer(
    request: ocsp.OCSPRequest,
    responder: Authority,
    known: bool,
    revoked: Revoked | None,
    now: datetime,
) -> bytes:
    """The answer to a request about a certificate, DER; `known` is whether it was issued."""
    status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            request.issuer_name_hash,
            request.issuer_key_hash,
            request.serial_number,
            request.hash_algorithm,
            status if known else ocsp.OCSPCertStatus.UNKNOWN,
            now - SLOW_CLOCKS,
            min(now + ANSWER_LIFETIME, responder.end),
            None if revoked is None else revoked.time,
            None if revoked is None else _told(revoked.reason),
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        .certificates([responder.certificate])
    )
    for each in request.extensions:
        if isinstance(each.value, x509.OCSPNonce):
            builder = builder.add_extension(each.value, critical=False)
    return builder.sign(responder.private, SHA256()).public_bytes(Encoding.DER)


def _told(reason: RevocationReason) -> x509.ReasonFlags | None:
    return None if reason is RevocationReason.UNSPECIFIED else REASONS[reason]


def refusal(status: ocsp.OCSPResponseStatus) -> bytes:
    """An answer that says why there is none, DER. It is not signed (RFC 6960, 2.3)."""
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
