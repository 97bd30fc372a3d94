"""Rows of key-encryption keys and of the service's own secrets, and access to all sealed values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Connection, Row, Table, insert, select, update

from cloud_keystore.storage import tables as t


@dataclass(frozen=True, slots=True)
class SealingKey:
    """What a database knows of a key-encryption key; never the key itself."""

    id: bytes
    kind: str
    check: bytes  # a known value, sealed under it
    parameters: str  # JSON
    create_time: datetime
    retire_time: datetime | None = None


COLUMNS = tuple(t.sealing_key.c[name] for name in SealingKey.__dataclass_fields__)


def list_all(connection: Connection) -> list[SealingKey]:
    """All key-encryption keys, oldest first."""
    query = select(*COLUMNS).order_by(t.sealing_key.c.create_time, t.sealing_key.c.id)
    return [SealingKey(**row) for row in connection.execute(query).mappings()]


def add(connection: Connection, key: SealingKey) -> None:
    values = {name: getattr(key, name) for name in SealingKey.__dataclass_fields__}
    connection.execute(insert(t.sealing_key).values(values))


def set_parameters(connection: Connection, key_id: bytes, parameters: str) -> None:
    query = update(t.sealing_key).where(t.sealing_key.c.id == key_id)
    connection.execute(query.values(parameters=parameters))


def retire(connection: Connection, key_id: bytes, now: datetime) -> None:
    query = update(t.sealing_key).where(t.sealing_key.c.id == key_id)
    connection.execute(query.values(retire_time=now))


def retired(connection: Connection) -> set[bytes]:
    """Identifiers of the keys that are retired, and therefore refused."""
    query = select(t.sealing_key.c.id).where(t.sealing_key.c.retire_time.is_not(None))
    return set(connection.execute(query).scalars())


def find_secret(connection: Connection, name: str) -> bytes | None:
    """A sealed secret."""
    return connection.execute(select(t.secret.c.sealed).where(t.secret.c.name == name)).scalar()


def add_secret(connection: Connection, name: str, sealed: bytes) -> None:
    connection.execute(insert(t.secret).values(name=name, sealed=sealed))


def any_authority(connection: Connection) -> tuple[str, bytes] | None:
    """Name and sealed private key of any of the service's authorities; None if there is none."""
    query = select(t.authority.c.name, t.authority.c.sealed_private).limit(1)
    row = connection.execute(query).first()
    return None if row is None else (row.name, row.sealed_private)


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """Where sealed values are: a table with a column that names a row, and the context under
    which each row's value is sealed.
    """

    key: Column[str]
    sealed: Column[bytes]
    context: Callable[[Row[tuple[str, bytes, int]]], str]
    also: Column[int] | None = None  # a further column that the context needs

    @property
    def table(self) -> Table:
        """The table of the columns."""
        found = self.sealed.table
        if not isinstance(found, Table):
            raise TypeError("a sealed column is one of a table")
        return found


def page(
    connection: Connection, where: SealedColumn, after: str, limit: int
) -> list[Row[tuple[str, bytes, int]]]:
    """Some rows with a sealed value, by that column: (key, sealed, also)."""
    query = (
        select(
            where.key.label("key"),
            where.sealed.label("sealed"),
            (where.key if where.also is None else where.also).label("also"),
        )
        .where(where.key > after, where.sealed.is_not(None))
        .order_by(where.key)
        .limit(limit)
    )
    return list(connection.execute(query))


def exchange(
    connection: Connection, where: SealedColumn, changes: Iterable[tuple[str, bytes, bytes]]
) -> int:
    """Replace sealed values, given as (key, old, new); a value that has changed since stays. Return
    how many were replaced.
    """
    return sum(
        connection.execute(
            update(where.table)
            .where(where.key == key, where.sealed == old)
            .values({where.sealed.name: new})
        ).rowcount
        for key, old, new in changes
    )
