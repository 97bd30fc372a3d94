"""Identifies the caller: the identity behind a TLS client certificate."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.people.renewing import take_next
from cloud_keystore.rpc.refusals import Context
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database


def certificate_sha256(context: Context) -> bytes:
    """SHA-256 of the client's certificate, which TLS has checked against the transport CA; raises
    IdentityRejected if there is none.
    """
    pem = b"".join(context.auth_context().get("x509_pem_cert", ()))
    if not pem:
        raise IdentityRejected("no client certificate: enrol first")
    return _fingerprint(pem)


@lru_cache(maxsize=1024)
def _fingerprint(pem: bytes) -> bytes:
    return sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).digest()


def identify(database: Database, fingerprint: bytes, role: Role | None, clock: Clock) -> Identity:
    """The active identity of a certificate, of any role if `role` is None. A next certificate
    becomes the certificate by this, its first use.

    Raises IdentityRejected if there is no such identity, if it was removed, if its certificate has
    ended, or if it has another role.
    """
    now = clock()
    with database.read() as connection:
        identity = people.find_identity_by_certificate(connection, fingerprint)
    if identity is None:
        identity = take_next(database, fingerprint, clock)
    if identity is None:
        with database.read() as connection:
            # Another call can have made the first use meanwhile.
            identity = people.find_identity_by_certificate(connection, fingerprint)
            identity = identity or people.find_by_former(connection, fingerprint, now)
    if identity is None or identity.state is not IdentityState.ACTIVE:
        raise IdentityRejected("this identity is unknown or was removed: enrol again")
    if not identity.is_active(now):
        raise IdentityRejected("the certificate of this identity has ended: enrol again")
    if role is not None and identity.role is not role:
        raise IdentityRejected(
            f"this service is for a {role.name.lower()}, not a {identity.role.name.lower()}"
        )
    return identity
