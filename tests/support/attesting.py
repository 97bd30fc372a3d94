"""A maker of authenticators, whose passkeys are attested ("packed", WebAuthn level 3, 8.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cloud_keystore.approval.passkeys import Registration
from cloudcard_tools.authenticator.passkey import ES256, SoftwarePasskey

MODEL = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
OTHER_MODEL = "ee882879-721c-4913-9775-3dfcce97072a"
AAGUID_AT = 37  # in authenticator data: after hash, flags and counter
EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")


@dataclass(frozen=True)
class Maker:
    """Its root, and what its attestation certificates say."""

    private: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    unit: str = "Authenticator Attestation"
    certified: str | None = MODEL  # the model in its certificates; None: no extension
    ca: bool = False

    @property
    def roots(self) -> tuple[bytes, ...]:
        return (self.root.public_bytes(Encoding.PEM),)

    def attest(
        self, passkey: SoftwarePasskey, challenge: bytes, model: str = MODEL
    ) -> Registration:
        """A registration with an attestation of this maker."""
        created = passkey.create(challenge)
        data = bytearray(cbor2.loads(created.attestation_object)["authData"])
        data[AAGUID_AT : AAGUID_AT + 16] = UUID(model).bytes
        private = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certify(private)
        signed = bytes(data) + sha256(created.client_data).digest()
        statement = {
            "alg": ES256,
            "sig": private.sign(signed, ec.ECDSA(SHA256())),
            "x5c": [certificate.public_bytes(Encoding.DER)],
        }
        attested = {"fmt": "packed", "attStmt": statement, "authData": bytes(data)}
        return Registration(cbor2.dumps(attested), created.client_data, ("usb",))

    def _certify(self, private: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        names = [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.unit),
            x509.NameAttribute(NameOID.COMMON_NAME, "Attestation"),
        ]
        builder = _builder(x509.Name(names), self.root.subject, private).add_extension(
            x509.BasicConstraints(ca=self.ca, path_length=None), critical=True
        )
        if self.certified is not None:
            value = b"\x04\x10" + UUID(self.certified).bytes
            builder = builder.add_extension(
                x509.UnrecognizedExtension(EXTENSION, value), critical=False
            )
        return builder.sign(self.private, SHA256())


def new_maker() -> Maker:
    """A maker with a root of its own."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Maker's root")])
    root = _builder(name, name, private).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    return Maker(private, root.sign(private, SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, private: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    # The chain is checked at the time of the computer.
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )
