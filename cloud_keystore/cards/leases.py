"""Leases of processes that have ended: others go on with the cards, and the keys are destroyed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.storage.engine import Database
from cloud_keystore.storage.issuing import orders, planned_keys


def holders(connection: Connection) -> set[int]:
    """The numbers of the processes that make cards or keys."""
    making = {order.process for order in orders.under_way(connection)}
    return making | planned_keys.by(connection)


def end(database: Database, processes: Collection[int] | None, now: datetime) -> None:
    """End the leases of processes that are gone; None: of all, before the first call is served."""
    with database.read() as connection:
        gone = holders(connection)
        if processes is not None:
            gone.intersection_update(processes)
        lost = [order.card_id for order in orders.under_way(connection) if order.process in gone]
    if gone:
        with database.write() as connection:
            orders.release(connection, lost, now)
            planned_keys.end_of_processes(connection, gone, now)
