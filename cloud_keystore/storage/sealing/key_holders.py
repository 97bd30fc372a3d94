"""Rows of services that run: the sealing keys that each of their processes was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from cloud_keystore.storage.authentic.declaring import metadata
from cloud_keystore.storage.databases.instants import Instant

ID_BYTES = 8  # of a key's identifier

key_holder = Table(  # processes of services that run, and the sealing keys that they were given
    "key_holder",
    metadata,
    Column("id", String, primary_key=True),
    Column("key_ids", LargeBinary, nullable=False),  # one after the other
    Column("seen_time", Instant, nullable=False),
)
h = key_holder.c


def see(connection: Connection, holder: str, key_ids: Sequence[bytes], now: datetime) -> None:
    """Write down that a process runs, with these keys."""
    values = {"key_ids": b"".join(key_ids), "seen_time": now}
    changed = connection.execute(update(key_holder).where(h.id == holder).values(values))
    if changed.rowcount == 0:
        connection.execute(insert(key_holder).values(id=holder, **values))


def leave(connection: Connection, holder: str) -> None:
    """Write down that a process has ended."""
    connection.execute(delete(key_holder).where(h.id == holder))


def list_seen(connection: Connection, since: datetime) -> list[frozenset[bytes]]:
    """The keys of each process that was seen since a time."""
    found = connection.execute(select(h.key_ids).where(h.seen_time > since)).scalars()
    return [
        frozenset(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)) for ids in found
    ]


def forget(connection: Connection, before: datetime) -> None:
    """Delete the rows of processes that were killed."""
    connection.execute(delete(key_holder).where(h.seen_time <= before))
