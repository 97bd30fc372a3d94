"""What ends at once when a card or a device goes out of use: operations, sessions, proofs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select, update

from cloud_keystore.storage import management, operations, passcodes
from cloud_keystore.storage import tables as t

s = t.session.c


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Identifiers of what has ended."""

    operations: list[str]
    sessions: list[str]


def withdraw(connection: Connection, card_id: str, now: datetime) -> Withdrawn:
    """End all that is open of a card, and forget who has proved anything to it."""
    passcodes.drop_proofs(connection, card_id)
    management.drop_proofs(connection, card_id)
    withdrawn = _cancel(connection, operations.open_of(connection, card_id), now)
    return Withdrawn(withdrawn, _end_sessions(connection, s.card_id == card_id, now))


def withdraw_device(connection: Connection, device_id: str, now: datetime) -> Withdrawn:
    """End what rests on a device alone: approvals not yet used, sessions that it approved, and
    requests that only it can see.
    """
    withdrawn = _cancel(connection, operations.held_by(connection, device_id), now)
    approved = select(t.operation.c.id).where(t.operation.c.device_id == device_id)
    return Withdrawn(withdrawn, _end_sessions(connection, s.id.in_(approved), now))


def _cancel(connection: Connection, ids: list[str], now: datetime) -> list[str]:
    return [each for each in ids if operations.cancel(connection, each, now)]


def _end_sessions(connection: Connection, which: ColumnElement[bool], now: datetime) -> list[str]:
    ended = connection.execute(
        update(t.session).where(which, s.end_time.is_(None)).values(end_time=now).returning(s.id)
    )
    return list(ended.scalars())
