"""Rows of unlocks that an operator has asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from cloud_keystore.model.passcodes import Unlock
from cloud_keystore.storage import tables as t

u = t.unlock.c


def put(connection: Connection, unlock: Unlock) -> None:
    """Write down that an operator asks for an unlock, in place of an earlier one of the card."""
    drop(connection, unlock.card_id)
    connection.execute(
        insert(t.unlock).values(
            card_id=unlock.card_id, asked_by=unlock.asked_by, expire_time=unlock.expire_time
        )
    )


def find(connection: Connection, card_id: str, now: datetime) -> Unlock | None:
    """The unlock that waits for somebody to agree, or None."""
    query = select(t.unlock).where(u.card_id == card_id, u.expire_time > now)
    row = connection.execute(query).mappings().first()
    return None if row is None else Unlock(**row)


def drop(connection: Connection, card_id: str) -> None:
    """Forget that an unlock was asked for."""
    connection.execute(delete(t.unlock).where(u.card_id == card_id))
