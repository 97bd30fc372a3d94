"""Rows of spare keys, which are made in advance. A row goes when its key is taken, and the key is
then one of a card, under the same identifier: so no key is ever on two cards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Column, Connection, Integer, LargeBinary, RowMapping, String, func, select

from card_os.piv.names import Algorithm
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant

spare_key = authentic(
    "spare_key",
    Column("id", String, primary_key=True),
    Column("algorithm", Integer, nullable=False, index=True),
    Column("public_key", LargeBinary, nullable=False),  # SubjectPublicKeyInfo, DER
    Column("sealed_private", LargeBinary, nullable=False),
    Column("create_time", Instant, nullable=False),
    uncovered=("sealed_private",),
)
c = spare_key.c
MOST_DROPPED = 20  # in one transaction, for which other writers wait


@dataclass(frozen=True, slots=True)
class SpareKey:
    """A key pair that belongs to nobody yet. Its private part is sealed as that of a card's key."""

    id: str
    algorithm: Algorithm
    public_key: bytes
    sealed_private: bytes = field(repr=False)
    create_time: datetime


def add(connection: Connection, key: SpareKey) -> None:
    """Add a key."""
    known = {name: getattr(key, name) for name in SpareKey.__dataclass_fields__}
    rows.add(connection, spare_key, known)


def take(connection: Connection, algorithm: Algorithm) -> SpareKey | None:
    """Take the oldest key of an algorithm, which nobody else then gets; None if there is none. One
    that is not authentic is passed over.
    """
    query = select(spare_key).where(c.algorithm == algorithm).order_by(c.id).with_for_update()
    found = rows.authentic(connection, spare_key, query.limit(1))
    if not found:
        return None
    rows.drop(connection, spare_key, c.id == found[0]["id"])
    return _to_key(found[0])


def lacks(connection: Connection, algorithm: Algorithm, size: int) -> bool:
    """Whether there are fewer keys of an algorithm than that."""
    some = select(c.id).where(c.algorithm == algorithm).limit(size).subquery()
    there = connection.execute(select(func.count()).select_from(some)).scalar_one()
    return there < size


def levels(connection: Connection) -> Mapping[int, int]:
    """How many keys of each algorithm there are."""
    query = select(c.algorithm, func.count().label("keys")).group_by(c.algorithm)
    return {row.algorithm: row.keys for row in connection.execute(query)}


def is_empty(connection: Connection) -> bool:
    """Whether there are no keys."""
    return connection.execute(select(c.id).limit(1)).first() is None


def drop_some(connection: Connection) -> None:
    """Erase some keys of many."""
    some = connection.execute(select(c.id).limit(MOST_DROPPED)).scalars().all()
    rows.drop(connection, spare_key, c.id.in_(some))


@record("spare key")
def _to_key(row: RowMapping) -> SpareKey:
    known = {name: row[name] for name in SpareKey.__dataclass_fields__}
    return SpareKey(**{**known, "algorithm": Algorithm(row["algorithm"])})
