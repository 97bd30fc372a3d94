"""Reads revocation lists of external authorities (RFC 5280, 5), and refuses what would say less
than it seems to. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.lists import LARGEST_FETCHED, Read
from cloud_keystore.model.pki.revocation import RevocationReason, Revoked
from cloud_keystore.pki.building import CLOCK_TOLERANCE

PEM = b"-----BEGIN X509 CRL-----"
BROKEN = (MD5, SHA1)
LARGEST_NUMBER = 1 << 160  # RFC 5280, 5.2.3
KNOWN = frozenset({x509.CRLNumber.oid, x509.AuthorityKeyIdentifier.oid})
# Reasons that cards do not have are those that come closest.
REASONS: Mapping[x509.ReasonFlags, RevocationReason] = MappingProxyType(
    {
        **{x509.ReasonFlags(each.value): each for each in RevocationReason},
        x509.ReasonFlags.ca_compromise: RevocationReason.KEY_COMPROMISE,
        x509.ReasonFlags.aa_compromise: RevocationReason.KEY_COMPROMISE,
    }
)


def read(document: bytes, authority: bytes, now: datetime) -> Read:
    """Read a list, DER or PEM, that an authority, DER, has signed and that holds now. Raises
    InvalidInput for any other.
    """
    if len(document) > LARGEST_FETCHED:
        raise InvalidInput(
            f"the revocation list has {len(document)} bytes: at most {LARGEST_FETCHED} go"
        )
    found = _load(document)
    _check_issuer(found, x509.load_der_x509_certificate(authority))
    _check_whole(found)
    this_time, next_time = found.last_update_utc, found.next_update_utc
    if next_time is None:
        raise InvalidInput("the revocation list does not say when the next one comes (nextUpdate)")
    if this_time > now + CLOCK_TOLERANCE:
        raise InvalidInput(
            f"the revocation list is of {this_time:%Y-%m-%d %H:%M} UTC, which is to come: look at "
            "the clocks"
        )
    if now >= next_time:
        raise InvalidInput(
            f"the revocation list ended at {next_time:%Y-%m-%d %H:%M} UTC: get the newest one"
        )
    return Read(_number(found), this_time, next_time, _revoked(found))


def issued_by(document: bytes, authority: bytes) -> bool:
    """Whether a list says that it is that of an authority, DER. Raises InvalidInput for what is no
    list.
    """
    if len(document) > LARGEST_FETCHED:
        return False
    issuer = x509.load_der_x509_certificate(authority)
    found = _load(document)
    return found.issuer == issuer.subject and _is_signed(found, issuer)


def held(document: bytes) -> dict[int, Revoked]:
    """What a list says that was read before."""
    return _revoked(x509.load_der_x509_crl(document))


def names(document: bytes, serial: int) -> bool:
    """Whether a list, DER, that was read before has a certificate."""
    found = x509.load_der_x509_crl(document).get_revoked_certificate_by_serial_number(serial)
    return found is not None and _entry(found)[1] is not None


def der(document: bytes) -> bytes:
    """A list that was read, as DER."""
    return document if PEM not in document else _load(document).public_bytes(Encoding.DER)


def _load(document: bytes) -> x509.CertificateRevocationList:
    load = x509.load_pem_x509_crl if PEM in document else x509.load_der_x509_crl
    try:
        found = load(document)
        # Nothing is read before it is asked for.
        _ = found.extensions, found.issuer, found.signature_hash_algorithm
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise InvalidInput("this is no revocation list of X.509 in DER or PEM") from None
    return found


def _check_issuer(found: x509.CertificateRevocationList, authority: x509.Certificate) -> None:
    if found.issuer != authority.subject:
        raise InvalidInput(
            f"the revocation list is that of {found.issuer.rfc4514_string()[:100]}, and not of "
            f"{authority.subject.rfc4514_string()}: if that authority is below this one, let its "
            "certificate be known (cloudcard ra ca trust FILE --below NAME), and give the list then"
        )
    if isinstance(found.signature_hash_algorithm, BROKEN):
        raise InvalidInput("the revocation list is signed by way of SHA-1 or MD5, which is broken")
    try:
        usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
        signs = usage.crl_sign
    except x509.ExtensionNotFound:
        signs = True
    if not signs:
        raise InvalidInput("the authority's key signs no revocation lists (its key usage)")
    if not _is_signed(found, authority):
        raise InvalidInput(
            "the revocation list is not signed by the authority's key: get it from the authority"
        )


def _is_signed(found: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return found.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _check_whole(found: x509.CertificateRevocationList) -> None:
    """Refuse a list that has less than all certificates of the authority, or those of others."""
    for each in found.extensions:
        value = each.value
        if isinstance(value, x509.DeltaCRLIndicator):
            raise InvalidInput(
                "the revocation list has changes alone (delta CRL): give the complete one"
            )
        if isinstance(value, x509.IssuingDistributionPoint):
            if value.indirect_crl:
                raise InvalidInput(
                    "the revocation list is that of several authorities (indirect CRL): give the "
                    "authority's own"
                )
            if value.only_contains_ca_certs or value.only_contains_attribute_certs:
                raise InvalidInput(
                    "the revocation list is one of authorities or attributes: give that of "
                    "certificates of cards"
                )
            if value.only_some_reasons:
                raise InvalidInput(
                    "the revocation list has some reasons alone: give the one with all"
                )
        elif each.critical and each.oid not in KNOWN:
            raise InvalidInput(
                f"the revocation list has an extension that has to be known, and is not: "
                f"{each.oid.dotted_string}"
            )


def _number(found: x509.CertificateRevocationList) -> int:
    try:
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        raise InvalidInput(
            "the revocation list has no number (CRL number), so nobody can tell an older one"
        ) from None
    if not 0 <= number < LARGEST_NUMBER:
        raise InvalidInput("the number of the revocation list has more than 20 bytes")
    return number


def _revoked(found: x509.CertificateRevocationList) -> dict[int, Revoked]:
    try:
        entries = (_entry(each) for each in found)
        return {serial: revoked for serial, revoked in entries if revoked is not None}
    except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
        raise InvalidInput("the revocation list has entries that cannot be read") from None


def _entry(entry: x509.RevokedCertificate) -> tuple[int, Revoked | None]:
    reason, invalid_time = RevocationReason.UNSPECIFIED, None
    for each in entry.extensions:
        match each.value:
            case x509.CRLReason(reason=x509.ReasonFlags.remove_from_crl):
                return entry.serial_number, None
            case x509.CRLReason() as said:
                reason = REASONS[said.reason]
            case x509.InvalidityDate() as said:
                invalid_time = said.invalidity_date_utc
            case x509.CertificateIssuer():
                raise InvalidInput(
                    "the revocation list is that of several authorities (indirect CRL): give the "
                    "authority's own"
                )
            case _ if each.critical:
                raise InvalidInput(
                    "an entry of the revocation list has an extension that has to be known, and is "
                    f"not: {each.oid.dotted_string}"
                )
    return entry.serial_number, Revoked(reason, entry.revocation_date_utc, invalid_time)
