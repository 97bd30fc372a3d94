"""Looks now and then for what ends: authorities, which get successors, and identities that were not
renewed, of which people are warned. Holders are reminded of cards that end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from cloud_keystore.audit import alerts
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.mail import reminding
from cloud_keystore.model.clock import Clock
from cloud_keystore.model.people import WARNING_TIME, Role
from cloud_keystore.pki import authorities
from cloud_keystore.pki.issuers import SUCCESSIONS, Authorities
from cloud_keystore.storage import people
from cloud_keystore.storage.engine import Database

log = structlog.get_logger()

LOOK_SECONDS = 60.0
REMIND_SECONDS = 3600.0  # between two looks for cards that end
MOST_WARNED = 500  # identities in one transaction, for which other writers wait
MOST_COUNTED = 1000  # for the metrics, which need not tell thousands from more


@dataclass(slots=True)
class Ends:
    """What one process sees to. To be used by one thread at a time."""

    database: Database
    seal: Seal
    clock: Clock
    authorities: Authorities
    monotonic: Callable[[], float]
    _next_look: float = 0.0
    _next_reminder: float = 0.0

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
        if now >= self._next_reminder:
            self._next_reminder = now + REMIND_SECONDS
            reminding.remind(self.database, self.clock())

    def succeed(self) -> None:
        """Make the authorities that are due."""
        made = authorities.succeed(
            self.database, self.seal, self.authorities, self.clock(), os.urandom
        )
        for name in made:
            log.warning("an authority has a successor", authority=name.value)

    def warn(self) -> None:
        """Warn people once of each identity that ends; of some of many, and of the others later."""
        now = self.clock()
        with self.database.read() as connection:
            found = people.ending(connection, now, now + WARNING_TIME, MOST_WARNED, unwarned=True)
        if not found:
            return
        with self.database.write() as connection:
            for each in found:
                if each.expire_time is not None and people.warned(connection, each.id, now):
                    alerts.identity_ends(connection, each, each.expire_time, now, os.urandom)

    def identities_ending(self) -> Mapping[str, float]:
        """How many identities of each role end soon and were not renewed, of the first MOST_COUNTED
        to end.
        """
        now = self.clock()
        with self.database.read() as connection:
            found = people.ending(connection, now, now + WARNING_TIME, MOST_COUNTED)
        return {role.name.lower(): sum(each.role is role for each in found) for role in Role}

    def authority_seconds(self) -> Mapping[str, float]:
        """How long the newest authority of each kind lasts."""
        now = self.clock()
        return {
            name.value: (self.authorities.generations[name][-1].end - now).total_seconds()
            for name in SUCCESSIONS
        }
