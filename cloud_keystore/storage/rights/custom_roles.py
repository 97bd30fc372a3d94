"""Rows of the roles that organisations have defined. A deleted one keeps its row, for whoever had
the role.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import Column, ColumnElement, Connection, RowMapping, String, select

from cloud_keystore.model.rights.custom import CustomRole, parsed, spelled
from cloud_keystore.model.rights.roles import RIGHTS, Right
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

custom_role = authentic(
    "custom_role",
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("rights", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("end_time", Instant),
)


def add(connection: Connection, role: CustomRole) -> None:
    rows.add(
        connection,
        custom_role,
        {
            "id": role.id,
            "name": role.name,
            "organisation_id": role.organisation_id,
            "rights": spelled(role.rights),
            "create_time": role.create_time,
        },
    )


def change(connection: Connection, role: CustomRole) -> None:
    """Give a role the name and the rights that it has now."""
    changed = {"name": role.name, "rights": spelled(role.rights)}
    rows.change(connection, custom_role, [custom_role.c.id == role.id], changed)


def end(connection: Connection, role: CustomRole, now: datetime) -> None:
    """Delete a role."""
    rows.change(connection, custom_role, [custom_role.c.id == role.id], {"end_time": now})


def find(connection: Connection, role_id: str) -> CustomRole | None:
    """The role with an identifier, unless it was deleted."""
    row = rows.one(connection, custom_role, id=role_id)
    return None if row is None or row["end_time"] is not None else _to_role(row)


def list_all(connection: Connection) -> list[CustomRole]:
    """All that were not deleted, by name. Records that are not authentic are passed over."""
    return _current(connection)


def of(connection: Connection, organisation_ids: Collection[str]) -> list[CustomRole]:
    """Those of some organisations, as `list_all` has them."""
    return [
        role
        for some in portions(organisation_ids)
        for role in _current(connection, custom_role.c.organisation_id.in_(some))
    ]


def named(connection: Connection, name: str) -> list[CustomRole]:
    """Those of a name, in whichever organisation, as `list_all` has them."""
    return _current(connection, custom_role.c.name == name)


def _current(connection: Connection, *conditions: ColumnElement[bool]) -> list[CustomRole]:
    query = select(custom_role).where(custom_role.c.end_time.is_(None), *conditions)
    found = rows.authentic(connection, custom_role, query.order_by(custom_role.c.name))
    return [_to_role(row) for row in found]


def names(connection: Connection, roles: Collection[str]) -> Mapping[str, str]:
    """What the roles of assignments are called, deleted ones too."""
    found = {each: each for each in roles if each in RIGHTS}
    return found | {each.id: each.name for each in _with_ids(connection, roles)}


def rights(connection: Connection, roles: Collection[str]) -> Mapping[str, frozenset[Right]]:
    """The rights that the roles of assignments have now. Records that are not authentic, and roles
    that were deleted, give none.
    """
    found = {each: RIGHTS[each] for each in roles if each in RIGHTS}
    custom = _with_ids(connection, roles)
    return found | {each.id: each.rights for each in custom if each.end_time is None}


def _with_ids(connection: Connection, roles: Collection[str]) -> list[CustomRole]:
    ids = {each for each in roles if each not in RIGHTS}
    if not ids:
        return []
    query = select(custom_role).where(custom_role.c.id.in_(sorted(ids)))
    return [_to_role(row) for row in rows.authentic(connection, custom_role, query)]


def _to_role(row: RowMapping) -> CustomRole:
    return CustomRole(
        id=row["id"],
        name=row["name"],
        organisation_id=row["organisation_id"],
        rights=parsed(row["rights"]),
        create_time=row["create_time"],
        end_time=row["end_time"],
    )
