"""Rows of organisations."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from cloud_keystore.model.organisations import Organisation
from cloud_keystore.storage import tables as t

o = t.organisation.c


def add(connection: Connection, organisation: Organisation) -> None:
    """Add an organisation; raises IntegrityError if there is one with this name."""
    connection.execute(
        insert(t.organisation).values(
            id=organisation.id,
            name=organisation.name,
            create_time=organisation.create_time,
        )
    )


def find(connection: Connection, organisation_id: str) -> Organisation | None:
    query = select(t.organisation).where(o.id == organisation_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else Organisation(**row)


def name(connection: Connection, organisation_id: str) -> str:
    """The organisation's name; its identifier if it has no row, as the default organisation."""
    found = find(connection, organisation_id)
    return organisation_id if found is None else found.name


def list_all(connection: Connection) -> list[Organisation]:
    """All organisations by name."""
    query = select(t.organisation).order_by(o.name)
    return [Organisation(**row) for row in connection.execute(query).mappings()]
