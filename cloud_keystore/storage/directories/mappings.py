"""Rows of which roles groups give, which person an operator is, and what was given by that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.directories.groups import (
    GivenRole,
    GroupMapping,
    NamedBy,
    OperatorPerson,
)
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

group_mapping = authentic(
    "group_mapping",
    Column("id", String, primary_key=True),
    Column("client_id", ForeignKey("identity.id"), nullable=False),
    Column("named_by", String, nullable=False),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("organisation_id", String, nullable=False),
    Column("until_time", Instant),
    Column("mapped_by", String, nullable=False),  # an actor
    Column("create_time", Instant, nullable=False),
    Index("group_mapping_of_client", "client_id", "name"),
    Index("group_mapping_by_role", "role"),
)
operator_person = authentic(
    "operator_person",
    Column("id", String, primary_key=True),
    Column("identity_id", ForeignKey("identity.id"), nullable=False, unique=True),
    Column("user_id", ForeignKey("user.id"), nullable=False, index=True),
    Column("organisation_id", String, nullable=False),
    Column("until_time", Instant),
    Column("said_by", String, nullable=False),  # an actor
    Column("create_time", Instant, nullable=False),
    Column("issuer", String),
    Column("subject", String),
    Index("operator_person_subject", "subject"),
)
given_role = authentic(
    "given_role",
    Column("assignment_id", ForeignKey("assignment.id"), primary_key=True),
    Column("mapping_id", String, nullable=False, index=True),
    Column("identity_id", String, nullable=False, index=True),
)
p, o, v = group_mapping.c, operator_person.c, given_role.c


def add(connection: Connection, mapping: GroupMapping) -> None:
    rows.add(connection, group_mapping, {**asdict(mapping), "named_by": mapping.named_by.value})


def drop(connection: Connection, mapping_id: str) -> None:
    rows.drop(connection, group_mapping, p.id == mapping_id)


def find(connection: Connection, mapping_id: str) -> GroupMapping | None:
    row = rows.one(connection, group_mapping, id=mapping_id)
    return None if row is None else _to_mapping(row)


def list_all(connection: Connection) -> list[GroupMapping]:
    """Those of all directories, oldest first."""
    return _mappings(connection)


def of_client(connection: Connection, client_id: str) -> list[GroupMapping]:
    """Those of a directory, oldest first."""
    return _mappings(connection, p.client_id == client_id)


def of_role(connection: Connection, role: str) -> list[GroupMapping]:
    """Those that give a role, oldest first."""
    return _mappings(connection, p.role == role)


def identify(connection: Connection, said: OperatorPerson) -> None:
    """Say which person an operator is, of whom nothing was said."""
    rows.add(connection, operator_person, asdict(said))


def forget(connection: Connection, identity_id: str) -> None:
    """Say of an operator nothing any more."""
    rows.drop(connection, operator_person, o.identity_id == identity_id)


def person(connection: Connection, identity_id: str) -> OperatorPerson | None:
    """Which person an operator is; None if nobody has said it."""
    row = rows.one(connection, operator_person, identity_id=identity_id)
    return None if row is None else _to_person(row)


def persons(connection: Connection, users: Collection[str] | None = None) -> list[OperatorPerson]:
    """The operators who are some persons, or any, oldest first."""
    query = select(operator_person).order_by(o.id)
    if users is None:
        return [_to_person(row) for row in rows.read(connection, operator_person, query)]
    return [
        _to_person(row)
        for some in portions(users)
        for row in rows.read(connection, operator_person, query.where(o.user_id.in_(some)))
    ]


def known_as(connection: Connection, issuer: str, subject: str) -> list[OperatorPerson]:
    """The operators whom an OpenID provider knows as a subject, oldest first."""
    known = o.subject == subject, o.issuer == issuer
    query = select(operator_person).where(*known).order_by(o.id)
    return [_to_person(row) for row in rows.read(connection, operator_person, query)]


def give(connection: Connection, given: GivenRole) -> None:
    rows.add(connection, given_role, asdict(given))


def take(connection: Connection, assignment_id: str) -> None:
    rows.drop(connection, given_role, v.assignment_id == assignment_id)


def given_to(connection: Connection, identity_id: str) -> list[GivenRole]:
    """What groups have given to an operator."""
    return _given(connection, v.identity_id == identity_id)


def given_by(connection: Connection, mapping_id: str) -> list[GivenRole]:
    """What a mapping has given to anybody."""
    return _given(connection, v.mapping_id == mapping_id)


def _mappings(connection: Connection, *conditions: ColumnElement[bool]) -> list[GroupMapping]:
    query = select(group_mapping).where(*conditions).order_by(p.id)
    return [_to_mapping(row) for row in rows.read(connection, group_mapping, query)]


def _given(connection: Connection, condition: ColumnElement[bool]) -> list[GivenRole]:
    query = select(given_role).where(condition).order_by(v.assignment_id)
    return [_to_given(row) for row in rows.read(connection, given_role, query)]


@record("mapping of a group")
def _to_mapping(row: RowMapping) -> GroupMapping:
    fields = {name: row[name] for name in GroupMapping.__dataclass_fields__}
    return GroupMapping(**{**fields, "named_by": NamedBy(row["named_by"])})


@record("operator's person")
def _to_person(row: RowMapping) -> OperatorPerson:
    return OperatorPerson(**{name: row[name] for name in OperatorPerson.__dataclass_fields__})


@record("given role")
def _to_given(row: RowMapping) -> GivenRole:
    return GivenRole(**{name: row[name] for name in GivenRole.__dataclass_fields__})
