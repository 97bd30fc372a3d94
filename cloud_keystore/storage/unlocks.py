"""Rows of unlocks that an operator has asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from cloud_keystore.model.cards import Card
from cloud_keystore.model.passcodes import Unlock
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.databases.instants import EPOCH

u = t.unlock.c


def put(connection: Connection, unlock: Unlock) -> None:
    """Write down that an operator asks for an unlock, in place of an earlier one of the card."""
    values: Values = {
        "id": unlock.id,
        "asked_by": unlock.asked_by,
        "expire_time": unlock.expire_time,
    }
    if not rows.change(connection, t.unlock, [u.card_id == unlock.card_id], values):
        rows.add(connection, t.unlock, {"card_id": unlock.card_id, **values})


def find(connection: Connection, card_id: str, now: datetime) -> Unlock | None:
    """The unlock that waits for somebody to agree, or None. One from before they had identifiers
    is asked for again.
    """
    waits = (u.card_id == card_id, u.expire_time > now, u.id.is_not(None))
    row = rows.find(connection, t.unlock, *waits)
    known = Unlock.__dataclass_fields__
    return None if row is None else Unlock(**{name: row[name] for name in known})


def id_of(connection: Connection, card: Card, now: datetime) -> str:
    """The identifier of the unlock of a card that waits for somebody to agree; empty for none."""
    found = find(connection, card.id, now)
    return "" if found is None else found.id


def of_user(connection: Connection, user_id: str, now: datetime) -> list[str]:
    """The cards of somebody, oldest first, for whose unlock an operator has asked and nobody has
    agreed.
    """
    own = select(t.card.c.id).where(t.card.c.user_id == user_id)
    waits = select(t.unlock).where(u.id.is_not(None), u.card_id.in_(own), u.expire_time > now)
    query = waits.order_by(u.card_id)
    return [str(row["card_id"]) for row in rows.read(connection, t.unlock, query)]


def drop(connection: Connection, card_id: str) -> None:
    """Forget that an unlock was asked for."""
    rows.change(connection, t.unlock, [u.card_id == card_id], {"expire_time": EPOCH})
