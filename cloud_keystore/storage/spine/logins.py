"""Rows of how often holders have logged in with a card, and of the names that they are registered
with, as the broker said it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, Integer, LargeBinary, String, select

from cloud_keystore.model.spine.tickets import NEVER, Logins
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

spine_login = authentic(
    "spine_login",
    Column("card_id", ForeignKey("card.id"), primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last_time", Instant, nullable=False),
    Column("ticket_sha256", LargeBinary, nullable=False),  # of the last one
)
spine_name = authentic(
    "spine_name",
    Column("user_id", ForeignKey("user.id"), primary_key=True),
    Column("name", String, nullable=False),
)


def of_card(connection: Connection, card_id: str) -> Logins:
    """How often a card was logged in with."""
    return of_cards(connection, [card_id]).get(card_id, NEVER)


def of_cards(connection: Connection, card_ids: Iterable[str]) -> dict[str, Logins]:
    """How often some cards were logged in with; those with which nobody did are not among them."""
    c = spine_login.c
    return {
        row["card_id"]: Logins(row["count"], row["last_time"])
        for some in portions(card_ids)
        for row in rows.read(
            connection, spine_login, select(spine_login).where(c.card_id.in_(some))
        )
    }


def count(connection: Connection, card_id: str, ticket_sha256: bytes, now: datetime) -> bool:
    """Count a log-in; False if its ticket is the one that was counted last."""
    row = rows.one(connection, spine_login, card_id=card_id)
    if row is not None and row["ticket_sha256"] == ticket_sha256:
        return False
    counted: Values = {"last_time": now, "ticket_sha256": ticket_sha256}
    if row is None:
        rows.add(connection, spine_login, {"card_id": card_id, "count": 1, **counted})
    else:
        rows.rewrite(connection, spine_login, row, {"count": row["count"] + 1, **counted})
    return True


def name(connection: Connection, user_id: str) -> str | None:
    """The name with which somebody was registered when the broker said so last; None if never."""
    row = rows.one(connection, spine_name, user_id=user_id)
    return None if row is None else str(row["name"])


def keep_name(connection: Connection, user_id: str, said: str) -> None:
    """Keep what the broker said of a name, in place of what it said before."""
    row = rows.one(connection, spine_name, user_id=user_id)
    if row is None:
        rows.add(connection, spine_name, {"user_id": user_id, "name": said})
    elif row["name"] != said:
        rows.rewrite(connection, spine_name, row, {"name": said})
