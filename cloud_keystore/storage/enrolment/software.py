"""Rows of what clients said of themselves last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Column, Connection, ForeignKey, RowMapping, String, select

from cloud_keystore.model.fields.software import Contact, Software
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

client_software = authentic(
    "client_software",
    Column("identity_id", ForeignKey("identity.id"), primary_key=True),
    Column("version", String, nullable=False),
    Column("platform", String, nullable=False),
    Column("platform_version", String, nullable=False),
    Column("capabilities", String, nullable=False),  # separated by blanks
    Column("seen_time", Instant, nullable=False),
)


def find(connection: Connection, identity_id: str) -> Contact | None:
    row = rows.one(connection, client_software, identity_id=identity_id)
    return None if row is None else _contact(row)


def put(connection: Connection, identity_id: str, contact: Contact) -> None:
    """Keep what a client says now, in place of what it said before."""
    said = contact.software
    values: Values = {
        "version": said.version,
        "platform": said.platform,
        "platform_version": said.platform_version,
        "capabilities": " ".join(said.capabilities),
        "seen_time": contact.seen_time,
    }
    own = [client_software.c.identity_id == identity_id]
    if not rows.change(connection, client_software, own, values):
        rows.add(connection, client_software, {"identity_id": identity_id, **values})


def of(connection: Connection, ids: Iterable[str]) -> Mapping[str, Contact]:
    """What those of some identities said that said anything, by identifier."""
    c = client_software.c
    return {
        row["identity_id"]: _contact(row)
        for some in portions(ids)
        for row in rows.read(
            connection, client_software, select(client_software).where(c.identity_id.in_(some))
        )
    }


def _contact(row: RowMapping) -> Contact:
    said = Software(
        row["version"],
        row["platform"],
        row["platform_version"],
        tuple(row["capabilities"].split()),
    )
    return Contact(said, row["seen_time"])
