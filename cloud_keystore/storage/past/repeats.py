"""Rows of requests that API clients can repeat, and what was answered."""

from __future__ import annotations

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

from cloud_keystore.model.clock import earliest_id
from cloud_keystore.model.rights.repeats import Repeatable
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import number
from cloud_keystore.storage.databases.instants import Instant

repeatable = authentic(
    "repeatable",
    Column("id", String, primary_key=True),
    Column("client_id", ForeignKey("identity.id"), nullable=False),
    Column("key_sha256", LargeBinary, nullable=False),
    Column("request_mac", LargeBinary, nullable=False),
    Column("begin_time", Instant, nullable=False),
    Column("answer", LargeBinary),
    Index("repeatable_by_key", "client_id", "key_sha256", unique=True),
    Index("repeatable_by_client", "client_id", "id"),
)


def find(connection: Connection, client_id: str, key_sha256: bytes) -> Repeatable | None:
    row = rows.one(connection, repeatable, client_id=client_id, key_sha256=key_sha256)
    return None if row is None else _to_repeatable(row)


def add(connection: Connection, new: Repeatable) -> None:
    rows.add(
        connection,
        repeatable,
        {
            "id": new.id,
            "client_id": new.client_id,
            "key_sha256": new.key_sha256,
            "request_mac": new.request_mac,
            "begin_time": new.begin_time,
        },
    )


def remove(connection: Connection, old: Repeatable) -> None:
    rows.drop(connection, repeatable, repeatable.c.id == old.id)


def answer(connection: Connection, begun: Repeatable, answered: bytes) -> None:
    """Keep what was answered."""
    rows.change(connection, repeatable, [repeatable.c.id == begun.id], {"answer": answered})


def are_more(connection: Connection, client_id: str, since: datetime, most: int) -> bool:
    """Whether a client has begun more than so many since a time."""
    r = repeatable.c
    query = select(r.id).where(r.client_id == client_id, r.id >= earliest_id(since))
    query = query.order_by(r.id).offset(number(most)).limit(number(1))
    return connection.execute(query).first() is not None


@record("repeatable")
def _to_repeatable(row: RowMapping) -> Repeatable:
    return Repeatable(**{name: row[name] for name in Repeatable.__dataclass_fields__})
