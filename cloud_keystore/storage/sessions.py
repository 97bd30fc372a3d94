"""Rows of sessions. Uses are taken from a session by one conditional UPDATE."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, insert, or_, select, update

from card_os.uses import KeyUse
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.failures import record

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


# The statements are made once: making them for each use takes longer than the database does.
_FIND = select(t.session).where(s.id == bindparam("session_id"))
_TAKE = (
    update(t.session)
    .where(
        s.id == bindparam("session_id"),
        s.uses_left >= bindparam("uses"),
        s.end_time.is_(None),
        s.create_time <= bindparam("now"),
        s.expire_time > bindparam("now"),
    )
    .values(uses_left=s.uses_left - bindparam("uses"))
    .returning(s.uses_left)
)


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
    connection.execute(
        insert(t.session).values(
            {name: getattr(session, name) for name in Session.__dataclass_fields__}
        )
    )


def find(connection: Connection, session_id: str) -> Session | None:
    row = connection.execute(_FIND, {"session_id": session_id}).mappings().first()
    return None if row is None else _to_session(row)


def list_open(connection: Connection, user_id: str, now: datetime) -> list[Session]:
    """A holder's open sessions, oldest first."""
    query = (
        select(t.session)
        .where(s.user_id == user_id, s.end_time.is_(None), s.uses_left > 0, s.expire_time > now)
        .order_by(s.id)
    )
    return [_to_session(row) for row in connection.execute(query).mappings()]


def is_open(connection: Connection, card_id: str, workstation_id: str, now: datetime) -> bool:
    """Whether a card has an open session at a workstation."""
    query = select(s.id).where(
        s.card_id == card_id,
        s.workstation_id == workstation_id,
        s.end_time.is_(None),
        s.expire_time > now,
        s.uses_left > 0,
    )
    return connection.execute(query.limit(1)).first() is not None


def take(connection: Connection, session_id: str, uses: int, now: datetime) -> int | None:
    """Take uses from an open session; return how many are left, or None if it does not have that
    many or has ended.
    """
    taken = connection.execute(_TAKE, {"session_id": session_id, "uses": uses, "now": now})
    left: int | None = taken.scalar()
    return left


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
        approved = select(t.operation.c.id).where(t.operation.c.device_id == which.device_id)
        conditions.append(s.id.in_(approved))
    if not conditions:
        raise ValueError("not all sessions of everybody")
    ended = connection.execute(
        update(t.session)
        .where(s.end_time.is_(None), s.expire_time > now, s.uses_left > 0, *conditions)
        .values(end_time=now)
        .returning(*t.session.c)
    )
    return [_to_session(row) for row in ended.mappings()]


def sweep(connection: Connection, now: datetime) -> list[Swept]:
    """Write down which sessions have run out of time or uses, so that a clock that is set back does
    not open them again; return them.
    """
    ended = connection.execute(
        update(t.session)
        .where(_run_out(now))
        .values(end_time=now)
        .returning(*(t.session.c[name] for name in Swept.__dataclass_fields__))
    )
    return [Swept(**row) for row in ended.mappings()]


def needs_sweep(connection: Connection, now: datetime) -> bool:
    """Whether `sweep` would find anything."""
    return connection.execute(select(s.id).where(_run_out(now)).limit(1)).first() is not None


def _run_out(now: datetime) -> ColumnElement[bool]:
    return s.end_time.is_(None) & or_(s.expire_time <= now, s.uses_left == 0)


@record("session")
def _to_session(row: RowMapping) -> Session:
    return Session(**{**row, "key_use": KeyUse(row["key_use"])})
