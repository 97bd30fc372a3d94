"""Whoever checks cards: by the lists and answers of a keystore without its network."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from cloud_keystore.model.cards import Key
from cloud_keystore.pki.issuers import Authority
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.pki.revocation.responding import Responding
from support.keystore_world import World

GOOD, UNKNOWN, UNSPECIFIED = "good", "unknown", "unspecified"


def certificate(key: Key) -> x509.Certificate:
    """The certificate of a card's key."""
    return x509.load_der_x509_certificate(key.certificate)


def question(
    asked: x509.Certificate,
    issuer: x509.Certificate,
    algorithm: HashAlgorithm | None = None,
    nonce: bytes | None = None,
) -> bytes:
    """A request of OCSP, DER."""
    builder = ocsp.OCSPRequestBuilder().add_certificate(asked, issuer, algorithm or SHA1())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


@dataclass
class Checker:
    """Asks a world about certificates of its cards in production."""

    world: World

    def __post_init__(self) -> None:
        world = self.world
        self.publishing = self.publisher()
        self.responding = Responding(world.database, world.clock, world.issuing.authorities)

    def publisher(self, monotonic: Callable[[], float] = lambda: 0.0) -> Publishing:
        """A process that signs lists, in no time if nothing else is said."""
        world = self.world
        own = world.issuing.authorities
        return Publishing(world.database, world.clock, own, os.urandom, monotonic)

    @property
    def issuer(self) -> Authority:
        return self.world.authorities().cards

    def answer(self, request: bytes) -> ocsp.OCSPResponse:
        return ocsp.load_der_ocsp_response(self.responding.respond(request).document)

    def told(self, key: Key, issuer: Authority | None = None) -> str:
        """What OCSP says of a key's certificate: good, unknown, or why it is revoked; the status if
        there is no answer.
        """
        of = (issuer or self.issuer).certificate
        found = self.answer(question(certificate(key), of))
        if found.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return found.response_status.name
        match found.certificate_status:
            case ocsp.OCSPCertStatus.GOOD:
                return GOOD
            case ocsp.OCSPCertStatus.UNKNOWN:
                return UNKNOWN
        return UNSPECIFIED if found.revocation_reason is None else found.revocation_reason.value

    def list(self, issuer: Authority | None = None) -> x509.CertificateRevocationList:
        """The newest list, after what is due was signed."""
        of = issuer or self.issuer
        self.publishing.look()
        found = x509.load_der_x509_crl(self.publishing.document(of.key_id).document)
        assert found.is_signature_valid(of.certificate.public_key())  # type: ignore[arg-type]
        return found

    def listed(self, key: Key, issuer: Authority | None = None) -> str:
        """What the newest list says of a key's certificate."""
        number = certificate(key).serial_number
        entry = self.list(issuer).get_revoked_certificate_by_serial_number(number)
        if entry is None:
            return GOOD
        try:
            return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
        except x509.ExtensionNotFound:
            return UNSPECIFIED

    def says(self, key: Key, issuer: Authority | None = None) -> set[str]:
        """What both say: one thing, if they agree."""
        return {self.told(key, issuer), self.listed(key, issuer)}
