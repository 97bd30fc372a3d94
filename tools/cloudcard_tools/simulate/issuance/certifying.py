"""Certificates of cards in the structure of those of the NHS, under identifiers of our own, and the
authority that issues them. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from cloud_keystore.model.certificates import POLICIES
from cloud_keystore.pki.building import key_usage

ORGANISATION, PEOPLE = "cloudcard simulator", "People"
ISSUER = "cloudcard simulator card authority, for development alone"
POLICY = f"{POLICIES}.100"
PRACTICES = "https://localhost/simulator/practices"
AUTHORITY_LIFE, LIFE = timedelta(days=3650), timedelta(days=730)
SIGNS_UNTIL = 0.7  # of the life of a certificate
EARLY, LIST_LIFE = timedelta(minutes=5), timedelta(days=7)
COPIED = (x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)


class NotCertified(Exception):
    """A request for which there is no certificate; the text says why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority of cards."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate
    list_url: str
    issuer_url: str

    def certify(self, csr: bytes, number: str, name: str, now: datetime) -> x509.Certificate:
        """Certify the key of a request (PKCS#10, DER) for somebody, for what the request says.
        Raises NotCertified.
        """
        try:
            asked = x509.load_der_x509_csr(csr)
            if not asked.is_signature_valid:
                raise NotCertified("the request is not signed by its key")
            wanted = [each for each in asked.extensions if isinstance(each.value, COPIED)]
        except (ValueError, TypeError, x509.UnsupportedGeneralNameType):
            raise NotCertified("the request is none of PKCS#10") from None
        start = now.replace(microsecond=0) - EARLY
        end = start + LIFE
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject(number, name))
            .issuer_name(self.certificate.subject)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_policies(), critical=True)
            .add_extension(_access(self.issuer_url), critical=False)
            .add_extension(_points(self.list_url), critical=False)
            .add_extension(
                x509.PrivateKeyUsagePeriod(start, start + (end - start) * SIGNS_UNTIL), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(asked.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        for each in wanted:
            builder = builder.add_extension(each.value, each.critical)
        return builder.sign(self.key, SHA256())

    def revocations(self, now: datetime) -> x509.CertificateRevocationList:
        """Its list: nothing that it has issued is revoked."""
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self.certificate.subject,
            last_update=now.replace(microsecond=0) - EARLY,
            next_update=now.replace(microsecond=0) + LIST_LIFE,
        )
        number = x509.CRLNumber(int(now.timestamp()))
        return builder.add_extension(number, critical=False).sign(self.key, SHA256())


def new_authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """The certificate of an authority of cards."""
    names = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "CA"),
        x509.NameAttribute(NameOID.COMMON_NAME, ISSUER),
    ]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.replace(microsecond=0) - EARLY)
        .not_valid_after(now.replace(microsecond=0) + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(frozenset({"key_cert_sign", "crl_sign"})), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, SHA256())
    )


def subject(number: str, name: str) -> x509.Name:
    """Whom a certificate names: "555073168108_Ada_Lovelace", the third of its names."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, PEOPLE),
            x509.NameAttribute(NameOID.COMMON_NAME, "_".join([number, *name.split()])[:64]),
        ]
    )


def _policies() -> x509.CertificatePolicies:
    policy = x509.PolicyInformation(x509.ObjectIdentifier(POLICY), [PRACTICES])
    return x509.CertificatePolicies([policy])


def _access(url: str) -> x509.AuthorityInformationAccess:
    place = x509.UniformResourceIdentifier(url)
    method = AuthorityInformationAccessOID.CA_ISSUERS
    return x509.AuthorityInformationAccess([x509.AccessDescription(method, place)])


def _points(url: str) -> x509.CRLDistributionPoints:
    place = x509.UniformResourceIdentifier(url)
    return x509.CRLDistributionPoints([x509.DistributionPoint([place], None, None, None)])
