"""Looks at the database and what it holds, and whether keys can be used, for health and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog
from sqlalchemy import select

from cloud_keystore.cards.external.external_lists import seconds_left, stale
from cloud_keystore.cards.spares import KINDS
from cloud_keystore.custody.backends.probing import Probe
from cloud_keystore.observability.metrics import Gauges
from cloud_keystore.pki.revocation.publishing import Publishing
from cloud_keystore.run.budgets import Budgets
from cloud_keystore.run.ends import Ends
from cloud_keystore.storage import operations
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import spare_keys
from cloud_keystore.storage.outbox import notifications

T = TypeVar("T")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of one process of custody."""

    database: Database
    ends: Ends
    budgets: Budgets
    publishing: Publishing
    probe: Probe

    def answers(self) -> bool:
        """Whether the database answers now and takes changes, and keys can be used; can block."""
        return answers(self.database) and self.probe.works()

    def concerns(self) -> tuple[str, ...]:
        """What somebody has to see to, although calls are served; can block."""
        return stale(self.database, self.ends.clock())

    def gauges(self) -> Gauges:
        """What is measured for the metrics."""
        return Gauges(
            _measured(self._waiting, None),
            _measured(self.ends.identities_ending, {}),
            _measured(self.ends.authority_seconds, {}),
            _measured(self.publishing.seconds, {}),
            _measured(self._external_lists, {}),
            _measured(self.budgets.full, {}),
            _measured(self._notifications, {}),
            self.database.has_room,
            self.probe.works(),
            _measured(self._spare_keys, {}),
        )

    def _waiting(self) -> int | None:
        with self.database.read() as connection:
            return operations.count_waiting(connection)

    def _external_lists(self) -> Mapping[str, float]:
        return seconds_left(self.database, self.ends.clock())

    def _notifications(self) -> Mapping[str, float]:
        with self.database.read() as connection:
            return notifications.count(connection)

    def _spare_keys(self) -> Mapping[str, float]:
        with self.database.read() as connection:
            there = spare_keys.levels(connection)
        # None of a kind is a level too.
        return {each.name: there.get(each, 0) for each in KINDS}


def answers(database: Database) -> bool:
    """Whether a database answers now and takes changes; can block."""
    if not database.is_writable:
        log.warning("not ready", error="the database's file or folder cannot be written")
        return False
    if not database.has_room:
        log.warning("not ready", error="the database's disk is nearly full")
        return False
    try:
        with database.read() as connection:
            connection.execute(select(1))
    except Exception as error:
        log.warning("not ready", error=type(error).__name__)
        return False
    return True


def _measured(measure: Callable[[], T], otherwise: T) -> T:
    try:
        return measure()
    # The other metrics are still useful.
    except Exception as error:
        log.warning("a metric was not looked up", error=type(error).__name__)
        return otherwise
