"""Errands to places where external authorities publish their revocation lists: given to a process
without keys, which brings back what it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from cloud_keystore.cards.external.external_lists import read, take
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.errors import InvalidInput
from cloud_keystore.model.pki.est import LONGEST_WHY
from cloud_keystore.model.pki.lists import (
    LEASE_TIME,
    ExternalList,
    Fetched,
    ListAnswer,
    ListErrand,
    pause,
)
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import external
from cloud_keystore.storage.revocation import external_lists

log = structlog.get_logger()

PORTION = 2  # under one lease
NO_LIST = "look at what is published there; the list that is held stays until it ends"


@dataclass(frozen=True, slots=True)
class ListErrands:
    """What the process asks for that may call authorities, and what it brings."""

    database: Database
    clock: Clock

    def take(self) -> Sequence[ListErrand]:
        """Errands that are due, for the caller alone; some of them, if there are many."""
        now = self.clock()
        with self.database.read() as connection:
            if not external_lists.is_due(connection, now):
                return []
        with self.database.write() as connection:
            return external_lists.lease(connection, now, LEASE_TIME, PORTION)

    def tell(self, authority_id: str, tries: int, answer: ListAnswer) -> None:
        """Take what came of an errand; nothing is done if somebody else runs it by now."""
        now, came = self.clock(), None
        if answer.fetched is Fetched.HERE:
            with self.database.read() as connection:
                authority = external.known_as(connection, authority_id)
            try:
                # Other writers do not wait until a large list is read.
                came = None if authority is None else read(authority, answer.document, now)
            except InvalidInput as error:
                answer = _wrong(error)
        with self.database.write() as connection:
            held = external_lists.find(connection, authority_id)
            authority = external.known_as(connection, authority_id)
            if held is None or authority is None or held.tries != tries or not held.url:
                return
            if came is not None:
                try:
                    take(connection, authority, came, now, KEYSTORE)
                except InvalidInput as error:
                    answer = _wrong(error)
            if answer.fetched is not Fetched.HERE:
                external_lists.put(connection, self._later(held, answer))
        if answer.fetched is Fetched.WRONG:
            log.warning("no revocation list was fetched", authority=authority_id, tries=tries)

    def _later(self, held: ExternalList, answer: ListAnswer) -> ExternalList:
        if answer.fetched is Fetched.UNTRIED:
            return replace(held, tries=held.tries - 1, fetch_time=None)
        later = self.clock() + pause(held.tries)
        why, fix = answer.why[:LONGEST_WHY], answer.fix[:LONGEST_WHY]
        return replace(held, fetch_time=later, why=why, fix=fix)


def _wrong(error: InvalidInput) -> ListAnswer:
    return ListAnswer(Fetched.WRONG, why=str(error), fix=NO_LIST)
