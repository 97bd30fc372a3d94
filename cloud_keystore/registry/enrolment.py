"""Enrolment: a one-time token becomes an identity with a certificate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput, TokenRejected
from cloud_keystore.model.people import LONGEST_LABEL, Identity, Role, text_field
from cloud_keystore.registry.authorities import Authority, begin
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database

IDENTITY_LIFETIME = timedelta(days=730)
LARGEST_CSR = 4096


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Spends tokens."""

    database: Database
    clock: Clock
    transport: Authority

    def enrol(self, secret: bytes, csr: bytes, device_name: str) -> tuple[Identity, bytes]:
        """Spend a token; return the identity and its certificate (DER).

        Everything is checked before the token is spent, and both happen in one transaction: a
        request that is refused costs no token. Raises InvalidInput or TokenRejected.
        """
        public_key = _csr_key(csr)
        public_der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        name = text_field("device_name", device_name, LONGEST_LABEL, required=False)
        now = self.clock()
        with self.database.write() as connection:
            identity_id = people.spend_token(connection, sha256(secret).digest(), now)
            invited = None if identity_id is None else people.find_identity(connection, identity_id)
            if invited is None:
                raise TokenRejected("this token is unknown, used or expired: ask for a new one")
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, invited.id)])
            certificate = (
                begin(subject, public_key, self.transport, now, IDENTITY_LIFETIME)
                .add_extension(
                    x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
                )
                .sign(self.transport.private, SHA256())
                .public_bytes(Encoding.DER)
            )
            own_name = name if invited.role is Role.DEVICE and name else invited.display_name
            people.activate_identity(
                connection, invited.id, sha256(certificate).digest(), public_der, own_name
            )
            identity = people.find_identity(connection, invited.id)
        if identity is None:
            raise TokenRejected("the identity was removed meanwhile: ask for a new token")
        return identity, certificate


def _csr_key(csr: bytes) -> ec.EllipticCurvePublicKey:
    if len(csr) > LARGEST_CSR:
        raise InvalidInput(f"csr has {len(csr)} bytes: at most {LARGEST_CSR} are taken")
    try:
        request = x509.load_der_x509_csr(csr)
        key = request.public_key()
        valid = request.is_signature_valid
    except ValueError:
        raise InvalidInput("csr is not a PKCS#10 request in DER") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("csr has a key that is not of P-256")
    if not valid:
        raise InvalidInput("csr is not signed by its own key")
    return key
