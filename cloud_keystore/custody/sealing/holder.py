"""Which sealing keys the services that run have: none is left behind by a rotation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.custody.sealing.seal import Seal, SealingKeyError
from cloud_keystore.model.clock import Clock
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.sealing import key_holders

SEEN_EVERY = timedelta(seconds=15)
# A process that was killed counts as running for so long.
GONE_AFTER = timedelta(seconds=60)


@dataclass(slots=True)
class Holder:
    """One process of a service, and the keys that it has."""

    id: str
    database: Database
    clock: Clock
    _seen: datetime | None = None

    def see(self, seal: Seal) -> None:
        """Tell from time to time that this process runs, and with which keys."""
        now = self.clock()
        if self._seen is not None and self._seen <= now < self._seen + SEEN_EVERY:
            return
        with self.database.write() as connection:
            key_holders.see(connection, self.id, seal.key_ids, now)
            key_holders.forget(connection, now - GONE_AFTER)
        self._seen = now

    def leave(self) -> None:
        """Tell that this process ends."""
        with self.database.write() as connection:
            key_holders.leave(connection, self.id)


def check_none(connection: Connection, now: datetime) -> None:
    """Raise SealingKeyError if a service runs on the database."""
    if key_holders.list_seen(connection, now - GONE_AFTER):
        raise SealingKeyError(
            "a keystore runs on this database: stop all replicas first (one that was killed counts "
            "for a minute)"
        )


def check_all_have(connection: Connection, key_id: bytes, now: datetime) -> None:
    """Raise SealingKeyError if a service runs that could not open what is sealed under a key."""
    lacking = [
        keys for keys in key_holders.list_seen(connection, now - GONE_AFTER) if key_id not in keys
    ]
    if lacking:
        raise SealingKeyError(
            f"{len(lacking)} running processes of the keystore do not have the key {key_id.hex()} "
            "and could open nothing that is sealed under it: restart each service with this key "
            "too, then rotate (one that was killed counts for a minute)"
        )
