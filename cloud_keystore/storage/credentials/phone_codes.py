"""Rows of codes that were sent to phone numbers."""

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

from cloud_keystore.model.fields.phones import PhoneCode
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

phone_code = authentic(
    "phone_code",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("phone", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("phone_code_by_user", "user_id", "create_time"),
    Index("phone_code_by_phone", "phone", "create_time"),
)
c = phone_code.c
_KNOWN = PhoneCode.__dataclass_fields__


def add(connection: Connection, code: PhoneCode) -> None:
    """Add a code, which ends the user's earlier ones."""
    end_all(connection, code.user_id, code.create_time)
    rows.add(connection, phone_code, asdict(code))


def find(connection: Connection, code_id: str) -> PhoneCode | None:
    return _code(rows.one(connection, phone_code, id=code_id))


def spend_try(connection: Connection, user_id: str, now: datetime) -> PhoneCode | None:
    """Take a try away from a user's code that is still good; returns it as it is then, or None."""

    def one_less(row: RowMapping) -> Values:
        return {"tries_left": row["tries_left"] - 1}

    live = [c.user_id == user_id, c.end_time.is_(None), c.expire_time > now, c.tries_left > 0]
    spent = rows.change(connection, phone_code, live, one_less)
    return find(connection, spent[0]["id"]) if spent else None


def end_all(connection: Connection, user_id: str, now: datetime) -> None:
    """Let all codes of a user be of no use any more."""
    open_ = [c.user_id == user_id, c.end_time.is_(None)]
    rows.change(connection, phone_code, open_, {"end_time": now})


def count_to(connection: Connection, phone: str, since: datetime) -> int:
    """How many codes were sent to a number since a time."""
    query = select(func.count()).where(c.phone == phone, c.create_time > since)
    return connection.execute(query).scalar_one()


def _code(row: RowMapping | None) -> PhoneCode | None:
    return None if row is None else PhoneCode(**{name: row[name] for name in _KNOWN})
