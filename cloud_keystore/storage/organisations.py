"""Rows of organisations, and of their places in the tree."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    RowMapping,
    String,
    Table,
    insert,
    select,
    update,
)

from cloud_keystore.model.errors import OrganisationNotFound
from cloud_keystore.model.organisations import ROOT, Organisation
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic, metadata
from cloud_keystore.storage.databases.instants import Instant

organisation = Table(
    "organisation",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("create_time", Instant, nullable=False),
)

# Rights go down the tree, so whoever writes the database must not move anything in it. An
# organisation without a row, as those of before there was a tree, is directly below the root.
branch = authentic(
    "branch",
    Column("organisation_id", ForeignKey("organisation.id"), primary_key=True),
    Column("parent_id", ForeignKey("organisation.id"), nullable=False),
)


def add(connection: Connection, added: Organisation) -> None:
    """Add an organisation; raises IntegrityError if there is one with this name."""
    connection.execute(
        insert(organisation).values(id=added.id, name=added.name, create_time=added.create_time)
    )
    if added.parent_id != ROOT:
        rows.add(connection, branch, {"organisation_id": added.id, "parent_id": added.parent_id})


def rename(connection: Connection, organisation_id: str, name: str) -> None:
    """Give an organisation another name; raises IntegrityError if another one has it."""
    named = update(organisation).where(organisation.c.id == organisation_id)
    connection.execute(named.values(name=name))


def move(connection: Connection, organisation_id: str, parent_id: str) -> None:
    """Put an organisation below another one."""
    own = [branch.c.organisation_id == organisation_id]
    if not rows.change(connection, branch, own, {"parent_id": parent_id}):
        rows.add(connection, branch, {"organisation_id": organisation_id, "parent_id": parent_id})


def parents(connection: Connection) -> Mapping[str, str]:
    """The parent of each organisation that is not directly below the root. Records that are not
    authentic are passed over.
    """
    found = rows.authentic(connection, branch, select(branch))
    return {row["organisation_id"]: row["parent_id"] for row in found}


def find(connection: Connection, organisation_id: str) -> Organisation | None:
    query = select(organisation).where(organisation.c.id == organisation_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _to_organisation(row, parents(connection))


def check(connection: Connection, organisation_id: str) -> None:
    """Raise OrganisationNotFound unless there is such an organisation."""
    if find(connection, organisation_id) is None:
        raise missing(organisation_id)


def missing(organisation_id: str) -> OrganisationNotFound:
    """What to raise about an organisation that is not there, or that somebody may not see."""
    return OrganisationNotFound(f"there is no organisation {organisation_id}: add it first")


def name(connection: Connection, organisation_id: str) -> str:
    """The organisation's name; its identifier if it has no row, as the default organisation."""
    query = select(organisation.c.name).where(organisation.c.id == organisation_id)
    found: str | None = connection.execute(query).scalar_one_or_none()
    return organisation_id if found is None else found


def names(connection: Connection) -> Mapping[str, str]:
    """The names of all organisations that have a row."""
    query = select(organisation.c.id, organisation.c.name)
    return {row.id: row.name for row in connection.execute(query)}


def list_all(connection: Connection) -> list[Organisation]:
    """All organisations by name."""
    query = select(organisation).order_by(organisation.c.name)
    above = parents(connection)
    return [_to_organisation(row, above) for row in connection.execute(query).mappings()]


def _to_organisation(row: RowMapping, above: Mapping[str, str]) -> Organisation:
    parent = "" if row["id"] == ROOT else above.get(row["id"], ROOT)
    return Organisation(**row, parent_id=parent)
