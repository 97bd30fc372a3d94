"""Whether a prescription's signature counts: what it signs, who has signed, and what was revoked
when. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import ReasonFlags

from cloudcard_tools.eps import fragments, signatures
from cloudcard_tools.eps.canonical import Unreadable
from cloudcard_tools.eps.signatures import Signature

SKEW = timedelta(minutes=5)
# After these the key was in wrong hands nobody knows since when: whatever it has signed is void.
VOID = frozenset((ReasonFlags.key_compromise, ReasonFlags.ca_compromise, ReasonFlags.aa_compromise))


class Invalid(Exception):
    """A signature that does not count; the text says why."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Authorities whose certificates sign prescriptions, those above them, and their lists."""

    authorities: Sequence[x509.Certificate]
    lists: Sequence[x509.CertificateRevocationList]


def check(prescription: bytes, signature: bytes, trust: Trust, now: datetime) -> x509.Certificate:
    """The certificate of who has signed a prescription. Raises Invalid."""
    try:
        found = fragments.of_prescription(prescription)
        read = signatures.parse(signature)
    except Unreadable as error:
        raise Invalid(str(error)) from None
    if read.signed_info != signatures.signed_info(found.content, read.algorithm):
        raise Invalid("the signature is of another prescription, or this one was changed")
    return _counting(read, found.time, trust, now)


def check_prepared(
    signed_info: bytes, signature: bytes, trust: Trust, now: datetime
) -> x509.Certificate:
    """The certificate of who has signed what `$prepare` has answered. That does not say when it was
    signed: a signature counts if it were one of now. Raises Invalid.
    """
    try:
        read = signatures.parse(signature)
    except Unreadable as error:
        raise Invalid(str(error)) from None
    if read.signed_info != signed_info:
        raise Invalid("the signature is of something else")
    return _counting(read, now, trust, now)


def _counting(read: Signature, time: datetime, trust: Trust, now: datetime) -> x509.Certificate:
    """The certificate of a signature that was made at a time. Raises Invalid."""
    if not read.is_right():
        raise Invalid(
            "the signature is not of the certificate's key, or that is no RSA key of "
            f"{signatures.LEAST_BITS} bits or more"
        )
    if time > now + SKEW:
        raise Invalid("the prescription is signed at a time that is still to come")
    _require_signing(read.certificate, time)
    issuer = _issuer(read.certificate, trust)
    _require_in_force(read.certificate, issuer, trust, time, now)
    while issuer.subject != issuer.issuer:
        above = _issuer(issuer, trust)
        _require_in_force(issuer, above, trust, time, now)
        issuer = above
    return read.certificate


def _require_signing(certificate: x509.Certificate, time: datetime) -> None:
    """Raise Invalid unless the certificate is for signatures that bind, and was when it signed."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise Invalid("the certificate does not say what its key is for") from None
    if not usage.content_commitment:
        raise Invalid("the certificate is not for signatures that bind (contentCommitment)")
    try:
        period = certificate.extensions.get_extension_for_class(x509.PrivateKeyUsagePeriod).value
    except x509.ExtensionNotFound:
        return
    if period.not_after is not None and time > _aware(period.not_after, time):
        raise Invalid("the key was not to be used any more when it signed")


def _issuer(certificate: x509.Certificate, trust: Trust) -> x509.Certificate:
    for each in trust.authorities:
        try:
            certificate.verify_directly_issued_by(each)
        except (ValueError, TypeError, InvalidSignature):
            continue
        if each != certificate and _is_authority(each):
            return each
    raise Invalid("no authority that is known here has issued the certificate")


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _require_in_force(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    trust: Trust,
    time: datetime,
    now: datetime,
) -> None:
    """Raise Invalid unless a certificate and its issuer were valid at a time, and no revocation
    reaches back to it.
    """
    for each in (certificate, issuer):
        if not each.not_valid_before_utc <= time <= each.not_valid_after_utc:
            raise Invalid("the certificate, or one above it, was not valid when it signed")
    lists = [each for each in trust.lists if _is_of(each, issuer) and _counts(each, now)]
    if not lists:
        raise Invalid("there is no revocation list of the authority that is valid now")
    for found in lists:
        entry = found.get_revoked_certificate_by_serial_number(certificate.serial_number)
        if entry is not None and _reaches(entry, time):
            raise Invalid("the certificate, or one above it, was revoked")


def _reaches(entry: x509.RevokedCertificate, time: datetime) -> bool:
    """Whether a revocation voids what was signed at a time."""
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        reason = ReasonFlags.unspecified
    if reason is ReasonFlags.remove_from_crl:
        return False
    return reason in VOID or time >= entry.revocation_date_utc


def _is_of(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return False
    return found.issuer == issuer.subject and found.is_signature_valid(key)


def _counts(found: x509.CertificateRevocationList, now: datetime) -> bool:
    end = found.next_update_utc
    return found.last_update_utc - SKEW <= now and end is not None and now <= end


def _aware(moment: datetime, like: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=like.tzinfo)
