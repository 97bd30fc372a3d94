"""Rows of sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, select

from card_os.uses import KeyUse
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import is_open as has_not_ended

s = t.session.c


@dataclass(frozen=True, slots=True)
class Swept:
    """A session that has run out of time or uses. It holds only what the journal needs, so that a
    damaged row does not keep other sessions open.
    """

    id: str
    card_id: str
    user_id: str
    workstation_id: str
    key_id: str
    uses_left: int


# Made once: making it for each use takes longer than the database does.
_FIND = select(t.session).where(s.id == bindparam("session_id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The sessions that match all identifiers that are given."""

    session_id: str | None = None
    card_id: str | None = None
    key_id: str | None = None
    user_id: str | None = None
    workstation_id: str | None = None
    device_id: str | None = None  # of the device that approved them


def add(connection: Connection, session: Session) -> None:
    rows.add(connection, t.session, asdict(session))


def find(connection: Connection, session_id: str) -> Session | None:
    found = rows.read(connection, t.session, _FIND, {"session_id": session_id})
    return to_session(found[0]) if found else None


def list_open(connection: Connection, user_id: str, now: datetime) -> list[Session]:
    """A holder's open sessions, oldest first."""
    query = (
        select(t.session)
        .where(s.user_id == user_id, s.end_time.is_(None), s.uses_left > 0, s.expire_time > now)
        .order_by(s.id)
    )
    return [to_session(row) for row in rows.read(connection, t.session, query)]


def is_open(connection: Connection, card_id: str, workstation_id: str, now: datetime) -> bool:
    """Whether a card has an open session at a workstation."""
    found = rows.find(
        connection,
        t.session,
        s.card_id == card_id,
        s.workstation_id == workstation_id,
        s.end_time.is_(None),
        s.expire_time > now,
        s.uses_left > 0,
    )
    return found is not None


def end(
    connection: Connection,
    now: datetime,
    which: Which,
) -> list[Session]:
    """End open sessions, and return them; raises ValueError if they are not narrowed down. A
    session that has run out of time or uses is not changed: it has ended already.
    """
    given = {
        s.id: which.session_id,
        s.card_id: which.card_id,
        s.key_id: which.key_id,
        s.user_id: which.user_id,
        s.workstation_id: which.workstation_id,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in given.items() if value is not None
    ]
    if which.device_id is not None:
        o = t.operation.c
        # A value, not `EXISTS`, for which PostgreSQL can read all operations.
        conditions.append(
            select(o.device_id).where(o.id == s.id).scalar_subquery() == which.device_id
        )
    if not conditions:
        raise ValueError("not all sessions of everybody")
    open_ = [s.end_time.is_(None), s.expire_time > now, s.uses_left > 0, *conditions]
    ended = rows.change(connection, t.session, open_, {"end_time": now})
    return [replace(to_session(row), end_time=now) for row in ended]


def sweep(connection: Connection, now: datetime) -> list[Swept]:
    """Write down which sessions have run out of time, which ends with the last use too, so that a
    clock that is set back does not open them again; return them.
    """
    ended = rows.sweep(connection, t.session, _run_out(now), [s.expire_time], {"end_time": now})
    return [Swept(**{name: row[name] for name in Swept.__dataclass_fields__}) for row in ended]


def needs_sweep(connection: Connection, now: datetime) -> bool:
    """Whether `sweep` would find anything."""
    query = select(s.id).where(*_run_out(now)).order_by(s.expire_time).limit(1)
    return connection.execute(query).first() is not None


def _run_out(now: datetime) -> list[ColumnElement[bool]]:
    return [has_not_ended(s.end_time), s.expire_time <= now]


@record("session")
def to_session(row: RowMapping) -> Session:
    """A row as a session."""
    known = {name: row[name] for name in Session.__dataclass_fields__}
    return Session(**{**known, "key_use": KeyUse(row["key_use"])})
