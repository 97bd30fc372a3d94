"""Callers: the identities behind the TLS client certificates, or tokens, by which calls arrive."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest

from sqlalchemy.exc import IntegrityError

from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import IdentityRejected
from cloud_keystore.model.fields.software import Contact, parse
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.people import Identity, IdentityState, Role
from cloud_keystore.people.renewing import take_next
from cloud_keystore.storage import journal, operations, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.enrolment import rekeying, software

SEEN_TIME = timedelta(hours=1)  # as exactly is known when a client was heard of last
LEAST_TIME = timedelta(minutes=1)  # between two changes of what it says


@dataclass(frozen=True, slots=True)
class Removed:
    """The certificates, among some, of identities that were removed up to an entry."""

    last: int  # entry of the journal
    certificates: frozenset[bytes]  # SHA-256


@dataclass(frozen=True, slots=True)
class Callers:
    """Knows callers by the SHA-256 of their certificates, which TLS has checked."""

    database: Database
    clock: Clock

    def identify(self, fingerprint: bytes, role: Role | None) -> Identity:
        """The active identity of a certificate, of any role if `role` is None. A next certificate
        becomes the certificate by this, its first use.

        Raises IdentityRejected if there is no such identity, if it was removed, if its certificate
        has ended, or if it has another role.
        """
        now = self.clock()
        with self.database.read() as connection:
            identity = people.find_identity_by_certificate(connection, fingerprint)
        if identity is None:
            identity = take_next(self.database, fingerprint, self.clock)
        if identity is None:
            with self.database.read() as connection:
                # Another call can have made the first use meanwhile.
                identity = people.find_identity_by_certificate(connection, fingerprint)
                identity = identity or rekeying.find_by_former(connection, fingerprint, now)
        if identity is None or identity.state is not IdentityState.ACTIVE:
            raise IdentityRejected("this identity is unknown or was removed: enrol again")
        if not identity.is_active(now):
            raise IdentityRejected("the certificate of this identity has ended: enrol again")
        found = identity.certificate_sha256 or b""
        # Of certificates, nobody guesses a part from how long the look-up takes: they are public.
        if role is Role.CLIENT and not compare_digest(found, fingerprint):
            raise IdentityRejected("this token is unknown")
        if role is not None and identity.role is not role:
            raise IdentityRejected(
                f"this service is for a {role.name.lower()}, not a {identity.role.name.lower()}"
            )
        return identity

    def heard(self, said: str, caller: Identity) -> None:
        """Keep what a client says of itself, and when. Repeated within an hour, it writes nothing;
        nor does something else within a minute, so that nobody writes with each call.
        """
        now, told = self.clock(), parse(said)
        with self.database.read() as connection:
            known = software.find(connection, caller.id)
        least = SEEN_TIME if known is None or known.software == told else LEAST_TIME
        if known is None or now >= known.seen_time + least:
            # Another call can be the first one too.
            with suppress(IntegrityError), self.database.write() as connection:
                software.put(connection, caller.id, Contact(told, now))

    def trace_id(self, operation_id: str) -> str:
        """The trace of the request that a device calls about; empty if it is not known."""
        with self.database.read() as connection:
            return operations.trace_id(connection, operation_id)

    def removed(self, certificates: Collection[bytes], since: int | None) -> Removed:
        """Those of some certificates whose identities were removed after the entry `since`; none if
        that is None.
        """
        with self.database.read() as connection:
            last = journal.last(connection)
            kinds = (Kind.IDENTITY_REMOVED,)
            found: frozenset[bytes] = frozenset()
            if since is not None and journal.subjects(connection, since, last, kinds):
                found = frozenset(rekeying.removed_among(connection, certificates))
        return Removed(last, found)
