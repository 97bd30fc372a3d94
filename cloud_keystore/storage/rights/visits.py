"""Rows of what operators and holders do at the pages, from log-in to log-out."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    String,
    Table,
    select,
)

from cloud_keystore.model.people import Role
from cloud_keystore.model.rights.visits import Visit
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant


def _table(name: str, visitor: str, of: str, *more: Column[str]) -> Table:
    """A table of visits; `visitor` is the column of who visits, in the table `of`."""
    return authentic(
        name,
        Column("id", String, primary_key=True),
        Column(visitor, ForeignKey(f"{of}.id"), nullable=False),
        Column("code_sha256", LargeBinary, nullable=False),
        Column("create_time", Instant, nullable=False),
        Column("secret_sha256", LargeBinary),
        Column("begin_time", Instant),
        Column("seen_time", Instant),
        Column("end_time", Instant),
        *more,
        Index(f"{name}_by_code", "code_sha256", unique=True),
        Index(f"{name}_by_secret", "secret_sha256", unique=True),
        Index(f"{name}_of_{visitor.removesuffix('_id')}", visitor, "create_time"),
    )


visit = _table("visit", "operator_id", "identity", Column("card_id", String))
portal_visit = _table("portal_visit", "user_id", "user")
TABLES: Mapping[Role, Table] = MappingProxyType({Role.OPERATOR: visit, Role.HOLDER: portal_visit})
VISITOR: Mapping[Role, str] = MappingProxyType(
    {Role.OPERATOR: "operator_id", Role.HOLDER: "user_id"}
)
_KNOWN: Mapping[Role, Set[str]] = MappingProxyType(
    {
        role: Visit.__dataclass_fields__.keys() & table.columns.keys()
        for role, table in TABLES.items()
    }
)


def add(connection: Connection, made: Visit) -> None:
    known = asdict(made)
    values: Values = {name: known[name] for name in _KNOWN[made.role]}
    rows.add(connection, TABLES[made.role], {**values, VISITOR[made.role]: made.visitor_id})


def by_code(connection: Connection, role: Role, code_sha256: bytes) -> Visit | None:
    """The visit that a code begins, or has begun."""
    return _find(connection, role, TABLES[role].c.code_sha256 == code_sha256)


def by_secret(connection: Connection, role: Role, secret_sha256: bytes) -> Visit | None:
    """The visit that a browser knows."""
    return _find(connection, role, TABLES[role].c.secret_sha256 == secret_sha256)


def unended(connection: Connection, role: Role, visitor_id: str, since: datetime) -> list[Visit]:
    """Those of a visitor that were made since a time and not ended, the first first."""
    table = TABLES[role]
    v = table.c
    own = (v[VISITOR[role]] == visitor_id, v.create_time > since, v.end_time.is_(None))
    found = rows.read(connection, table, select(table).where(*own).order_by(v.create_time, v.id))
    return [_visit(role, row) for row in found]


def begin(connection: Connection, made: Visit, secret_sha256: bytes, now: datetime) -> bool:
    """Let a visit begin; False if it has begun, or is over."""
    v = TABLES[made.role].c
    this = [v.id == made.id, v.begin_time.is_(None), v.end_time.is_(None)]
    changes: Values = {"secret_sha256": secret_sha256, "begin_time": now, "seen_time": now}
    return bool(rows.change(connection, TABLES[made.role], this, changes))


def seen(connection: Connection, made: Visit, now: datetime) -> None:
    """Note that there was a request."""
    v = TABLES[made.role].c
    this = [v.id == made.id, v.end_time.is_(None)]
    rows.change(connection, TABLES[made.role], this, {"seen_time": now})


def end(connection: Connection, made: Visit, now: datetime) -> bool:
    """Let a visit be over; False if it was so already."""
    v = TABLES[made.role].c
    this = [v.id == made.id, v.end_time.is_(None)]
    return bool(rows.change(connection, TABLES[made.role], this, {"end_time": now}))


def end_all(connection: Connection, role: Role, visitor_id: str, now: datetime) -> None:
    """Let all visits of a visitor be over, and those that have not begun."""
    table = TABLES[role]
    this = [table.c[VISITOR[role]] == visitor_id, table.c.end_time.is_(None)]
    rows.change(connection, table, this, {"end_time": now})


def _find(connection: Connection, role: Role, condition: ColumnElement[bool]) -> Visit | None:
    row = rows.find(connection, TABLES[role], condition)
    return None if row is None else _visit(role, row)


def _visit(role: Role, row: RowMapping) -> Visit:
    known = {name: row[name] for name in _KNOWN[role]}
    return Visit(role=role, visitor_id=row[VISITOR[role]], **known)
