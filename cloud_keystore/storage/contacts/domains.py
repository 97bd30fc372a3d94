"""Rows of the domains that e-mail addresses can have."""

from __future__ import annotations

from sqlalchemy import Column, Connection, String, select

from cloud_keystore.model.fields.emails import Domain
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

email_domain = authentic(
    "email_domain",
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("create_time", Instant, nullable=False),
)


def add(connection: Connection, domain: Domain) -> None:
    """Add a domain. Raises IntegrityError if it is there."""
    values: Values = {"id": domain.id, "name": domain.name, "create_time": domain.create_time}
    rows.add(connection, email_domain, values)


def find(connection: Connection, name: str) -> Domain | None:
    return next((each for each in list_all(connection) if each.name == name), None)


def remove(connection: Connection, domain: Domain) -> None:
    rows.drop(connection, email_domain, email_domain.c.id == domain.id)


def list_all(connection: Connection) -> list[Domain]:
    """All domains by name."""
    found = rows.read(connection, email_domain, select(email_domain).order_by(email_domain.c.name))
    return [Domain(row["id"], row["name"], row["create_time"]) for row in found]


def names(connection: Connection) -> frozenset[str]:
    """The domains that addresses can have; none if there is no restriction."""
    return frozenset(each.name for each in list_all(connection))
