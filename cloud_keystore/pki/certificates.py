"""Certificates of cards' keys, made according to a certificate profile."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from card_os.piv import oids
from cloud_keystore.custody.backends.keys import PublicKey
from cloud_keystore.model.cards import Card
from cloud_keystore.model.certificates import (
    CARD,
    CLIENT,
    LOGON,
    CertificateProfile,
    Places,
    Published,
)
from cloud_keystore.model.people import User
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki.building import begin, key_usage
from cloud_keystore.pki.issuers import Authority

LONGEST_COMMON_NAME = 64  # ub-common-name (RFC 5280, appendix A.1), in bytes of UTF-8 to be safe
DEVELOPER_UNIT = "Developer card, not for production"
ZERO_WIDTH_JOINER = "\u200d"


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a certificate: a card and its holder."""

    card: Card
    user: User


def issue(
    profile: CertificateProfile,
    public_key: PublicKey,
    subject: Subject,
    issuer: Authority,
    now: datetime,
    published: Published,
) -> bytes:
    """Certify a card's key until the card expires, or its issuer does; returns DER.

    If the profile is for Windows logon and the holder has no account there, the profile for clients
    is used instead. A name that is too long for a certificate is cut.
    """
    profile = _of_holder(profile, subject)
    # Times in certificates have no fractions of a second.
    start, end = now.replace(microsecond=0), min(subject.card.expire_time, issuer.end)
    builder = begin(name(profile, subject), public_key, issuer, start, end - start).add_extension(
        key_usage(profile.key_usage), critical=True
    )
    places = published.by(issuer.key_id)
    for extension, critical in _extensions(profile, subject, (start, end), places):
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.private, SHA256()).public_bytes(Encoding.DER)


def naming_profile(certificate: bytes) -> CertificateProfile:
    """The profile of a certificate that names its card: that of the card's own key, or of the key
    that authenticates the holder. `certificate` is DER.
    """
    usages = x509.load_der_x509_certificate(certificate).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    own = x509.ObjectIdentifier(oids.PIV_CARD_AUTHENTICATION) in usages.value
    return CARD if own else LOGON


def asked(
    profile: CertificateProfile, subject: Subject, now: datetime
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """The extensions for which another authority is asked, and whether they are critical: what the
    key is for, and what it names. Policies are its own.
    """
    profile = _of_holder(profile, subject)
    since = now.replace(microsecond=0)
    yield key_usage(profile.key_usage), True
    for extension, critical in _extensions(profile, subject, (since, since), Places("", "", "")):
        if not isinstance(extension, x509.CertificatePolicies | x509.PrivateKeyUsagePeriod):
            yield extension, critical


def usages(extension: x509.KeyUsage) -> frozenset[str]:
    """The bits that are set, of those that do not depend on another one."""
    bits = set(oids.KEY_USAGE_BITS) - {"encipher_only", "decipher_only"}
    return frozenset(bit for bit in bits if getattr(extension, bit))


def name(profile: CertificateProfile, subject: Subject) -> x509.Name:
    """The subject's name in certificates of a profile."""
    serial = subject.card.serial
    common_name = cut(subject.user.display_name) if profile.names_holder else f"Card {serial}"
    names = [
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, serial),
    ]
    if PROFILES[subject.card.profile].developer:
        unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, DEVELOPER_UNIT)
        names.insert(0, unit)
    return x509.Name(names)


def _of_holder(profile: CertificateProfile, subject: Subject) -> CertificateProfile:
    return CLIENT if profile.names_account and not subject.user.upn else profile


def _extensions(
    profile: CertificateProfile,
    subject: Subject,
    validity: tuple[datetime, datetime],
    places: Places,
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    if profile.extended_key_usage:
        usages = [x509.ObjectIdentifier(oid) for oid in profile.extended_key_usage]
        yield x509.ExtendedKeyUsage(usages), profile.critical_extended_key_usage
    if profile.policy:
        policy = x509.PolicyInformation(x509.ObjectIdentifier(profile.policy), None)
        yield x509.CertificatePolicies([policy]), profile.critical_policy
    if profile.signs_until < 1:
        start, end = validity
        last = (start + (end - start) * profile.signs_until).replace(microsecond=0)
        yield x509.PrivateKeyUsagePeriod(start, last), False
    if names := list(_alternative_names(profile, subject)):
        yield x509.SubjectAlternativeName(names), False
    if profile.names_account and subject.user.sid:
        yield _security_identifier(subject.user.sid), False
    if places.crl_url:
        place = x509.UniformResourceIdentifier(places.crl_url)
        point = x509.DistributionPoint([place], None, None, None)
        yield x509.CRLDistributionPoints([point]), False
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, url in (
            (AuthorityInformationAccessOID.OCSP, places.ocsp_url),
            (AuthorityInformationAccessOID.CA_ISSUERS, places.ca_url),
        )
        if url
    ]
    if access:
        yield x509.AuthorityInformationAccess(access), False


def _alternative_names(profile: CertificateProfile, subject: Subject) -> Iterator[x509.GeneralName]:
    if profile.names_account:
        yield x509.OtherName(
            x509.ObjectIdentifier(oids.USER_PRINCIPAL_NAME),
            core.UTF8String(subject.user.upn).dump(),
        )
    # The card is named by a URN (FIPS 201-3, 4.2.1 and RFC 9562, 4).
    if profile.names_card:
        yield x509.UniformResourceIdentifier(UUID(bytes=subject.card.guid).urn)


def _security_identifier(sid: str) -> x509.UnrecognizedExtension:
    """The extension that ties a certificate to an account: GeneralNames with one other name."""
    name = x509.OtherName(
        x509.ObjectIdentifier(oids.NTDS_OBJECTSID), core.OctetString(sid.encode("ascii")).dump()
    )
    names = x509.SubjectAlternativeName([name])
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier(oids.NTDS_CA_SECURITY), names.public_bytes()
    )


def cut(name: str) -> str:
    """As much of a name as fits into a certificate.

    It is cut between characters as readers see them: no letter loses its accent.
    """
    kept = name.encode()[:LONGEST_COMMON_NAME].decode(errors="ignore")
    end = len(kept)
    while 0 < end < len(name) and _joined(name[end - 1], name[end]):
        end -= 1
    # A single character with more marks than there is room for loses some of them.
    return (name[:end] or kept).rstrip()


def _joined(before: str, after: str) -> bool:
    return (
        unicodedata.category(after).startswith("M")
        or after == ZERO_WIDTH_JOINER
        or before == ZERO_WIDTH_JOINER
    )
