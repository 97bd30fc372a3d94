"""Rows of keys that take the places of others on their cards once they have certificates. Until
then they are on no card, as keys that were taken off one.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection

from cloud_keystore.model.cards import HeldKey, Key
from cloud_keystore.storage import cards
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values

k = t.key.c


def add(connection: Connection, key: HeldKey) -> None:
    """Add a key, which is on no card yet."""
    known = {name: getattr(key, name) for name in Key.__dataclass_fields__}
    private = cards.from_private(key.private)
    rows.add(connection, t.key, {**known, **private, "remove_time": key.create_time})


def put_on_card(connection: Connection, key_id: str, certificate: bytes) -> None:
    """Put a key on its card, which must have none under this reference, with its certificate."""
    there: Values = {"certificate": certificate, "remove_time": None}
    rows.change(connection, t.key, [k.id == key_id], there)


def erase(connection: Connection, key_ids: Collection[str], now: datetime) -> None:
    """Erase the private parts of keys that are on no card."""
    left = [k.id.in_(key_ids), k.remove_time.is_not(None), k.destroy_time.is_(None)]
    rows.change(connection, t.key, left, {"sealed_private": None, "destroy_time": now})
