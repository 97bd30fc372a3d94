"""Writes down what time has done to operations and sessions, with its journal entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.audit import journal
from cloud_keystore.custody.use.closing import KEYSTORE, use_failed
from cloud_keystore.model import operations as model
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.storage import operations, session_uses, sessions

KINDS: Mapping[model.Event, Kind] = {
    model.Event.EXPIRE: Kind.OPERATION_EXPIRED,
    model.Event.FAIL: Kind.OPERATION_FAILED,
}


def needs_sweep(connection: Connection, now: datetime, stalled_time: timedelta | None) -> bool:
    """Whether `sweep` would find anything; keeps an idle service from writing."""
    return (
        operations.needs_sweep(connection, now, stalled_time)
        or session_uses.needs_sweep(connection, now, stalled_time)
        or sessions.needs_sweep(connection, now)
    )


def sweep(connection: Connection, now: datetime, stalled_time: timedelta | None) -> set[str]:
    """End what has run out of time (storage tells what that is); return the ids of operations and
    users who wait to know.
    """
    swept = operations.sweep(connection, now, stalled_time)
    entries = [_of_operation(each, now) for each in swept]
    stalled = session_uses.sweep(connection, now, stalled_time)
    entries += [use_failed(each.id, each.session, now, KEYSTORE) for each in stalled]
    entries += [_of_session(each, now) for each in sessions.sweep(connection, now)]
    if entries:
        journal.append(connection, *entries)
    return {topic for each in swept for topic in (each.id, each.user_id)}


def _of_operation(swept: operations.Swept, now: datetime) -> Entry:
    return Entry(
        kind=KINDS[swept.event],
        time=now,
        actor=KEYSTORE,
        card_id=swept.card_id,
        user_id=swept.user_id,
        workstation_id=swept.workstation_id,
        operation_id=swept.id,
        key_id=swept.key_id,
    )


def _of_session(session: sessions.Swept, now: datetime) -> Entry:
    return Entry(
        kind=Kind.SESSION_ENDED,
        time=now,
        actor=KEYSTORE,
        card_id=session.card_id,
        user_id=session.user_id,
        workstation_id=session.workstation_id,
        operation_id=session.id,
        key_id=session.key_id,
        details={
            "why": "time" if session.uses_left else "used up",
            "uses_left": session.uses_left,
        },
    )
