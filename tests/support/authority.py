"""A certification authority of one test, trusted by its servers and programs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAME = "Test authority"
LIFETIME = timedelta(days=30)
SKEW = timedelta(minutes=5)
USAGE_BITS = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class Authority:
    """Issues certificates with a key of its own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._issue(
            NAME,
            self._key.public_key(),
            x509.BasicConstraints(ca=True, path_length=0),
            key_usage("key_cert_sign", "crl_sign"),
        )

    def certify(
        self,
        common_name: str,
        public_key: CertificateIssuerPublicKeyTypes,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        """A certificate for somebody who is no authority."""
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        return self._issue(common_name, public_key, constraints, *extensions)

    def sign(
        self, builder: x509.CertificateRevocationListBuilder
    ) -> x509.CertificateRevocationList:
        """A revocation list of its own."""
        return builder.issuer_name(self.certificate.subject).sign(self._key, SHA256())

    def write(self, folder: Path) -> Path:
        """Its certificate as a file, PEM."""
        path = folder / "authority.pem"
        path.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        return path

    def write_server(self, folder: Path) -> Path:
        """Private key and certificate of the server `localhost` in one file, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.certify(
            "localhost",
            key.public_key(),
            key_usage("digital_signature"),
            x509.SubjectAlternativeName([x509.DNSName("localhost")]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / "server.pem"
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        return path

    def _issue(
        self,
        common_name: str,
        public_key: CertificateIssuerPublicKeyTypes,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(_name(NAME))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + LIFETIME)
        )
        ours = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        identifiers = (x509.SubjectKeyIdentifier.from_public_key(public_key), ours)
        for extension in (*extensions, *identifiers):
            critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, SHA256())


def key_usage(*wanted: str) -> x509.KeyUsage:
    """The extension with these bits set."""
    return x509.KeyUsage(**{bit: bit in wanted for bit in USAGE_BITS})


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
