"""Rows of EST servers, by which external authorities are asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.pki.est import EstServer
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic

est_server = authentic(
    "est_server",
    Column("id", String, primary_key=True),
    Column("authority_id", ForeignKey("external_authority.id"), nullable=False, unique=True),
    Column("url", String, nullable=False),
    Column("anchors", LargeBinary, nullable=False),
    Column("user", String, nullable=False),
    Column("certificate", LargeBinary, nullable=False),
    Column("any_subject", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the credentials
    uncovered=("sealed",),
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A server, and the sealed credentials."""

    server: EstServer
    sealed: bytes


def find(connection: Connection, authority_id: str) -> Kept | None:
    """The server by which an authority is asked; None if it is not."""
    row = rows.one(connection, est_server, authority_id=authority_id)
    return None if row is None else _to_kept(row)


def put(
    connection: Connection, own_id: str, authority_id: str, server: EstServer, sealed: bytes
) -> None:
    """Keep a server, under a new identifier, in place of the one before."""
    remove(connection, authority_id)
    named: Values = {"id": own_id, "authority_id": authority_id, "sealed": sealed}
    known = {name: getattr(server, name) for name in EstServer.__dataclass_fields__}
    rows.add(connection, est_server, {**named, **known})


def remove(connection: Connection, authority_id: str) -> None:
    rows.drop(connection, est_server, est_server.c.authority_id == authority_id)


def list_all(connection: Connection) -> dict[str, Kept]:
    """All servers, by authority."""
    found = rows.read(connection, est_server, select(est_server))
    return {row["authority_id"]: _to_kept(row) for row in found}


def _to_kept(row: RowMapping) -> Kept:
    known = {name: row[name] for name in EstServer.__dataclass_fields__}
    return Kept(EstServer(**known), row["sealed"])
