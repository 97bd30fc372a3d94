"""Tells the registration authority of identities that have nearly used up their share of the
journal.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cloud_keystore.audit import alerts
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import Role
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.storage import budgets, people
from cloud_keystore.storage.engine import Database


@dataclass(frozen=True, slots=True)
class Budgets:
    """What one process tells of budgets."""

    database: Database
    clock: Clock

    def tell(self) -> None:
        """Raise an alert about each budget that is nearly used up: one, until half is back."""
        with self.database.read() as connection:
            untold = budgets.untold(connection)
        if not untold:
            return
        with self.database.write() as connection:
            for each in untold:
                identity = people.find_identity(connection, each)
                if budgets.tell(connection, each) and identity is not None:
                    alerts.journal_budget(connection, identity, self.clock(), os.urandom)

    def measure(self, metrics: Metrics) -> None:
        """Write down how many identities have nearly used up their budgets, and whether the disk
        has room.
        """
        with self.database.read() as connection:
            found = [people.find_identity(connection, each) for each in budgets.full(connection)]
        for role in Role:
            full = sum(each is not None and each.role is role for each in found)
            metrics.budgets_full.labels(role.name.lower()).set(full)
        metrics.disk_has_room.set(self.database.has_room)
