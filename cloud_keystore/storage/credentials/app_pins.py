"""Rows of app PINs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Integer,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.fields.app_pins import PIN_TRIES, AppPin
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

app_pin = authentic(
    "app_pin",
    Column("device_id", ForeignKey("identity.id"), primary_key=True),
    Column("hash", String, nullable=False),
    Column("tries_left", Integer, nullable=False),
    Column("checked_for", String),
    Column("checked_until", Instant),
    Column("code_id", String),
    Column("code_hash", String),
    Column("code_tries", Integer, nullable=False),
    Column("code_end", Instant),
)
c = app_pin.c
NO_CODE: Values = {"code_id": None, "code_hash": None, "code_tries": 0, "code_end": None}
UNCHECKED: Values = {"checked_for": None, "checked_until": None}


def find(connection: Connection, device_id: str) -> AppPin | None:
    """The PIN of a device, or None."""
    row = rows.one(connection, app_pin, device_id=device_id)
    return None if row is None else AppPin(**{name: row[name] for name in _KNOWN})


def tries_left(connection: Connection, devices: Iterable[str]) -> Mapping[str, int]:
    """How many tries the PINs of some devices have, of those that ask for one."""
    return {
        row["device_id"]: row["tries_left"]
        for some in portions(devices)
        for row in rows.read(connection, app_pin, select(app_pin).where(c.device_id.in_(some)))
    }


def add(connection: Connection, device_id: str, hashed: str) -> None:
    """Give a device its first PIN."""
    row: Values = {"device_id": device_id, "hash": hashed, "tries_left": PIN_TRIES}
    rows.add(connection, app_pin, {**row, **UNCHECKED, **NO_CODE})


def spend_try(connection: Connection, device_id: str) -> AppPin | None:
    """Take one try away; the PIN as it is then, or None if there is none left."""

    def one_less(row: RowMapping) -> Values:
        return {"tries_left": row["tries_left"] - 1, **UNCHECKED}

    if not rows.change(connection, app_pin, [c.device_id == device_id, c.tries_left > 0], one_less):
        return None
    return find(connection, device_id)


def check(connection: Connection, pin: AppPin, request_id: str, until: datetime) -> bool:
    """Keep that a PIN was right for a request, which gives it its tries again; False if it is
    another one meanwhile.
    """
    right: Values = {"tries_left": PIN_TRIES, "checked_for": request_id, "checked_until": until}
    return bool(rows.change(connection, app_pin, _same(pin), right))


def replace(connection: Connection, pin: AppPin, hashed: str, *, by_code: bool = False) -> bool:
    """Set another PIN, which ends its code; False if it is another one meanwhile, or, by a code,
    that is.
    """
    fresh: Values = {"hash": hashed, "tries_left": PIN_TRIES, **UNCHECKED, **NO_CODE}
    same = [*_same(pin), *([c.code_id == pin.code_id] if by_code else [])]
    return bool(rows.change(connection, app_pin, same, fresh))


def add_code(
    connection: Connection, device_id: str, code_id: str, hashed: str, tries: int, end: datetime
) -> None:
    """Give a device a code, in the place of the one before."""
    code: Values = {
        "code_id": code_id,
        "code_hash": hashed,
        "code_tries": tries,
        "code_end": end,
    }
    rows.change(connection, app_pin, [c.device_id == device_id], code)


def spend_code_try(connection: Connection, device_id: str) -> AppPin | None:
    """Take one try of its code away; the PIN as it is then, or None if there is none left."""

    def one_less(row: RowMapping) -> Values:
        return {"code_tries": row["code_tries"] - 1}

    if not rows.change(connection, app_pin, [c.device_id == device_id, c.code_tries > 0], one_less):
        return None
    return find(connection, device_id)


def leave_one_try(connection: Connection) -> None:
    """After a restoring, nobody knows what was tried since, and which code was used."""
    rows.change(connection, app_pin, [c.tries_left > 1], {"tries_left": 1})
    rows.change(connection, app_pin, [c.code_id.is_not(None)], NO_CODE)


def _same(pin: AppPin) -> list[ColumnElement[bool]]:
    return [c.device_id == pin.device_id, c.hash == pin.hash]


_KNOWN = AppPin.__dataclass_fields__
