"""Builds X.509 certificates of the service's own keys, and the common part of those it issues."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from card_os.piv import oids
from cloud_keystore.custody.backends.keys import PublicKey
from cloud_keystore.pki.issuers import TRANSPORT_TOLERANCE, Authority, PrivateKey

CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)
RESPONDER_LIFETIME = timedelta(days=3)
CLOCK_TOLERANCE = timedelta(minutes=5)  # certificates begin earlier, for clocks that are slow
NEVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # ends (RFC 5280, 4.1.2.5)
ENROLMENT_HOST = "enrolment.cloudcard.invalid"  # the same everywhere: the certificate is pinned


def begin(
    subject: x509.Name,
    public_key: PublicKey,
    issuer: Authority,
    now: datetime,
    lifetime: timedelta,
    *,
    not_before: datetime | None = None,
) -> x509.CertificateBuilder:
    """Begin an end entity's certificate: names, times, key identifiers, and no right to issue. It
    does not outlive its issuer.
    """
    since = now - CLOCK_TOLERANCE if not_before is None else not_before
    until = min(now + lifetime, issuer.end)
    return (
        _builder(subject, issuer.certificate.subject, public_key, since, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.private.public_key()),
            critical=False,
        )
    )


def ca(common_name: str, private: PrivateKey, now: datetime) -> Authority:
    """A certification authority, which signs its own certificate."""
    name, public = named(common_name), private.public_key()
    certificate = (
        _builder(name, name, public, now - TRANSPORT_TOLERANCE, now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage({"key_cert_sign", "crl_sign"}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, SHA256())
    )
    return Authority(certificate, private)


def content_signer(
    common_name: str, cards: Authority, curve: ec.EllipticCurve, now: datetime
) -> Authority:
    """A signer of cards' data objects, valid as long as the authority of cards."""
    private = ec.generate_private_key(curve)
    subject = named(common_name)
    certificate = (
        begin(subject, private.public_key(), cards, now, cards.end - now)
        .add_extension(key_usage({"digital_signature"}), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.ObjectIdentifier(oids.PIV_CONTENT_SIGNING)]), critical=True
        )
        .sign(cards.private, SHA256())
    )
    return Authority(certificate, private)


def responder(issuer: Authority, now: datetime) -> Authority:
    """A key that answers for an authority whether its certificates are good (RFC 6960, 4.2.2.2).
    It is not asked about itself, so it lasts for days.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    subject = named("cloudcard OCSP responder")
    certificate = (
        begin(subject, private.public_key(), issuer, now, RESPONDER_LIFETIME)
        .add_extension(key_usage({"digital_signature"}), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .sign(issuer.private, SHA256())
    )
    return Authority(certificate, private)


def self_signed(common_name: str, now: datetime) -> Authority:
    """A key with a self-signed certificate, for a certificate or public key that others pin. What
    is pinned has no end of its own.
    """
    name, private = named(common_name), ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(name, name, private.public_key(), now - TRANSPORT_TOLERANCE, NEVER)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ENROLMENT_HOST)]), critical=False)
        .sign(private, SHA256())
    )
    return Authority(certificate, private)


def server_certificate(
    transport: Authority, public_key: PublicKey, names: frozenset[str], now: datetime
) -> x509.Certificate:
    """The service's TLS certificate for host names and addresses. It is not kept, but made at each
    start, and while the service runs. It is valid from the beginning of its authority, so that
    clients accept it also after a start with a clock that was ahead.
    """
    subject = named("cloudcard keystore")
    since = transport.certificate.not_valid_before_utc
    return (
        begin(subject, public_key, transport, now, SERVER_LIFETIME, not_before=since)
        .add_extension(
            x509.SubjectAlternativeName([_host(name) for name in sorted(names)]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(transport.private, SHA256())
    )


def key_usage(uses: Collection[str]) -> x509.KeyUsage:
    """The extension with these bits set."""
    return x509.KeyUsage(**{name: name in uses for name in oids.KEY_USAGE_BITS})


def named(common_name: str) -> x509.Name:
    """A distinguished name that consists of a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: PublicKey,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
