"""Rows of the service's own keys: certificate authorities, request key, enrolment certificate."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from cloud_keystore.storage import tables as t


def add(connection: Connection, name: str, certificate: bytes, sealed_private: bytes) -> None:
    connection.execute(
        insert(t.authority).values(
            name=name, certificate=certificate, sealed_private=sealed_private
        )
    )


def find(connection: Connection, name: str) -> tuple[bytes, bytes] | None:
    """Certificate (DER) and sealed private key of an authority."""
    row = connection.execute(
        select(t.authority.c.certificate, t.authority.c.sealed_private).where(
            t.authority.c.name == name
        )
    ).first()
    return None if row is None else (row.certificate, row.sealed_private)


def remove(connection: Connection, name: str) -> None:
    connection.execute(delete(t.authority).where(t.authority.c.name == name))


def count(connection: Connection) -> int:
    """How many there are."""
    return connection.execute(select(func.count()).select_from(t.authority)).scalar_one()


def certificates(connection: Connection) -> dict[str, bytes]:
    """The certificates, DER, by name."""
    query = select(t.authority.c.name, t.authority.c.certificate).order_by(t.authority.c.name)
    return {row.name: row.certificate for row in connection.execute(query)}
