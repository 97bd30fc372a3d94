"""Rows of codes that were mailed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    func,
    select,
)

from cloud_keystore.model.portal.codes import MailedCode, Purpose
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

mailed_code = authentic(
    "mailed_code",
    Column("id", String, primary_key=True),
    Column("who", String, nullable=False),
    Column("user_id", ForeignKey("user.id")),
    Column("purpose", String, nullable=False),
    Column("address", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("mailed_code_by_who", "who", "create_time"),
    Index("mailed_code_by_address", "address", "create_time"),
)
c = mailed_code.c
_KNOWN = MailedCode.__dataclass_fields__


def add(connection: Connection, code: MailedCode) -> None:
    """Add a code, which ends the earlier ones for the same."""
    end_all(connection, code.who, code.purpose, code.create_time)
    rows.add(connection, mailed_code, asdict(code))


def find(connection: Connection, code_id: str) -> MailedCode | None:
    return _code(rows.one(connection, mailed_code, id=code_id))


def spend_try(
    connection: Connection, who: str, purpose: Purpose, now: datetime
) -> MailedCode | None:
    """Take a try away from a code that is still good; returns it as it is then, or None."""

    def one_less(row: RowMapping) -> Values:
        return {"tries_left": row["tries_left"] - 1}

    open_ = [*_open(who, purpose), c.expire_time > now, c.tries_left > 0]
    spent = rows.change(connection, mailed_code, open_, one_less)
    return find(connection, spent[0]["id"]) if spent else None


def give_back(connection: Connection, code: MailedCode) -> None:
    """Give a code the try again that was spent on it, because it was right."""
    tries: Values = {"tries_left": code.tries_left + 1}
    rows.change(connection, mailed_code, [c.id == code.id], tries)


def end_all(connection: Connection, who: str, purpose: Purpose, now: datetime) -> None:
    """Let all codes of somebody for a purpose be of no use any more."""
    rows.change(connection, mailed_code, _open(who, purpose), {"end_time": now})


def count(connection: Connection, who: str, purpose: Purpose, since: datetime) -> int:
    """How many codes were asked for since a time."""
    query = select(func.count()).where(c.who == who, c.purpose == purpose, c.create_time > since)
    return connection.execute(query).scalar_one()


def count_to(connection: Connection, address: str, purpose: Purpose, since: datetime) -> int:
    """How many were mailed to an address since a time, whosever it is to be."""
    query = select(func.count()).where(
        c.address == address, c.purpose == purpose, c.create_time > since
    )
    return connection.execute(query).scalar_one()


def _open(who: str, purpose: Purpose) -> list[ColumnElement[bool]]:
    return [c.who == who, c.purpose == purpose, c.end_time.is_(None)]


def _code(row: RowMapping | None) -> MailedCode | None:
    if row is None:
        return None
    known = {name: row[name] for name in _KNOWN}
    return MailedCode(**known | {"purpose": Purpose(row["purpose"])})
