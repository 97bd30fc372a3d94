"""What belongs to an organisation, a portion at a time, and its way to another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, func, select

from cloud_keystore.model.people import Role
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.databases.indexes import has_role, number

Conditions: TypeAlias = "list[ColumnElement[bool]]"
STAFF = (Role.OPERATOR, Role.AUDITOR)

# The table of each sort of things, and which of its rows are of that sort
SORTS: Mapping[str, tuple[Table, Callable[[], Conditions]]] = MappingProxyType(
    {
        "people": (t.user, list),
        "cards": (t.card, list),
        "workstations": (t.identity, lambda: [has_role(t.identity.c.role, Role.WORKSTATION)]),
        "staff": (t.identity, lambda: [has_role(t.identity.c.role, *STAFF)]),
    }
)


def move(
    connection: Connection, sort: str, organisation_id: str, to: str, most: int
) -> list[RowMapping]:
    """Let the next things of a sort belong to another organisation, at most so many, the oldest
    first; returns them as they were. Raises RowNotAuthentic.
    """
    table, of_sort = SORTS[sort]
    own = [table.c.organisation_id == organisation_id, *of_sort()]
    oldest = select(table.c.id).where(*own).order_by(table.c.id).limit(number(most))
    ids = connection.execute(oldest).scalars().all()
    return rows.change(connection, table, [table.c.id.in_(ids)], {"organisation_id": to})


def count(connection: Connection, sort: str, organisation_id: str) -> int:
    """How many things of a sort belong to an organisation."""
    table, of_sort = SORTS[sort]
    own = [table.c.organisation_id == organisation_id, *of_sort()]
    return connection.execute(select(func.count()).select_from(table).where(*own)).scalar_one()


def move_identity(connection: Connection, identity_id: str, organisation_id: str) -> None:
    """Let an identity belong to another organisation."""
    own = [t.identity.c.id == identity_id]
    rows.change(connection, t.identity, own, {"organisation_id": organisation_id})
