"""Records which operations, sessions, sign-ins and seats have expired, with their entries in the
journal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection

from cloud_keystore.audit import entries, journal
from cloud_keystore.custody.use.closing import end_seats
from cloud_keystore.model import operations as model
from cloud_keystore.model.actors import KEYSTORE
from cloud_keystore.model.journal import Entry, Kind
from cloud_keystore.model.sharing.seats import Why as WhySeat
from cloud_keystore.model.sign_ins import Why
from cloud_keystore.storage import operations, session_uses, sessions, sign_ins
from cloud_keystore.storage.sharing import seats
from cloud_keystore.storage.sharing.seats import Which

MOST_SEATS = 200  # in one transaction, for which other writers wait
KINDS: Mapping[model.Event, Kind] = {
    model.Event.EXPIRE: Kind.OPERATION_EXPIRED,
    model.Event.FAIL: Kind.OPERATION_FAILED,
}


def needs_sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> bool:
    """Whether `sweep` would change anything, so that an idle service does not write."""
    return (
        operations.needs_sweep(connection, now, stalled_time, gone)
        or session_uses.needs_sweep(connection, now, stalled_time, gone)
        or sessions.needs_sweep(connection, now)
        or sign_ins.needs_sweep(connection, now)
        or bool(seats.run_out(connection, now, 1))
    )


def sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> set[str]:
    """End what has expired, and what runs in processes that are `gone`, as the storage modules
    define it. Returns the ids of operations, sign-ins and users whose waiting callers must be
    woken.
    """
    swept = operations.sweep(connection, now, stalled_time, gone)
    told = [_of_operation(each, now) for each in swept]
    stalled = session_uses.sweep(connection, now, stalled_time, gone)
    told += [entries.use_unsettled(each.id, each.session, now) for each in stalled]
    told += [_of_session(each, now) for each in sessions.sweep(connection, now)]
    over = sign_ins.sweep(connection, now)
    told += [entries.sign_in_ended(each, now, KEYSTORE, Why.TIME) for each in over]
    topics = _end_seats(connection, now)
    if told:
        journal.append(connection, *told)
    woken = [
        *((each.id, each.user_id) for each in swept),
        *((each.id, each.user_id) for each in over),
    ]
    return {topic for each in woken for topic in each if topic}.union(topics)


def _end_seats(connection: Connection, now: datetime) -> list[str]:
    """Sign out whoever has done nothing for long, and end codes that nobody has scanned."""
    return [
        topic
        for seat_id in seats.run_out(connection, now, MOST_SEATS)
        for topic in end_seats(connection, now, KEYSTORE, WhySeat.TIME, Which(seat_id=seat_id))
    ]


def _of_operation(swept: operations.Swept, now: datetime) -> Entry:
    return entries.about_asked(KINDS[swept.event], swept, now, KEYSTORE)


def _of_session(session: sessions.Swept, now: datetime) -> Entry:
    why = "time" if session.uses_left else "used up"
    return entries.session_ended(session, now, KEYSTORE, why)
