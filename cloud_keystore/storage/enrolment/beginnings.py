"""Rows of what holders do at the pages by an invitation, before they have logged in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.portal.beginnings import Beginning
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

beginning = authentic(
    "beginning",
    Column("id", String, primary_key=True),
    Column("device_id", ForeignKey("identity.id"), nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("prove_time", Instant),
    Column("end_time", Instant),
    Index("beginning_by_secret", "secret_sha256", unique=True),
    Index("beginning_of_device", "device_id", "create_time"),
)
c = beginning.c
_KNOWN = Beginning.__dataclass_fields__


def add(connection: Connection, made: Beginning) -> None:
    rows.add(connection, beginning, asdict(made))


def by_secret(connection: Connection, secret_sha256: bytes) -> Beginning | None:
    """The one that a browser knows."""
    row = rows.find(connection, beginning, c.secret_sha256 == secret_sha256)
    return None if row is None else _beginning(row)


def unended(connection: Connection, device_id: str, since: datetime) -> list[Beginning]:
    """Those with an invitation that were made since a time and not ended, the first first."""
    own = (c.device_id == device_id, c.create_time > since, c.end_time.is_(None))
    query = select(beginning).where(*own).order_by(c.create_time, c.id)
    return [_beginning(row) for row in rows.read(connection, beginning, query)]


def prove(connection: Connection, made: Beginning, now: datetime) -> None:
    """Note that the code was given which the holder's address had got."""
    rows.change(connection, beginning, [c.id == made.id], {"prove_time": now})


def end(connection: Connection, made: Beginning, now: datetime) -> None:
    """Let one be over."""
    rows.change(connection, beginning, [c.id == made.id, c.end_time.is_(None)], {"end_time": now})


def _beginning(row: RowMapping) -> Beginning:
    return Beginning(**{name: row[name] for name in _KNOWN})
