"""Removes the rows of operations, sessions, their uses, sign-ins, codes, notifications, answers to
API clients and what these were told that were over long ago. The journal keeps what happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select

from cloud_keystore.model.clock import earliest_id
from cloud_keystore.model.policies import LONGEST_SESSION
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.credentials.phone_codes import phone_code
from cloud_keystore.storage.credentials.portal.assents import assent
from cloud_keystore.storage.credentials.portal.codes import mailed_code
from cloud_keystore.storage.credentials.portal.passwords import portal_guess
from cloud_keystore.storage.credentials.unlock_codes import unlock_code
from cloud_keystore.storage.databases.indexes import number
from cloud_keystore.storage.enrolment.beginnings import beginning
from cloud_keystore.storage.enrolment.short_codes import short_code
from cloud_keystore.storage.outbox.deliveries import webhook_delivery
from cloud_keystore.storage.outbox.notifications import notification
from cloud_keystore.storage.outbox.webhooks import webhook
from cloud_keystore.storage.past.repeats import repeatable
from cloud_keystore.storage.rights.visits import TABLES
from cloud_keystore.storage.sharing.seats import seat
from cloud_keystore.storage.sign_ins import sign_in

PORTION = 500  # rows in one transaction, for which other writers wait
# So much later than the uses of sessions everything else is removed: no session has uses by then.
LATER = LONGEST_SESSION + timedelta(hours=1)


def is_due(connection: Connection, before: datetime) -> bool:
    """Whether `remove` would find anything."""
    return any(
        connection.execute(query.limit(1)).first() is not None
        for _, query in _over(connection, before)
    )


def remove(connection: Connection, before: datetime) -> int:
    """Remove at most PORTION rows of what was begun before a time and is over, the oldest first;
    return how many.

    Nothing that can still be used goes: a session does not last for LONGEST_SESSION more, and has
    ended itself, so that no request that is repeated finds its use missing while it is open.
    """
    left = PORTION
    for table, query in _over(connection, before):
        # Deleted without a note that they are gone: there can be so many that a process would
        # forget the versions of rows that count. Who puts one back has something that is over.
        these = table.c.id.in_(query.limit(number(left)))
        left -= connection.execute(delete(table).where(these)).rowcount
        if left <= 0:
            break
    return PORTION - left


def _over(connection: Connection, before: datetime) -> Iterator[tuple[Table, Select[tuple[str]]]]:
    """What can be removed. It is found by primary keys, which are in the order of time, and no
    condition is that of another index.
    """
    u, s, o, i = t.session_use.c, t.session.c, t.operation.c, sign_in.c
    n = notification.c
    first, later = earliest_id(before), earliest_id(before - LATER)
    yield t.session_use, _oldest(t.session_use, u.id < first, u.end_time.is_not(None))
    # A session this old has no later uses. One of before is left if no sweep has ended it yet.
    if connection.execute(_oldest(t.session_use, u.id < first).limit(number(1))).first() is None:
        yield t.session, _oldest(t.session, s.id < later, s.end_time.is_not(None))
    # A value, not `EXISTS`, for which PostgreSQL can read all sessions.
    opened = select(s.id).where(s.id == o.id).scalar_subquery()
    yield (
        t.operation,
        _oldest(t.operation, o.id < later, o.end_time.is_not(None), opened.is_(None)),
    )
    yield sign_in, _oldest(sign_in, i.id < later, i.why.is_not(None))
    yield seat, _oldest(seat, seat.c.id < later, seat.c.why.is_not(None))
    # A code that nobody used ends by itself within a day.
    yield unlock_code, _oldest(unlock_code, unlock_code.c.id < first)
    yield phone_code, _oldest(phone_code, phone_code.c.id < first)
    yield mailed_code, _oldest(mailed_code, mailed_code.c.id < first)
    yield short_code, _oldest(short_code, short_code.c.id < first)
    yield assent, _oldest(assent, assent.c.id < first)
    yield beginning, _oldest(beginning, beginning.c.id < first)
    # Nobody waits for longer than a day because of one.
    yield portal_guess, _oldest(portal_guess, portal_guess.c.id < first)
    yield notification, _oldest(notification, n.id < first, n.end_time.is_not(None))
    told, to = webhook_delivery, webhook
    yield told, _oldest(told, told.c.id < first, told.c.end_time.is_not(None))
    yield to, _oldest(to, to.c.id < first, to.c.end_time.is_not(None))
    yield repeatable, _oldest(repeatable, repeatable.c.id < first)
    # The longest visit is over within a day.
    for table in TABLES.values():
        yield table, _oldest(table, table.c.id < first)


def _oldest(table: Table, *conditions: ColumnElement[bool]) -> Select[tuple[str]]:
    """The rows that match, the oldest first."""
    return select(table.c.id).where(*conditions).order_by(table.c.id)
