"""What the keystore's authorities tell others: whom to trust, and certificates of its ports."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud_keystore.model.approval_keys import RelyingParty
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.profiles import PROFILES
from cloud_keystore.pki.building import server_certificate
from cloud_keystore.pki.identities import read_key
from cloud_keystore.pki.issuers import Authorities

RENEWED = 3  # when less than one in so many parts of its life is left


@dataclass(frozen=True, slots=True)
class Terms:
    """What whoever enrols has to know. Certificates are DER."""

    transports: tuple[bytes, ...]  # authorities of clients and service; the first certifies now
    request_key: bytes  # public, of the requests that devices show
    relying_party: RelyingParty


@dataclass(frozen=True, slots=True)
class ServiceCertificate:
    """A certificate of the service for TLS, DER, and the authorities of its clients."""

    certificate: bytes
    trusted: tuple[bytes, ...]
    renew_time: datetime


@dataclass(frozen=True, slots=True)
class EnrolmentPort:
    """What the enrolment port shows in TLS, PEM; tokens pin the certificate."""

    certificate: bytes
    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Announcing:
    """Tells what the processes of the network need of the authorities, whose keys stay here; only
    the key of the enrolment port, which signs nothing else, is handed out.
    """

    authorities: Authorities
    relying_party: RelyingParty
    names: frozenset[str]  # of the service, in its certificates: hosts and addresses
    clock: Clock

    def terms(self) -> Terms:
        """What whoever enrols or renews has to know."""
        return Terms(
            tuple(each.der for each in self.authorities.transports),
            self.authorities.request_public_key(),
            self.relying_party,
        )

    def card_issuer(self, profile: str, certificate: bytes | None) -> bytes:
        """The certificate (DER) of the authority that has issued a card's certificate, or would."""
        return self.authorities.card_issuer(PROFILES[profile], certificate).der

    def certify(self, public_key: bytes) -> ServiceCertificate:
        """Certify a key of the service (SubjectPublicKeyInfo, DER), by the authority that its
        clients know. Raises InvalidInput if it is none.
        """
        now, trusted = self.clock(), self.authorities.transports
        issued = server_certificate(trusted[0], read_key(public_key), self.names, now)
        return ServiceCertificate(
            issued.public_bytes(Encoding.DER),
            tuple(each.der for each in trusted),
            issued.not_valid_after_utc - (issued.not_valid_after_utc - now) / RENEWED,
        )

    def enrolment_port(self) -> EnrolmentPort:
        """What the enrolment port shows in TLS."""
        own = self.authorities.enrolment
        return EnrolmentPort(
            own.certificate.public_bytes(Encoding.PEM),
            own.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
