"""The authorities of the service, its own keys with which it issues and signs, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud_keystore.approval import statement

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


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

    There are two CAs, so that a card's certificate is never taken for an identity: `transport`
    certifies the service, workstations, devices, operators and auditors; `cards` certifies the keys
    of cards. `content` signs the data objects of cards; it and `content_p384` sign the card
    verifiable certificates of their own curve (SP 800-78-5, 3.2.1). `attestation` certifies which
    keys the service made. `request` signs what devices show. `enrolment` is the certificate of the
    enrolment port, which tokens pin.
    """

    transport: Authority
    cards: Authority
    content: Authority
    content_p384: Authority
    attestation: Authority
    request: Authority
    enrolment: Authority

    def request_public_key(self) -> bytes:
        """The public request key, which devices pin; SubjectPublicKeyInfo, DER."""
        return self.request.private.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign_request(self, payload: bytes) -> bytes:
        """Sign a payload, so that the device knows which keystore asks."""
        return sign(self.request.private, statement.request(payload))


def sign(private: PrivateKey, data: bytes) -> bytes:
    """ECDSA with the hash that goes with the curve, DER."""
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("only EC keys sign here")
    return private.sign(data, ec.ECDSA(SHA384() if private.curve.key_size == 384 else SHA256()))
