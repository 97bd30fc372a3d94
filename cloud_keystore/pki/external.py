"""Certificates from authorities outside of the keystore: whether they can be trusted, and are what
was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.external import LARGEST_CERTIFICATE, Csr, ExternalAuthority
from cloud_keystore.pki import certificates, csrs
from cloud_keystore.pki.building import CLOCK_TOLERANCE

T = TypeVar("T", bound=x509.ExtensionType)
LONGEST_CHAIN = 4  # authorities between that which is trusted and the certificate


class NotCertified(Exception):
    """A certificate is not installed; the text says why, `fix` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Certified:
    """A certificate that can be installed. `subject` is what it names, if that was not asked
    for.
    """

    end: datetime
    named_sha256: bytes
    serial: str
    subject: str
    chain: Sequence[x509.Certificate]  # from itself to what is below the trusted one


def read(der: bytes) -> x509.Certificate:
    """Read a certificate; raises InvalidInput."""
    if len(der) > LARGEST_CERTIFICATE:
        raise InvalidInput(f"certificate has {len(der)} bytes: at most {LARGEST_CERTIFICATE} go")
    try:
        found = x509.load_der_x509_certificate(der)
        # Nothing is read before it is asked for.
        _ = found.extensions, found.public_key(), found.subject, found.issuer
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        raise InvalidInput("certificate is not one of X.509 in DER") from None
    return found


def public_sha256(certificate: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """By which a certificate finds its request."""
    public = certificate.public_key()
    return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def check_authority(der: bytes, now: datetime) -> None:
    """Raise InvalidInput unless a certificate is that of an authority, and lasts."""
    certificate = read(der)
    if not is_authority(certificate):
        raise InvalidInput("certificate is not that of an authority: it may issue no others")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise InvalidInput("certificate is not that of an authority: its key signs no others")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise InvalidInput("certificate has ended, or is not valid yet")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether a certificate lets its subject issue others."""
    basic = _extension(certificate, x509.BasicConstraints)
    return basic is not None and basic.ca


def check(
    certificate: x509.Certificate,
    asked: Csr,
    trusted: bytes,
    between: Sequence[x509.Certificate],
    now: datetime,
) -> Certified:
    """Look at a certificate for a key. Raises NotCertified unless it is valid, leads to the trusted
    authority (DER) by way of those between, and lets the key do what it is for and issue nothing.
    """
    if is_authority(certificate):
        raise NotCertified(
            "it is that of an authority", "have the key certified as that of a person, not as a CA"
        )
    if now >= certificate.not_valid_after_utc:
        raise NotCertified(
            f"it ended on {certificate.not_valid_after_utc:%Y-%m-%d}",
            "have the key certified again",
        )
    if now + CLOCK_TOLERANCE < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc
        raise NotCertified(
            f"it is not valid before {since:%Y-%m-%d %H:%M} UTC", "bring it again after that"
        )
    subject, needed = csrs.wanted(asked.csr)
    usage = _extension(certificate, x509.KeyUsage)
    has = frozenset[str]() if usage is None else certificates.usages(usage)
    if lacking := needed - has:
        raise NotCertified(
            f"it lacks the key usage {', '.join(sorted(lacking))}",
            "have the key certified as its request asks",
        )
    if has & {"key_cert_sign", "crl_sign"}:
        raise NotCertified(
            "its key usage is that of an authority", "have the key certified as its request asks"
        )
    moment = max(now, certificate.not_valid_before_utc)
    chain = _check_chain(certificate, trusted, between, moment)
    named = certificate.issuer.public_bytes() + certificate.serial_number.to_bytes(21)
    return Certified(
        certificate.not_valid_after_utc,
        sha256(named).digest(),
        f"{certificate.serial_number:x}",
        "" if certificate.subject == subject else certificate.subject.rfc4514_string(),
        chain,
    )


def check_below(der: bytes, others: Sequence[bytes]) -> None:
    """Raise InvalidInput unless a chain of certificates leads from that of an authority to the
    first of the others, DER, by way of the rest. Each may have so many authorities below it.
    """
    above = [x509.load_der_x509_certificate(each) for each in others]
    certificate, seen = x509.load_der_x509_certificate(der), 1
    while seen <= LONGEST_CHAIN:
        issuer = next((each for each in above if _has_issued(each, certificate, seen)), None)
        if issuer is None:
            break
        if issuer is above[0]:
            return
        above.remove(issuer)
        certificate, seen = issuer, seen + 1
    raise InvalidInput(
        f"no chain of certificates leads from it to {above[0].subject.rfc4514_string()}: have the "
        "authorities between trusted below that one first, or name another one"
    )


def is_below(lower: ExternalAuthority, upper: ExternalAuthority) -> bool:
    """Whether one authority's certificate was issued by another."""
    issuer = x509.load_der_x509_certificate(upper.certificate)
    return _has_issued(issuer, x509.load_der_x509_certificate(lower.certificate), 0)


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate, below: int) -> bool:
    basic = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if basic.path_length is not None and basic.path_length < below:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _check_chain(
    certificate: x509.Certificate,
    trusted: bytes,
    between: Sequence[x509.Certificate],
    now: datetime,
) -> Sequence[x509.Certificate]:
    anchor = x509.load_der_x509_certificate(trusted)
    # What is asked of certificates of the web is not asked of these. Policies are for whoever
    # relies on a card, and are often critical.
    anybody = ExtensionPolicy.permit_all().may_be_present(
        x509.CertificatePolicies, Criticality.AGNOSTIC, None
    )
    authorities = anybody.require_present(
        x509.BasicConstraints, Criticality.AGNOSTIC, _is_of_authority
    )
    verifier = (
        PolicyBuilder()
        .store(Store([anchor]))
        .time(now)
        .max_chain_depth(LONGEST_CHAIN)
        .extension_policies(ca_policy=authorities, ee_policy=anybody)
        .build_client_verifier()
    )
    try:
        return verifier.verify(certificate, list(between)).chain[:-1]
    except VerificationError:
        raise NotCertified(
            f"no chain of valid certificates leads from it to {anchor.subject.rfc4514_string()}",
            "bring the certificates of the authorities between as well, or have the authority of "
            "this card certify the key",
        ) from None


def _is_of_authority(
    _policy: object, _certificate: x509.Certificate, basic: x509.BasicConstraints
) -> None:
    if not basic.ca:
        raise ValueError("no authority")


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
