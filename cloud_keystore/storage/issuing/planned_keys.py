"""Rows of keys that a PKCS#11 token is to make, or has made, and that no card has yet. A row is
there before its key, and goes when a card has the key, or when it is destroyed: so a key of which
nobody knows is in no token.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, Connection, ForeignKey, Integer, RowMapping, String, select

from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant

planned_key = authentic(
    "planned_key",
    Column("id", String, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False, index=True),
    Column("process", Integer, nullable=False),
    Column("end_time", Instant, nullable=False, index=True),
)
c = planned_key.c
MOST_DUE = 100  # that are destroyed in one turn


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """A key for a card, by the process of this number. After its end it is destroyed."""

    id: str
    card_id: str
    process: int
    end_time: datetime

    @property
    def handle(self) -> bytes:
        """By which the token finds the key."""
        return UUID(self.id).bytes


def add(connection: Connection, keys: Sequence[PlannedKey]) -> None:
    """Add keys."""
    rows.add(connection, planned_key, *(asdict(key) for key in keys))


def keep(connection: Connection, ids: Collection[str], now: datetime) -> bool:
    """Forget keys that a card has now; False if one of them has had its end."""
    this = [c.id.in_(ids), c.end_time > now]
    if len(rows.change(connection, planned_key, this, {"end_time": now})) < len(ids):
        return False
    rows.drop(connection, planned_key, c.id.in_(ids))
    return True


def end(connection: Connection, ids: Collection[str], now: datetime) -> set[str]:
    """Have keys destroyed; returns those that are still known."""
    there = rows.change(connection, planned_key, [c.id.in_(ids)], {"end_time": now})
    return {row["id"] for row in there}


def end_of_card(connection: Connection, card_id: str, now: datetime) -> None:
    """Have all keys destroyed that were planned for a card."""
    rows.change(
        connection, planned_key, [c.card_id == card_id, c.end_time > now], {"end_time": now}
    )


def end_of_processes(connection: Connection, processes: Collection[int], now: datetime) -> None:
    """Have the keys destroyed that were planned by processes that are gone."""
    this = [c.process.in_(processes), c.end_time > now]
    rows.change(connection, planned_key, this, {"end_time": now})


def by(connection: Connection) -> set[int]:
    """The numbers of the processes that have planned keys."""
    return set(connection.execute(select(c.process)).scalars())


def due(connection: Connection, now: datetime) -> list[PlannedKey]:
    """Keys that are to be destroyed, some at a time; records that are not authentic are passed
    over.
    """
    query = select(planned_key).where(c.end_time <= now).order_by(c.end_time).limit(MOST_DUE)
    return [_to_key(row) for row in rows.authentic(connection, planned_key, query)]


def forget(connection: Connection, key: PlannedKey) -> bool:
    """Write down that a key is not in its token; False if that was known already, or if it is not
    to be destroyed any more.
    """
    this = [c.id == key.id, c.end_time == key.end_time]
    gone = bool(rows.change(connection, planned_key, this, {"end_time": key.end_time}))
    if gone:
        rows.drop(connection, planned_key, c.id == key.id)
    return gone


def handles(connection: Connection) -> frozenset[bytes]:
    """The handles of all planned keys."""
    return frozenset(UUID(each).bytes for each in connection.execute(select(c.id)).scalars())


@record("planned key")
def _to_key(row: RowMapping) -> PlannedKey:
    return PlannedKey(**{name: row[name] for name in PlannedKey.__dataclass_fields__})
