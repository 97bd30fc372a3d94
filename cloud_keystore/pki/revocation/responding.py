"""Answers whether certificates of cards are good (OCSP: RFC 6960, RFC 5019, RFC 9654)."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import Hash, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.pki.revocation import ANSWER_LIFETIME, Answer
from cloud_keystore.pki.building import RESPONDER_LIFETIME, responder
from cloud_keystore.pki.issuers import Authorities, Authority
from cloud_keystore.pki.revocation import documents
from cloud_keystore.pki.revocation.recording import serial_bytes
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.revocation import certificates

log = structlog.get_logger()

LARGEST_REQUEST = 4096
LARGEST_NONCE = 128  # bytes (RFC 9654, 2.1)
LARGEST_SERIAL = 160  # bits (RFC 5280, 4.1.2.2)
RENEWED = RESPONDER_LIFETIME / 3  # before it ends, a responder gets a successor


class _Malformed(Exception):
    """The request is none of those that are answered."""


@dataclass(slots=True)
class Responding:
    """Answers under keys that only this process has, each certified by the authority for which it
    answers. Used from any thread.
    """

    database: Database
    clock: Clock
    authorities: Authorities
    _responders: dict[bytes, Authority] = field(default_factory=dict, init=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False)

    def respond(self, request: bytes) -> Answer:
        """Answer a request, DER. Raises StorageUnavailable."""
        try:
            asked = _parse(request)
            issuer = _issuer(asked, self.authorities)
        except _Malformed:
            return _refused(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
        if issuer is None:  # nobody here can tell (RFC 5019, 2.2.3)
            return _refused(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        now = self.clock()
        serial = serial_bytes(asked.serial_number)
        try:
            with self.database.read() as connection:
                found = certificates.find(connection, issuer.key_id, serial)
        except RecordDamaged as error:
            log.critical("a certificate's record is not believed", reason=str(error))
            return _refused(ocsp.OCSPResponseStatus.INTERNAL_ERROR)
        revoked = None if found is None else found.revoked
        own = self._responder(issuer, now)
        document = documents.answer(asked, own, found is not None, revoked, now)
        # The answer to a nonce is for one client.
        return Answer(document, None if len(asked.extensions) else now + ANSWER_LIFETIME)

    def _responder(self, issuer: Authority, now: datetime) -> Authority:
        with self._making:
            own = self._responders.get(issuer.key_id)
            if own is None or not _is_fresh(own, now):
                own = self._responders[issuer.key_id] = responder(issuer, now)
            return own


def _is_fresh(own: Authority, now: datetime) -> bool:
    return own.certificate.not_valid_before_utc <= now < own.end - RENEWED


def _refused(status: ocsp.OCSPResponseStatus) -> Answer:
    return Answer(documents.refusal(status))


def _parse(request: bytes) -> ocsp.OCSPRequest:
    """Read a request about one certificate; raises _Malformed for any other bytes, for a serial
    number that no certificate has, and for an extension that it says must be understood, and is
    not.
    """
    if len(request) > LARGEST_REQUEST:
        raise _Malformed
    try:
        asked = ocsp.load_der_ocsp_request(request)
        extensions = list(asked.extensions)
        asked.hash_algorithm  # noqa: B018 (raises for one that is not known)
        serial = asked.serial_number
    # The parser is not ours, and raises whatever it likes about what strangers send.
    except Exception:
        raise _Malformed from None
    if serial <= 0 or serial.bit_length() > LARGEST_SERIAL:
        raise _Malformed
    for each in extensions:
        if isinstance(each.value, x509.OCSPNonce):
            if not 0 < len(each.value.nonce) <= LARGEST_NONCE:
                raise _Malformed
        elif each.critical:
            raise _Malformed
    return asked


def _issuer(asked: ocsp.OCSPRequest, authorities: Authorities) -> Authority | None:
    """The authority of which a request names name and key by their hashes."""
    wanted = (asked.issuer_name_hash, asked.issuer_key_hash)
    for each in authorities.that_issue_cards:
        if _hashes(each, asked.hash_algorithm) == wanted:
            return each
    return None


def _hashes(authority: Authority, algorithm: HashAlgorithm) -> tuple[bytes, bytes]:
    public = authority.private.public_key()
    key = (
        public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        if isinstance(public, rsa.RSAPublicKey)
        else public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    return _hash(algorithm, authority.certificate.subject.public_bytes()), _hash(algorithm, key)


def _hash(algorithm: HashAlgorithm, data: bytes) -> bytes:
    digest = Hash(algorithm)
    digest.update(data)
    return digest.finalize()
