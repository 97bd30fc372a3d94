"""Errands to external authorities that have EST servers: given to a process without keys, which
brings back answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from cloud_keystore.cards.external import est_servers as servers
from cloud_keystore.cards.external.certifying import Certifying
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import (
    AuthorityNotFound,
    IllegalCardChange,
    InvalidInput,
    RecordDamaged,
)
from cloud_keystore.model.pki.est import (
    LEASE_TIME,
    LONGEST_WHY,
    MOST_BETWEEN,
    Answer,
    Errand,
    Said,
    pause,
)
from cloud_keystore.model.pki.external import Csr, Outcome, Standing
from cloud_keystore.pki import external
from cloud_keystore.pki.est import check_answer
from cloud_keystore.pki.external import NotCertified
from cloud_keystore.storage import cards, people
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import csrs, est_servers
from cloud_keystore.storage.issuing import external as trusted

log = structlog.get_logger()

PORTION = 5  # under one lease
UNREADABLE = "look at the EST server: what it answers cannot be read"


@dataclass(frozen=True, slots=True)
class Errands:
    """What the process asks for that may call authorities, and what it brings."""

    database: Database
    clock: Clock
    seal: Seal
    certifying: Certifying

    def take(self) -> Sequence[Errand]:
        """Errands that are due, for the caller alone; some of them, if there are many."""
        now = self.clock()
        with self.database.read() as connection:
            if not csrs.is_due(connection, now):
                return []
        with self.database.write() as connection:
            known = est_servers.list_all(connection)
            leased = csrs.lease(connection, now, LEASE_TIME, PORTION)
            found = (self._errand(connection, each, known) for each in leased)
            return [each for each in found if each is not None]

    def tell(self, key_id: str, tries: int, answer: Answer) -> None:
        """Take what came of an errand: a certificate, which is installed if it is what was asked
        for, or why there is none.
        """
        if answer.said is Said.ISSUED:
            refused = self._install(key_id, answer)
            if refused is None:
                return
            answer = Answer(Said.WRONG, why=str(refused), fix=refused.fix)
        now = self.clock()
        why, fix = answer.why[:LONGEST_WHY], answer.fix[:LONGEST_WHY]
        log.warning("an authority gave no certificate", key=key_id, tries=tries, said=answer.said)
        with self.database.write() as connection:
            if answer.said is Said.UNTRIED:
                csrs.not_tried(connection, key_id, tries)
            else:
                until = now + pause(answer, tries)
                csrs.put_off(connection, key_id, tries, until, why, fix)

    def _errand(
        self, connection: Connection, asked: Csr, known: dict[str, est_servers.Kept]
    ) -> Errand | None:
        """An errand; None if its records are damaged, which keeps no other waiting."""
        try:
            authority, kept = trusted.of(connection, asked), known[asked.authority_id]
            credentials = servers.opened(self.seal, authority.id, kept.sealed)
        except (AuthorityNotFound, RecordDamaged, KeyError) as damaged:
            log.critical("a record is passed over", record=str(damaged))
            return None
        errand = Errand(
            asked.key_id,
            asked.tries,
            asked.csr,
            authority.certificate,
            kept.server,
            credentials,
            renews=asked.standing is Standing.NEXT,
        )
        return _named(connection, errand, asked) if kept.server.is_issuance else errand

    def _install(self, key_id: str, answer: Answer) -> NotCertified | None:
        """Install a certificate; or return why not. One for a key that has one changes nothing."""
        with self.database.read() as connection:
            asked = csrs.of_key(connection, key_id)
            kept = None if asked is None else est_servers.find(connection, asked.authority_id)
        if asked is None or asked.certificate:
            return None
        try:
            certificate = external.read(answer.certificate)
            any_subject = kept is not None and kept.server.any_subject
            check_answer(certificate, asked, any_subject=any_subject)
            between = answer.between[:MOST_BETWEEN]
            done = self.certifying.install([answer.certificate], between, actor=KEYSTORE)
        except InvalidInput as error:
            return NotCertified(str(error), UNREADABLE)
        except IllegalCardChange as error:
            return NotCertified(str(error), "what was issued is kept nowhere: it is asked for anew")
        except NotCertified as refused:
            return refused
        (brought,) = done.brought
        if brought.outcome is Outcome.REFUSED:
            return NotCertified(brought.reason, brought.fix)
        return None


def _named(connection: Connection, errand: Errand, asked: Csr) -> Errand:
    """An errand that says whose card it is, as an issuance service wants to know."""
    card = cards.find(connection, asked.card_id)
    if card is None:
        return errand
    user = people.holder(connection, card)
    number, name = user.uuid12 or "", user.display_name
    return replace(errand, person=number, holder=name, card_serial=card.serial)
