"""Rows of unlock codes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    func,
    select,
)

from cloud_keystore.model.passcodes import UnlockCode
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

unlock_code = authentic(
    "unlock_code",
    Column("id", String, primary_key=True),
    Column("card_id", ForeignKey("card.id"), nullable=False),
    Column("made_by", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("unlock_code_by_card", "card_id", "create_time"),
    Index("unlock_code_by_operator", "made_by", "create_time"),
)
c = unlock_code.c


def add(connection: Connection, code: UnlockCode) -> None:
    """Add a code, which ends the card's earlier ones."""
    end_all(connection, code.card_id, code.create_time)
    rows.add(connection, unlock_code, asdict(code))


def live(connection: Connection, card_id: str, now: datetime) -> UnlockCode | None:
    """The code of a card that can still be used, or None."""
    open_ = (c.card_id == card_id, c.end_time.is_(None), c.expire_time > now, c.tries_left > 0)
    row = rows.find(connection, unlock_code, *open_)
    return None if row is None else UnlockCode(**{name: row[name] for name in _KNOWN})


def spend_try(connection: Connection, code: UnlockCode) -> int | None:
    """Take one try away; return how many are left, or None if the code was spent meanwhile."""

    def one_less(row: RowMapping) -> Values:
        return {"tries_left": row["tries_left"] - 1}

    open_ = [c.id == code.id, c.end_time.is_(None), c.tries_left > 0]
    spent = rows.change(connection, unlock_code, open_, one_less)
    return int(spent[0]["tries_left"]) - 1 if spent else None


def end(connection: Connection, code: UnlockCode, now: datetime) -> bool:
    """Let a code be of no use any more; False if it was so already."""
    this = [c.id == code.id, c.end_time.is_(None)]
    return bool(rows.change(connection, unlock_code, this, {"end_time": now}))


def end_all(connection: Connection, card_id: str, now: datetime) -> None:
    """Let all codes of a card be of no use any more."""
    these = [c.card_id == card_id, c.end_time.is_(None)]
    rows.change(connection, unlock_code, these, {"end_time": now})


def of_card(connection: Connection, card_id: str, since: datetime) -> int:
    """How many codes were made for a card since a time."""
    query = select(func.count()).where(c.card_id == card_id, c.create_time > since)
    return connection.execute(query).scalar_one()


def of_operator(connection: Connection, made_by: str, since: datetime) -> int:
    """How many codes an operator has made since a time."""
    query = select(func.count()).where(c.made_by == made_by, c.create_time > since)
    return connection.execute(query).scalar_one()


_KNOWN = UnlockCode.__dataclass_fields__
