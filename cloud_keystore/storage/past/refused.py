"""Rows of operations that came to nothing."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile

from sqlalchemy import Connection, and_, or_, select

from cloud_keystore.model.cards import Key
from cloud_keystore.model.operations import (
    DECISION_TIME,
    QUIET_TIME,
    REFUSAL_WINDOW,
    USE_TIME,
    Decision,
    State,
)
from cloud_keystore.storage import tables as t

o = t.operation.c
MOST_REFUSALS = 32  # that are looked at; the back-off has stopped growing long before


def just_refused(connection: Connection, key: Key, workstation_id: str, now: datetime) -> bool:
    """Whether a use of the key at the workstation was refused or expired a moment ago."""
    since = now - QUIET_TIME
    refused = and_(o.end_time > since, o.state.in_((State.DENIED, State.EXPIRED)))
    unswept = and_(o.state == State.PENDING, o.expire_time > since, o.expire_time <= now)
    query = select(o.id).where(
        o.card_id == key.card_id,
        o.workstation_id == workstation_id,
        o.create_time > since - DECISION_TIME - USE_TIME,  # follows, and bounds what is read
        o.key_id == key.id,
        or_(refused, unswept),
    )
    return connection.execute(query.limit(1)).first() is not None


def in_a_row(
    connection: Connection, card_id: str, workstation_id: str, now: datetime
) -> list[datetime]:
    """When those requests of a card at a workstation were made that were lately denied, left to
    expire or cancelled, since the holder last approved one there; the newest first.
    """
    query = (
        select(o.create_time, o.state, o.decision)
        .where(
            o.card_id == card_id,
            o.workstation_id == workstation_id,
            o.create_time > now - REFUSAL_WINDOW,
            o.state != State.PENDING,
        )
        .order_by(o.create_time.desc())
        .limit(MOST_REFUSALS)
    )
    unapproved = takewhile(
        lambda row: row.decision != Decision.APPROVE or row.state == State.DENIED,
        connection.execute(query),
    )
    return [row.create_time for row in unapproved]
