"""Rows of the organisations to which people belong besides their own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import Column, Connection, ForeignKey, Index, Select, String, select

from cloud_keystore.model.organisations import Membership
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

membership = authentic(
    "membership",
    Column("id", String, primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Index("membership_of_user", "user_id", "organisation_id", unique=True),
    Index("membership_by_organisation", "organisation_id"),
)
m = membership.c


def add(connection: Connection, made: Membership) -> None:
    rows.add(connection, membership, asdict(made))


def drop(connection: Connection, user_id: str, organisation_id: str) -> None:
    rows.drop(connection, membership, m.user_id == user_id, m.organisation_id == organisation_id)


def of(connection: Connection, user_id: str) -> list[Membership]:
    """Those of a user, the first first."""
    query = select(membership).where(m.user_id == user_id).order_by(m.id)
    known = Membership.__dataclass_fields__
    found = rows.read(connection, membership, query)
    return [Membership(**{name: row[name] for name in known}) for row in found]


def members(organisations: Collection[str]) -> Select[tuple[str]]:
    """Identifiers of users who belong to one of some organisations, besides their own."""
    return select(m.user_id).where(m.organisation_id.in_(organisations))
