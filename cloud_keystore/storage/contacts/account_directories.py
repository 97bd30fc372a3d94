"""Rows of the directories in which Windows accounts are looked up, by organisation."""

from __future__ import annotations

from collections.abc import Mapping

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

from cloud_keystore.model.lookups.directories import AccountDirectory
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record

# Whoever writes the database must not send operators, with their passwords, to somebody else.
account_directory = authentic(
    "account_directory",
    Column("id", String, primary_key=True),
    Column("organisation_id", ForeignKey("organisation.id"), nullable=False, unique=True),
    Column("url", String, nullable=False),
    Column("bind_dn", String, nullable=False),
    Column("base_dn", String, nullable=False),
    Column("domain", String, nullable=False),
    Column("narrowing", String, nullable=False),
    Column("anchors", LargeBinary, nullable=False),
    Column("sam", String, nullable=False),
    Column("upn", String, nullable=False),
    Column("mail", String, nullable=False),
    Column("plain", Boolean, nullable=False),
)


def put(
    connection: Connection, own_id: str, organisation_id: str, directory: AccountDirectory | None
) -> None:
    """Keep the directory of an organisation, under a new identifier, in place of the one before;
    None for none.
    """
    own = account_directory.c.organisation_id == organisation_id
    rows.drop(connection, account_directory, own)
    if directory is not None:
        known = {name: getattr(directory, name) for name in AccountDirectory.__dataclass_fields__}
        named = {"id": own_id, "organisation_id": organisation_id}
        rows.add(connection, account_directory, {**named, **known})


def by_organisation(connection: Connection) -> Mapping[str, AccountDirectory]:
    """The directories that organisations name themselves, by organisation."""
    found = rows.read(connection, account_directory, select(account_directory))
    return {row["organisation_id"]: _to_directory(row) for row in found}


@record("account directory")
def _to_directory(row: RowMapping) -> AccountDirectory:
    return AccountDirectory(**{name: row[name] for name in AccountDirectory.__dataclass_fields__})
