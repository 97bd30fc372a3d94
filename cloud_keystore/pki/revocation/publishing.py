"""Signs revocation lists when they are due, and gives them out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from cloud_keystore.audit import alerts
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import AuthorityNotFound, RecordDamaged
from cloud_keystore.model.pki.revocation import (
    LIST_LIFETIME,
    LISTED_LONGER,
    Document,
    RevocationList,
)
from cloud_keystore.pki.issuers import Authorities, Authority
from cloud_keystore.pki.revocation import documents
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.revocation import certificates, lists

log = structlog.get_logger()

DAMAGED_SECONDS = 60.0  # before another look at records that are damaged
SHARE = 0.05  # of the time in which one process signs lists: those of many entries take a while


@dataclass(frozen=True, slots=True)
class AuthorityListing:
    """An authority of cards, its certificate (DER), and its list, once it has begun."""

    key_id: bytes
    name: str
    certificate: bytes
    issues: bool  # whether new cards are certified by it
    latest: RevocationList | None


@dataclass(slots=True)
class Publishing:
    """Looks after the lists of all authorities that have issued cards."""

    database: Database
    clock: Clock
    authorities: Authorities
    random: Random
    monotonic: Callable[[], float]
    _next_look: float = field(default=0.0, init=False)

    def look(self) -> None:
        """Sign what is due. To be called every second, by one thread of each process."""
        began = self.monotonic()
        if began < self._next_look:
            return
        pause = 0.0
        for authority in self.authorities.that_issue_cards:
            try:
                self._sign_if_due(authority)
            # Those of the other authorities are signed all the same.
            except RecordDamaged as error:
                log.critical("a revocation list cannot be signed", reason=str(error))
                self._warn(authority)
                pause = DAMAGED_SECONDS
        ended = self.monotonic()
        self._next_look = ended + max(pause, (ended - began) / SHARE)

    def authorities_of_cards(self) -> list[AuthorityListing]:
        """The authorities that have issued cards and have not ended."""
        with self.database.read() as connection:
            return [
                AuthorityListing(
                    each.key_id,
                    name_of(each),
                    each.der,
                    self.authorities.issues_cards(each),
                    lists.find(connection, each.key_id),
                )
                for each in self.authorities.that_issue_cards
            ]

    def certificate(self, issuer: bytes) -> bytes:
        """The certificate (DER) of the authority with a key identifier. Raises
        AuthorityNotFound.
        """
        return self._named(issuer).der

    def document(self, issuer: bytes, known: int = 0) -> Document:
        """The newest list of the authority with a key identifier, without its bytes if its number
        is `known`. Raises AuthorityNotFound, also if no list was signed yet.
        """
        self._named(issuer)
        with self.database.read() as connection:
            found = lists.document(connection, issuer, known)
        if found is None:
            raise AuthorityNotFound("no list of the authority was signed yet: wait a second")
        return found

    def seconds(self) -> Mapping[str, float]:
        """How long the list of each authority is still good; 0 if there is none."""
        now = self.clock()
        with self.database.read() as connection:
            found = {
                name_of(each): lists.find(connection, each.key_id)
                for each in self.authorities.that_issue_cards
            }
        return {
            name: 0.0
            if each is None or each.next_time is None
            else (each.next_time - now).total_seconds()
            for name, each in found.items()
        }

    def _named(self, issuer: bytes) -> Authority:
        for each in self.authorities.that_issue_cards:
            if each.key_id == issuer:
                return each
        raise AuthorityNotFound("no authority of cards has this key identifier")

    def _sign_if_due(self, authority: Authority) -> None:
        issuer, now = authority.key_id, self.clock()
        with self.database.read() as connection:
            before = lists.find(connection, issuer)
        if before is None:
            raise RecordDamaged(f"revocation list {issuer.hex()}: somebody has deleted its record")
        if not before.is_due(now):
            return
        self._unlist(issuer, now)
        with self.database.read() as connection:
            # What changes after this view was taken makes the next list due.
            before = lists.find(connection, issuer)
            found = certificates.entries(connection, issuer)
        if before is None or len(found) != before.listed:
            raise RecordDamaged(
                f"revocation list {issuer.hex()}: it would have {len(found)} certificates, which "
                "is not as many as were revoked: somebody has changed the database; keep it as "
                "evidence, and restore a backup"
            )
        # A keystore that was restored from a backup does not know how far it had counted.
        number = max(before.number + 1, int(now.timestamp()))
        document = documents.revocation_list(authority, found, number, now)
        signed = replace(
            before,
            number=number,
            covered=before.changes,
            this_time=now,
            next_time=now + LIST_LIFETIME,
        )
        with self.database.write() as connection:
            is_first = lists.put(connection, signed, document, instead_of=before.number)
        if is_first:
            name, count = name_of(authority), len(found)
            log.info("a revocation list was signed", authority=name, number=number, count=count)

    def _unlist(self, issuer: bytes, now: datetime) -> None:
        while True:
            with self.database.write() as connection:
                if not certificates.unlist(connection, issuer, now - LISTED_LONGER):
                    return

    def _warn(self, authority: Authority) -> None:
        now = self.clock()
        with self.database.write() as connection:
            alerts.revocation_list(connection, name_of(authority), now, self.random)


def name_of(authority: Authority) -> str:
    """The common name of an authority."""
    (found,) = authority.certificate.subject
    return str(found.value)
