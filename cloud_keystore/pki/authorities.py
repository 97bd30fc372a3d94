"""The service's own keys: made at the first start, kept sealed in the database."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import Connection

from card_os.piv.algorithms import PUBLIC_EXPONENT
from card_os.piv.oids import KEY_USAGE_BITS, PIV_CONTENT_SIGNING
from cloud_keystore.approval import statement
from cloud_keystore.custody.backends.keys import PublicKey
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.storage import authorities
from cloud_keystore.storage.engine import Database

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=397)
CLOCK_TOLERANCE = timedelta(
    minutes=5
)  # certificates begin a little early for clients whose clock is behind


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its private key."""

    certificate: x509.Certificate
    private: PrivateKey = field(repr=False)

    @property
    def der(self) -> bytes:
        """The certificate, DER."""
        return self.certificate.public_bytes(Encoding.DER)


@dataclass(frozen=True, slots=True)
class Authorities:
    """All keys that are the service's own.

    Two CAs, so that a card's certificate is never taken for the identity of a client: `transport`
    certifies the service, workstations, devices and operators; `cards` certifies the keys of cards.
    `content` signs the data objects of cards; it and `content_p384` sign the card verifiable
    certificates of their own curve (SP 800-78-5, 3.2.1). `attestation` tells which keys the service
    made. `request` signs what devices are shown. `enrolment` is the certificate of the enrolment
    port, pinned by tokens.
    """

    transport: Authority
    cards: Authority
    content: Authority
    content_p384: Authority
    attestation: Authority
    request: Authority
    enrolment: Authority

    def request_public_key(self) -> bytes:
        """Public key that devices pin, DER SubjectPublicKeyInfo."""
        return self.request.private.public_key().public_bytes(
            Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign_request(self, payload: bytes) -> bytes:
        """Sign a payload, so that the device knows who asks."""
        return sign(self.request.private, statement.request(payload))


def sign(private: PrivateKey, data: bytes) -> bytes:
    """ECDSA with the hash that goes with the curve, DER."""
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("only EC keys sign here")
    return private.sign(data, ec.ECDSA(SHA384() if private.curve.key_size == 384 else SHA256()))


def load_or_make(database: Database, seal: Seal, now: datetime) -> Authorities:
    """Read the service's keys, making those that do not exist; raise SealBroken under a wrong
    sealing key.

    All in one transaction, as other replicas may be starting with the same database.
    """
    with database.write() as connection:
        return _load_or_make(connection, seal, now)


def _load_or_make(connection: Connection, seal: Seal, now: datetime) -> Authorities:
    transport = _load(connection, seal, "transport") or _add(
        connection,
        seal,
        "transport",
        _ca("cloudcard transport CA", ec.generate_private_key(ec.SECP256R1()), now),
    )
    cards = _load(connection, seal, "cards") or _add(
        connection,
        seal,
        "cards",
        _ca("cloudcard card CA", rsa.generate_private_key(PUBLIC_EXPONENT, 3072), now),
    )
    content = _load(connection, seal, "content") or _add(
        connection, seal, "content", _content_signer(cards, ec.SECP256R1(), now)
    )
    content_p384 = _load(connection, seal, "content P-384") or _add(
        connection, seal, "content P-384", _content_signer(cards, ec.SECP384R1(), now)
    )
    attestation = _load(connection, seal, "attestation") or _add(
        connection,
        seal,
        "attestation",
        _ca("cloudcard attestation CA", ec.generate_private_key(ec.SECP256R1()), now),
    )
    request = _load(connection, seal, "request") or _add(
        connection, seal, "request", _self_signed("cloudcard request key", now)
    )
    enrolment = _load(connection, seal, "enrolment") or _add(
        connection, seal, "enrolment", _self_signed("cloudcard enrolment", now)
    )
    return Authorities(transport, cards, content, content_p384, attestation, request, enrolment)


def server_certificate(transport: Authority, names: frozenset[str], now: datetime) -> Authority:
    """Make the service's own TLS certificate for host names and addresses; lives as long as the
    process.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        begin(_name("cloudcard keystore"), private.public_key(), transport, now, SERVER_LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([_host(name) for name in sorted(names)]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(transport.private, SHA256())
    )
    return Authority(certificate, private)


def begin(
    subject: x509.Name,
    public_key: PublicKey,
    issuer: Authority,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    """Begin an end entity's certificate: names, times, key identifiers, no CA."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(issuer.private)),
            critical=False,
        )
    )


def _ca(common_name: str, private: PrivateKey, now: datetime) -> Authority:
    public = _public(private)
    usage = {name: name in ("key_cert_sign", "crl_sign") for name in KEY_USAGE_BITS}
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(_name(common_name))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, SHA256())
    )
    return Authority(certificate, private)


ENROLMENT_HOST = (
    "enrolment.cloudcard.invalid"  # the certificate is pinned whole; the name is a constant
)


def _content_signer(cards: Authority, curve: ec.EllipticCurve, now: datetime) -> Authority:
    private = ec.generate_private_key(curve)
    usage = {name: name == "digital_signature" for name in KEY_USAGE_BITS}
    lifetime = cards.certificate.not_valid_after_utc - now
    certificate = (
        begin(_name("cloudcard content signer"), private.public_key(), cards, now, lifetime)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([x509.ObjectIdentifier(PIV_CONTENT_SIGNING)]), critical=True
        )
        .sign(cards.private, SHA256())
    )
    return Authority(certificate, private)


def _self_signed(common_name: str, now: datetime) -> Authority:
    private = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(common_name))
        .issuer_name(_name(common_name))
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + CA_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ENROLMENT_HOST)]), critical=False)
        .sign(private, SHA256())
    )
    return Authority(certificate, private)


def _load(connection: Connection, seal: Seal, name: str) -> Authority | None:
    row = authorities.find(connection, name)
    if row is None:
        return None
    certificate, sealed = row
    pkcs8 = seal.open(sealed, _context(name))  # authenticated, so the slow check is not needed
    private = load_der_private_key(pkcs8, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError(f"authority {name} has a key of an unknown kind")
    return Authority(x509.load_der_x509_certificate(certificate), private)


def _add(connection: Connection, seal: Seal, name: str, made: Authority) -> Authority:
    pkcs8 = made.private.private_bytes(
        Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    authorities.add(connection, name, made.der, seal.close(pkcs8, _context(name)))
    return made


def _context(name: str) -> str:
    return f"authority {name}"


def _public(private: PrivateKey) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    return private.public_key()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
