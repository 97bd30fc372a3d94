"""Rows of the service's own keys: certificate authorities, request key, enrolment certificate."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

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
