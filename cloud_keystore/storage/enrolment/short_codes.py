"""Rows of short codes, which stand for enrolment tokens."""

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

from cloud_keystore.model.fields.short_codes import CODE_TRIES, ShortCode
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

short_code = authentic(
    "short_code",
    Column("id", String, primary_key=True),
    Column("place", String, nullable=False),
    Column("identity_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("organisation_id", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("end_time", Instant),
    Index("short_code_by_place", "place"),
    Index("short_code_by_organisation", "organisation_id", "create_time"),
)
c = short_code.c


def add(connection: Connection, code: ShortCode) -> None:
    """Add a code, which ends the earlier ones of the same invitation."""
    open_ = [c.identity_id == code.identity_id, c.end_time.is_(None)]
    rows.change(connection, short_code, open_, {"end_time": code.create_time})
    rows.add(connection, short_code, asdict(code))


def is_taken(connection: Connection, place: str, now: datetime) -> bool:
    """Whether a code that is good has a place."""
    return rows.find(connection, short_code, *_good(place, now)) is not None


def spend_try(connection: Connection, place: str, now: datetime) -> ShortCode | None:
    """Take a try away from the code that has a place; returns it as it is then, or None."""

    def one_less(row: RowMapping) -> Values:
        return {"tries_left": row["tries_left"] - 1}

    spent = rows.change(connection, short_code, _good(place, now), one_less)
    row = rows.one(connection, short_code, id=spent[0]["id"]) if spent else None
    return None if row is None else _code(row)


def give_back(connection: Connection, code: ShortCode) -> None:
    """Give a code the try again that was spent on it, because it was right."""
    rows.change(connection, short_code, [c.id == code.id], {"tries_left": code.tries_left + 1})


def count(connection: Connection, identity_id: str, since: datetime) -> int:
    """How many codes were made for an invitation since a time."""
    query = select(func.count()).where(c.identity_id == identity_id, c.create_time > since)
    return connection.execute(query).scalar_one()


def wrong(connection: Connection, organisation_id: str, since: datetime) -> int:
    """How often codes of an organisation were given wrong that were made since a time."""
    query = select(func.coalesce(func.sum(CODE_TRIES - c.tries_left), 0)).where(
        c.organisation_id == organisation_id, c.create_time > since
    )
    return int(connection.execute(query).scalar_one())


def _good(place: str, now: datetime) -> list[ColumnElement[bool]]:
    return [c.place == place, c.end_time.is_(None), c.expire_time > now, c.tries_left > 0]


def _code(row: RowMapping) -> ShortCode:
    return ShortCode(**{name: row[name] for name in ShortCode.__dataclass_fields__})
