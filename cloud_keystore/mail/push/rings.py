"""Gives out rings, encrypted and signed, and takes what became of them. Whoever sends them has no
key, and does not know for whom they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.credentials import bell_addresses, push_keys, push_messages
from cloud_keystore.custody.credentials.push_keys import PushKey
from cloud_keystore.custody.sealing.seal import Seal
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.clock import Clock, Random
from cloud_keystore.model.errors import InvalidInput, RecordDamaged
from cloud_keystore.model.journal import Kind
from cloud_keystore.model.outbox.bells import LEASE_TIME, LONGEST_ENDPOINT, QUIET_TIME, Bell, pause
from cloud_keystore.model.outbox.notifications import Outcome
from cloud_keystore.model.outbox.webhooks import HTTPS, place
from cloud_keystore.storage import people
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.outbox import bells
from cloud_keystore.storage.outbox.bells import Due

log = structlog.get_logger()

PORTION = 20  # under one lease
CONTENT = b'{"type":"waiting"}'  # neither who, nor for what, nor where
LONGEST_WHY = 200


@dataclass(frozen=True, slots=True)
class Ring:
    """One ring, as it is sent."""

    device_id: str
    tries: int
    endpoint: str = field(repr=False)  # who knows it can ring
    authorization: str = field(repr=False)
    seconds: int  # for which it is of use
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rings:
    """The bells that are to be rung. `subject` is where push services find the keystore's
    administrator.
    """

    database: Database
    clock: Clock
    random: Random
    seal: Seal = field(repr=False)
    subject: str

    def take(self) -> Sequence[Ring]:
        """Rings that are due, for the caller alone to send; some of them, if there are many."""
        now = self.clock()
        with self.database.read() as connection:
            if not bells.due(connection, now, 1):
                return []
        with self.database.write() as connection:
            key = push_keys.find_or_make(connection, self.seal)
            due = bells.due(connection, now, PORTION)
            found = [self._ring(connection, key, each, now) for each in due]
        return [each for each in found if each is not None]

    def tell(self, device_id: str, tries: int, outcome: Outcome, why: str) -> None:
        """Write down what became of a try; nothing is done if somebody else tries by now."""
        now = self.clock()
        with self.database.write() as connection:
            known = bells.find(connection, device_id)
            if known is None or known.tries != tries:
                return
            changes: Values
            match outcome:
                case Outcome.TAKEN:
                    quiet = now + QUIET_TIME
                    changes = {"rung_time": known.asked_time, "tries": 0, "next_time": quiet}
                case Outcome.UNTRIED:
                    changes = {"tries": tries - 1, "next_time": now}
                case Outcome.LATER:
                    changes = {"next_time": now + pause(tries)}
                case Outcome.REFUSED:
                    self._end(connection, known, why[:LONGEST_WHY], now)
                    return
            bells.move(connection, known, changes)

    def _ring(self, connection: Connection, key: PushKey, due: Due, now: datetime) -> Ring | None:
        """A ring, whose bell is leased; None for a bell that cannot be rung any more, which keeps
        no other waiting.
        """
        try:
            known = bells.find(connection, due.device_id)
            sealed = bells.sealed_of(connection, due.device_id)
            if known is None or sealed is None:
                return None
            if not people.is_active(connection, known.device_id, now):
                self._end(connection, known, "the device is not in use any more", now)
                return None
            leased: Values = {
                "tries": known.tries + 1,
                "asked_time": due.asked_time,
                "next_time": now + LEASE_TIME,
            }
            bells.move(connection, known, leased)
            address = bell_addresses.open_(self.seal, known.device_id, sealed)
            host, port, _ = place(address.endpoint, LONGEST_ENDPOINT)
            origin = f"https://{host}" if port == HTTPS else f"https://{host}:{port}"
            salt = self.random(push_messages.SALT_BYTES)
            once = ec.generate_private_key(ec.SECP256R1())
            return Ring(
                device_id=known.device_id,
                tries=known.tries + 1,
                endpoint=address.endpoint,
                authorization=key.authorization(origin, self.subject, now),
                seconds=max(1, int((due.expire_time - now).total_seconds())),
                body=push_messages.encrypted(CONTENT, address, once, salt),
            )
        except (RecordDamaged, InvalidInput) as damaged:
            log.critical("a record is passed over", record=str(damaged))
            return None

    def _end(self, connection: Connection, gone: Bell, why: str, now: datetime) -> None:
        device = people.find_identity(connection, gone.device_id)
        if device is not None and bells.end(connection, gone.device_id, now):
            said = {"host": gone.host, "why": why}
            told = entries.about_identity(Kind.BELL_GONE, device, now, KEYSTORE, said)
            journal.append(connection, told)
