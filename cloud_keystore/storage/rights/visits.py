"""Rows of what operators do at the pages, from log-in to log-out."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    select,
)

from cloud_keystore.model.rights.visits import Visit
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.instants import Instant

visit = authentic(
    "visit",
    Column("id", String, primary_key=True),
    Column("operator_id", ForeignKey("identity.id"), nullable=False),
    Column("code_sha256", LargeBinary, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("secret_sha256", LargeBinary),
    Column("begin_time", Instant),
    Column("seen_time", Instant),
    Column("end_time", Instant),
    Index("visit_by_code", "code_sha256", unique=True),
    Index("visit_by_secret", "secret_sha256", unique=True),
    Index("visit_of_operator", "operator_id", "create_time"),
)
v = visit.c
_KNOWN = Visit.__dataclass_fields__


def add(connection: Connection, made: Visit) -> None:
    rows.add(connection, visit, asdict(made))


def by_code(connection: Connection, code_sha256: bytes) -> Visit | None:
    """The visit that a code begins, or has begun."""
    return _find(connection, v.code_sha256 == code_sha256)


def by_secret(connection: Connection, secret_sha256: bytes) -> Visit | None:
    """The visit that a browser knows."""
    return _find(connection, v.secret_sha256 == secret_sha256)


def unended(connection: Connection, operator_id: str, since: datetime) -> list[Visit]:
    """Those of an operator that were made since a time and not ended, the first first."""
    own = (v.operator_id == operator_id, v.create_time > since, v.end_time.is_(None))
    found = rows.read(connection, visit, select(visit).where(*own).order_by(v.create_time, v.id))
    return [Visit(**{name: row[name] for name in _KNOWN}) for row in found]


def begin(connection: Connection, made: Visit, secret_sha256: bytes, now: datetime) -> bool:
    """Let a visit begin; False if it has begun, or is over."""
    this = [v.id == made.id, v.begin_time.is_(None), v.end_time.is_(None)]
    changes: Values = {"secret_sha256": secret_sha256, "begin_time": now, "seen_time": now}
    return bool(rows.change(connection, visit, this, changes))


def seen(connection: Connection, made: Visit, now: datetime) -> None:
    """Note that there was a request."""
    this = [v.id == made.id, v.end_time.is_(None)]
    rows.change(connection, visit, this, {"seen_time": now})


def end(connection: Connection, made: Visit, now: datetime) -> bool:
    """Let a visit be over; False if it was so already."""
    this = [v.id == made.id, v.end_time.is_(None)]
    return bool(rows.change(connection, visit, this, {"end_time": now}))


def _find(connection: Connection, condition: ColumnElement[bool]) -> Visit | None:
    row = rows.find(connection, visit, condition)
    return None if row is None else Visit(**{name: row[name] for name in _KNOWN})
