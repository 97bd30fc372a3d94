"""Looks now and then for what ends: authorities, which get successors, and identities that were not
renewed, of which people are warned.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from cloud_keystore.audit import alerts
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import WARNING_TIME, Role
from cloud_keystore.observability.metrics import Metrics
from cloud_keystore.pki import authorities
from cloud_keystore.pki.issuers import SUCCESSIONS, Authorities
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database

log = structlog.get_logger()

LOOK_SECONDS = 60.0


@dataclass(slots=True)
class Ends:
    """What one process sees to. To be used by one thread at a time."""

    database: Database
    seal: Seal
    clock: Clock
    authorities: Authorities
    monotonic: Callable[[], float]
    _next_look: float = 0.0

    def look(self) -> None:
        """See to what ends, unless the last look was less than LOOK_SECONDS ago."""
        now = self.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            self.succeed()
        finally:
            self.warn()

    def succeed(self) -> None:
        """Make the authorities that are due."""
        made = authorities.succeed(
            self.database, self.seal, self.authorities, self.clock(), os.urandom
        )
        for name in made:
            log.warning("an authority has a successor", authority=name.value)

    def warn(self) -> None:
        """Warn people once of each identity that ends."""
        now = self.clock()
        with self.database.read() as connection:
            found = people.ending(connection, now, now + WARNING_TIME)
        if all(each.warn_time is not None for each in found):
            return
        with self.database.write() as connection:
            for each in found:
                if each.expire_time is not None and people.warned(connection, each.id, now):
                    alerts.identity_ends(connection, each, each.expire_time, now, os.urandom)

    def measure(self, metrics: Metrics) -> None:
        """Write down how long authorities last, and how many identities end."""
        now = self.clock()
        for name in SUCCESSIONS:
            left = self.authorities.generations[name][-1].end - now
            metrics.authority_seconds.labels(name.value).set(left.total_seconds())
        with self.database.read() as connection:
            found = people.ending(connection, now, now + WARNING_TIME)
        for role in Role:
            ending = sum(each.role is role for each in found)
            metrics.identities_ending.labels(role.name.lower()).set(ending)
