"""Rows of the service's own keys: certificate authorities, request key, enrolment certificate."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select

from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values


def add(connection: Connection, name: str, certificate: bytes, sealed_private: bytes) -> None:
    authority: Values = {"name": name, "certificate": certificate, "sealed_private": sealed_private}
    rows.add(connection, t.authority, authority)


def find(connection: Connection, name: str) -> tuple[bytes, bytes] | None:
    """Certificate (DER) and sealed private key of an authority."""
    row = rows.one(connection, t.authority, name=name)
    return None if row is None else (row["certificate"], row["sealed_private"])


def remove(connection: Connection, name: str) -> None:
    connection.execute(delete(t.authority).where(t.authority.c.name == name))


def count(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(t.authority)).scalar_one()


def certificates(connection: Connection) -> dict[str, bytes]:
    """The certificates, DER, by name."""
    query = select(t.authority).order_by(t.authority.c.name)
    return {row["name"]: row["certificate"] for row in rows.read(connection, t.authority, query)}
