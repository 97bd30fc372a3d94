"""Rows of assignments: which role an identity has, where and when."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Column, Connection, ForeignKey, RowMapping, String, select

from cloud_keystore.model.people import Identity, Role
from cloud_keystore.model.rights.roles import Assignment, former
from cloud_keystore.storage import people
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import has_role
from cloud_keystore.storage.databases.instants import Instant

assignment = authentic(
    "assignment",
    Column("id", String, primary_key=True),
    Column("identity_id", ForeignKey("identity.id"), nullable=False, index=True),
    Column("role", String, nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("from_time", Instant, nullable=False),
    Column("until_time", Instant),
    Column("granted_by", String, nullable=False),
    Column("create_time", Instant, nullable=False),
)


def add(connection: Connection, granted: Assignment) -> None:
    rows.add(connection, assignment, asdict(granted))


def of(connection: Connection, identity: Identity) -> list[Assignment]:
    """All that an identity was ever granted, oldest first. Records that are not authentic give
    nobody a right, and are passed over.
    """
    query = select(assignment).where(assignment.c.identity_id == identity.id)
    found = rows.authentic(connection, assignment, query.order_by(assignment.c.id))
    return [*former(identity), *map(_to_assignment, found)]


def list_all(connection: Connection, role: Role) -> list[tuple[Identity, Assignment]]:
    """What identities of a role were ever granted, by identity, oldest first."""
    identities = people.list_identities(connection, role)
    found: dict[str, list[Assignment]] = {each.id: former(each) for each in identities}
    query = select(assignment).order_by(assignment.c.id)
    for row in rows.authentic(connection, assignment, query):
        found.get(row["identity_id"], []).append(_to_assignment(row))
    return [(each, granted) for each in identities for granted in found[each.id]]


def find(connection: Connection, assignment_id: str) -> Assignment | None:
    row = rows.one(connection, assignment, id=assignment_id)
    if row is not None:
        return _to_assignment(row)
    identity = people.find_identity(connection, assignment_id)
    return next(iter(former(identity)), None) if identity is not None else None


def managers(connection: Connection, now: datetime) -> list[Assignment]:
    """Those by which active operators manage the whole, now and without end. Records that are not
    authentic are passed over.
    """
    operators = has_role(t.identity.c.role, Role.OPERATOR)
    query = select(t.identity).where(operators, *people.are_active(now))
    active = map(people.to_identity, rows.authentic(connection, t.identity, query))
    return [
        each
        for identity in active
        for each in of(connection, identity)
        if each.keeps_the_root and each.is_in_force(now)
    ]


def with_role(connection: Connection, role: str) -> list[Assignment]:
    """Those by which anybody ever had a role, oldest first. Records that are not authentic are
    passed over.
    """
    query = select(assignment).where(assignment.c.role == role).order_by(assignment.c.id)
    return list(map(_to_assignment, rows.authentic(connection, assignment, query)))


def end(connection: Connection, granted: Assignment, now: datetime) -> None:
    """End an assignment, also one that has not begun, and one of before there were roles."""
    if granted.id == granted.identity_id:
        own = [t.identity.c.id == granted.identity_id]
        rows.change(connection, t.identity, own, {"assigned": True})
    rows.change(connection, assignment, [assignment.c.id == granted.id], {"until_time": now})


@record("assignment")
def _to_assignment(row: RowMapping) -> Assignment:
    return Assignment(**{name: row[name] for name in Assignment.__dataclass_fields__})
