"""Rows of orders: who has ordered a card that is not issued yet, and which process makes it now.

An order has a lease while a process works on it. What is done under it counts only while the turn
is the same: whoever goes on after another begins the next turn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Integer, RowMapping, String, select

from cloud_keystore.model.actors import Actor
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

card_order = authentic(
    "card_order",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("actor", String, nullable=False),
    Column("why", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("process", Integer, nullable=False),
    Column("lease_time", Instant),
    partial("card_order_under_way", "lease_time", where="lease_time IS NOT NULL"),
)
c = card_order.c
LONGEST_CAUSE = 300


@dataclass(frozen=True, slots=True)
class CardOrder:
    """An order for a card. `process` is the number of the process that has the lease."""

    card_id: str
    actor: Actor  # who has ordered it
    why: str = ""  # a card is replaced by it
    cause: str = ""  # of the last failure
    turn: int = 1
    process: int = 0
    lease_time: datetime | None = None  # its end; None: nobody works on it


def add(connection: Connection, order: CardOrder) -> None:
    """Add an order."""
    rows.add(connection, card_order, {**asdict(order), "actor": str(order.actor)})


def find(connection: Connection, card_id: str) -> CardOrder | None:
    """The order for a card; None if it is issued, or has no certificate yet and waits for that."""
    row = rows.one(connection, card_order, card_id=card_id)
    return None if row is None else _to_order(row)


def causes(connection: Connection, serials: Mapping[str, str]) -> Mapping[str, str]:
    """Why the cards of some identifiers were not issued, by serial number."""
    return {
        serials[row["card_id"]]: row["cause"]
        for some in portions(serials)
        for row in rows.read(connection, card_order, select(card_order).where(c.card_id.in_(some)))
    }


def take(connection: Connection, order: CardOrder, process: int, lease_time: datetime) -> CardOrder:
    """Begin the next turn, for a process."""
    taken: Values = {
        "turn": order.turn + 1,
        "process": process,
        "lease_time": lease_time,
        "cause": "",
    }
    rows.change(connection, card_order, [c.card_id == order.card_id], taken)
    return CardOrder(
        order.card_id,
        order.actor,
        order.why,
        turn=order.turn + 1,
        process=process,
        lease_time=lease_time,
    )


def end(connection: Connection, card_id: str, turn: int) -> bool:
    """Remove the order for a card that is issued; False if it is no longer this turn's."""
    this = c.card_id == card_id, c.turn == turn, c.lease_time.is_not(None)
    if not rows.change(connection, card_order, this, {"lease_time": None}):
        return False
    rows.drop(connection, card_order, c.card_id == card_id)
    return True


def leave(connection: Connection, card_id: str, cause: str, turn: int | None = None) -> bool:
    """Let nobody work on an order any more; False if it is no longer this turn's."""
    this = [c.card_id == card_id, c.lease_time.is_not(None)]
    if turn is not None:
        this.append(c.turn == turn)
    left: Values = {"lease_time": None, "cause": cause[:LONGEST_CAUSE]}
    return bool(rows.change(connection, card_order, this, left))


def under_way(connection: Connection) -> list[CardOrder]:
    """Orders on which somebody works, or worked when the process ended; records that are not
    authentic are passed over.
    """
    query = select(card_order).where(c.lease_time.is_not(None)).order_by(c.lease_time)
    return [_to_order(row) for row in rows.authentic(connection, card_order, query)]


def release(connection: Connection, card_ids: Collection[str], now: datetime) -> None:
    """End the leases of processes that are gone."""
    this = [c.card_id.in_(card_ids), c.lease_time.is_not(None)]
    rows.change(connection, card_order, this, {"lease_time": now})


@record("order")
def _to_order(row: RowMapping) -> CardOrder:
    known = {name: row[name] for name in CardOrder.__dataclass_fields__}
    return CardOrder(**{**known, "actor": Actor.parse(row["actor"])})
