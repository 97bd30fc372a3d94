"""Renewal: an identity gets its next certificate, for a new key, by its present one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.approval import statement
from cloud_keystore.audit import entries, journal
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IdentityRejected, InvalidInput
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import OVERLAP, Identity, Role
from cloud_keystore.pki import identities
from cloud_keystore.pki.issuers import Authorities
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import rekeying


@dataclass(frozen=True, slots=True)
class Renewing:
    """Renews identities.

    The next certificate is good from now on. The present one stays good too until the next one was
    used for the first time, and for OVERLAP after that: a client that ends before it has stored the
    next one asks again.
    """

    database: Database
    clock: Clock
    authorities: Authorities

    def renew(self, identity: Identity, csr: bytes, signature: bytes) -> bytes:
        """Certify the key of `csr` for an identity, whose present key has made `signature`; returns
        the certificate, DER. A next certificate that was not used is replaced.

        Raises InvalidInput, RenewalRejected, and IdentityRejected for an identity that was removed,
        has ended, or has another certificate by now.
        """
        key = identities.requested_key(csr)
        own, present = identity.public_key or b"", identity.certificate_sha256 or b""
        statement.check_renewal(own, present, csr, signature)
        if identities.public_der(key) == own:
            raise InvalidInput("csr has the present key: make a new one")
        return self._renewed(identity, key, {"csr": csr, "signature": signature})

    def renew_same(self, identity: Identity, csr: bytes) -> bytes:
        """Certify the present key of an identity anew, which has signed `csr`, so that nobody else
        can have asked; returns the certificate, DER. Raises as `renew` does.
        """
        key = identities.requested_key(csr)
        if identities.public_der(key) != identity.public_key:
            raise InvalidInput(
                "csr has another key than the certificate: ask for the same key, or enrol again "
                "with a token"
            )
        identities.check_name(csr, identity.id, identity.display_name)
        return self._renewed(identity, key, {"csr": csr})

    def renew_shared(self, device: Identity, csr: bytes) -> bytes:
        """The same for a device that several holders share, whoever is signed in there. Raises as
        `renew_same` does, and IdentityRejected for anybody else.
        """
        if device.role is not Role.SHARED_DEVICE:
            raise IdentityRejected("this is no shared device")
        return self.renew_same(device, csr)

    def _renewed(
        self, identity: Identity, key: ec.EllipticCurvePublicKey, asked: Mapping[str, bytes]
    ) -> bytes:
        now = self.clock()
        with self.database.write() as connection:
            found = people.find_identity(connection, identity.id)
            if found is not None and found.role is Role.SEAT:
                raise IdentityRejected("a seat is not renewed: sign in again")
            if found is None or not found.is_active(now):
                raise IdentityRejected("this identity was removed: enrol again")
            issued = identities.certify(identity.id, key, self.authorities.transport, now)
            certificate = issued.public_bytes(Encoding.DER)
            given = rekeying.add_next(
                connection,
                identity,
                sha256(certificate).digest(),
                identities.public_der(key),
                issued.not_valid_after_utc,
            )
            if not given:
                raise IdentityRejected("this identity has another certificate by now: use that one")
            evidence = {**asked, "certificate": certificate}
            said = {"identity": identity.id, "role": identity.role.name.lower()}
            renewed = entries.about_identity(
                Kind.IDENTITY_RENEWED, identity, now, identity.actor, said, evidence
            )
            journal.append(connection, renewed)
        return certificate


def take_next(database: Database, certificate_sha256: bytes, clock: Clock) -> Identity | None:
    """The identity whose next certificate this is, which it uses for the first time: from now on it
    is the certificate, and the one before is known for OVERLAP, but not longer than it is valid.
    None if there is no such identity.

    An identity that was removed or has ended stays as it is. The end is that of the certificate,
    not of the next one: nobody may have stored that, and people were told of this end.
    """
    now = clock()
    with database.read() as connection:
        renewed = rekeying.find_renewed(connection, certificate_sha256)
    if renewed is None or not renewed.is_active(now):
        return renewed
    with database.write() as connection:
        renewed = rekeying.find_renewed(connection, certificate_sha256)
        if renewed is not None and rekeying.take_next(connection, renewed, now, now + OVERLAP):
            said = {"identity": renewed.id, "role": renewed.role.name.lower()}
            evidence = {"certificate_sha256": certificate_sha256}
            rekeyed = entries.about_identity(
                Kind.IDENTITY_REKEYED, renewed, now, renewed.actor, said, evidence
            )
            journal.append(connection, rekeyed)
        return people.find_identity_by_certificate(connection, certificate_sha256)
