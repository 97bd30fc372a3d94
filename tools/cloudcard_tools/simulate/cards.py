"""Which holder a card's certificate stands for, and whether it counts."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloudcard_tools.simulate.directory import Directory, Person

MOST_DER = 16 * 1024


class CardRefused(Exception):
    """A card that nobody logs in with; the text says why and what to do."""


class ListMissing(Exception):
    """A revocation list that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Cards:
    """Checks certificates of cards against the authorities that have issued them, and their lists.
    An authority without a list that counts refuses all of its cards.
    """

    authorities: Sequence[x509.Certificate]
    lists: Callable[[], Sequence[x509.CertificateRevocationList]]
    """Reads the lists; raises ListMissing."""
    directory: Directory
    challenge_bytes: Callable[[int], str] = field(default=secrets.token_urlsafe)

    def holder(self, der: bytes, now: datetime) -> Person:
        """The holder of the card with this certificate. Raises CardRefused."""
        return self._named(self._good(der, now))

    def signer(self, der: bytes, signature: bytes, challenge: bytes, now: datetime) -> Person:
        """The holder of the card that has signed this challenge. Raises CardRefused."""
        certificate = self._good(der, now)
        try:
            match certificate.public_key():
                case RSAPublicKey() as key:
                    key.verify(signature, challenge, PKCS1v15(), SHA256())
                case EllipticCurvePublicKey() as key:
                    key.verify(signature, challenge, ECDSA(SHA256()))
                case _:
                    raise CardRefused("the certificate has a key of a kind that is not known here")
        except InvalidSignature:
            raise CardRefused(
                "the signature is not that of the card over this challenge: sign its bytes with "
                "SHA-256, by PKCS #1 v1.5 or ECDSA"
            ) from None
        return self._named(certificate)

    def prescriber(self, der: bytes, now: datetime) -> Person:
        """The holder of the card with this certificate of a key that signs prescriptions. Raises
        CardRefused.
        """
        return self._named(self._good(der, now, _require_commitment))

    def _good(
        self,
        der: bytes,
        now: datetime,
        require: Callable[[x509.Extensions], None] | None = None,
    ) -> x509.Certificate:
        try:
            certificate = x509.load_der_x509_certificate(der[:MOST_DER])
            extensions = certificate.extensions
        except (ValueError, x509.DuplicateExtension):
            raise CardRefused("this is no certificate") from None
        issuer = self._issuer(certificate)
        for each in (certificate, issuer):
            if not each.not_valid_before_utc <= now <= each.not_valid_after_utc:
                raise CardRefused(
                    "the card's certificate, or that of its authority, is not valid now"
                )
        (require or _require_purpose)(extensions)
        self._require_not_revoked(certificate, issuer, now)
        return certificate

    def _issuer(self, certificate: x509.Certificate) -> x509.Certificate:
        for each in self.authorities:
            try:
                certificate.verify_directly_issued_by(each)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return each
        raise CardRefused(
            "no authority that is trusted here has issued the card: name it with --authority"
        )

    def _require_not_revoked(
        self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
    ) -> None:
        try:
            lists = [each for each in self.lists() if _is_of(each, issuer)]
        except ListMissing as error:
            raise CardRefused(f"the revocation list cannot be read: {error}") from None
        current = [each for each in lists if _counts(each, now)]
        if not current:
            raise CardRefused(
                "there is no revocation list of the card's authority that is valid now: name it "
                "with --crl"
            )
        if any(
            each.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
            for each in current
        ):
            raise CardRefused("the card is revoked, or suspended")

    def _named(self, certificate: x509.Certificate) -> Person:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not names:
            raise CardRefused("the certificate names nobody")
        return self.directory.holder(certificate.subject.rfc4514_string(), str(names[0].value))


def _require_purpose(extensions: x509.Extensions) -> None:
    """Raise CardRefused unless the key authenticates its holder: neither the signature key, nor the
    card's own, which asks for no PIN, nor an authority's.
    """
    found = {each.oid: each.value for each in extensions}
    usage = found.get(x509.KeyUsage.oid)
    purposes = found.get(x509.ExtendedKeyUsage.oid)
    constraints = found.get(x509.BasicConstraints.oid)
    if (
        (isinstance(constraints, x509.BasicConstraints) and constraints.ca)
        or not (isinstance(usage, x509.KeyUsage) and usage.digital_signature)
        or not (
            isinstance(purposes, x509.ExtendedKeyUsage)
            and ExtendedKeyUsageOID.CLIENT_AUTH in purposes
        )
    ):
        raise CardRefused(
            "the certificate is not that of the key for authentication: choose the one of key 9A"
        )


def _require_commitment(extensions: x509.Extensions) -> None:
    """Raise CardRefused unless the key is for signatures that bind."""
    usage = next((each.value for each in extensions if each.oid == x509.KeyUsage.oid), None)
    if not isinstance(usage, x509.KeyUsage) or not usage.content_commitment:
        raise CardRefused(
            "the certificate is not that of the key for signatures: choose the one of key 9C"
        )


def _is_of(found: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return False
    return found.issuer == issuer.subject and found.is_signature_valid(key)


def _counts(found: x509.CertificateRevocationList, now: datetime) -> bool:
    end = found.next_update_utc
    return found.last_update_utc - timedelta(minutes=5) <= now and end is not None and now <= end
