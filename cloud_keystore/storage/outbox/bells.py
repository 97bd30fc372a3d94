"""Rows of bells, and their addresses, sealed; and which of them are to be rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model import sign_ins
from cloud_keystore.model.clock import earliest_id
from cloud_keystore.model.operations import Channel, State
from cloud_keystore.model.outbox.bells import Bell
from cloud_keystore.model.portal.assents import ANSWER_TIME, AssentState
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.credentials.portal.assents import assent
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import OPEN, is_open, number, partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions
from cloud_keystore.storage.sign_ins import TO_END, sign_in
from cloud_keystore.storage.tables import operation

bell = authentic(
    "bell",
    Column("device_id", ForeignKey("identity.id"), primary_key=True),
    Column("user_id", ForeignKey("user.id"), nullable=False),
    Column("host", String, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("rung_time", Instant, nullable=False),
    Column("asked_time", Instant, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_time", Instant, nullable=False),
    Column("end_time", Instant),
    Column("sealed", LargeBinary),  # the address; None once the bell is gone
    partial("bell_open", "user_id", where=OPEN),
    uncovered=("sealed",),
)
b, o, s, a = bell.c, operation.c, sign_in.c, assent.c
PUSH_BIT = 1 << (Channel.PUSH - 1)
MOST_WAITING = 5000  # the newest, that are looked at
_OPEN = is_open(b.end_time)


@dataclass(frozen=True, slots=True)
class Due:
    """A bell that is to be rung: of the newest request, as long as one waits."""

    device_id: str
    asked_time: datetime
    expire_time: datetime


def put(connection: Connection, hung: Bell, sealed: bytes) -> None:
    """Keep the bell of a device, in place of the one before."""
    values: Values = {**asdict(hung), "sealed": sealed}
    if not rows.change(connection, bell, [b.device_id == hung.device_id], values):
        rows.add(connection, bell, values)


def find(connection: Connection, device_id: str) -> Bell | None:
    """The bell of a device, also one that is gone."""
    row = rows.one(connection, bell, device_id=device_id)
    return None if row is None else _to_bell(row)


def sealed_of(connection: Connection, device_id: str) -> bytes | None:
    """The address of a bell, sealed; None for one that is gone."""
    row = rows.one(connection, bell, device_id=device_id)
    return None if row is None else row["sealed"]


def move(connection: Connection, known: Bell, changes: Values) -> bool:
    """Change a bell that is as the caller knows it; False if it is not any more."""
    own = [b.device_id == known.device_id, b.tries == known.tries, b.end_time.is_(None)]
    return bool(rows.change(connection, bell, own, changes))


def end(connection: Connection, device_id: str, now: datetime) -> bool:
    """Take a bell away, with its address; False if there is none."""
    own = [b.device_id == device_id, b.end_time.is_(None)]
    return bool(rows.change(connection, bell, own, {"end_time": now, "sealed": None}))


def due(connection: Connection, now: datetime, most: int) -> list[Due]:
    """Bells that are to be rung, at most so many: of holders for whom something waits that came by
    push, of which it was not rung yet, and that no device has claimed, or who do something at the
    portal that waits for a yes. What is rung tells nothing, so that no code of a record is checked
    here.
    """
    if connection.execute(select(b.device_id).where(_OPEN).limit(number(1))).first() is None:
        return []
    waiting = _waiting(connection, now)
    found: list[Due] = []
    for some in portions(waiting):
        query = select(b.device_id, b.user_id, b.rung_time)
        query = query.where(_OPEN, b.user_id.in_(some), b.next_time <= now)
        for row in connection.execute(query):
            newest, last = waiting[row.user_id]
            if row.rung_time < newest:
                found.append(Due(row.device_id, newest, last))
    return found[:most]


def _waiting(connection: Connection, now: datetime) -> Mapping[str, tuple[datetime, datetime]]:
    """For whom something waits: when the newest of it was asked for, and until when it waits."""
    asked = select(o.user_id, o.create_time, o.expire_time).where(
        is_open(o.end_time),
        o.use_time.is_(None),
        o.state == State.PENDING,
        o.channels.bitwise_and(PUSH_BIT) == PUSH_BIT,
        o.expire_time > now,
        o.claimed_by.is_(None),
    )
    begun = select(s.user_id, s.create_time, s.expire_time).where(
        TO_END,
        s.state == sign_ins.State.PENDING,
        s.channel == Channel.PUSH,
        s.expire_time > now,
        s.claimed_by.is_(None),
    )
    found: dict[str, tuple[datetime, datetime]] = {}
    for query in (
        asked.order_by(o.use_time.desc(), o.expire_time.desc()),
        begun.order_by(s.expire_time.desc()),
    ):
        for row in connection.execute(query.limit(number(MOST_WAITING))):
            newest, last = found.get(row.user_id, (row.create_time, row.expire_time))
            found[row.user_id] = max(newest, row.create_time), max(last, row.expire_time)
    since = now - ANSWER_TIME
    # Primary keys are in the order of time.
    recent = (a.id > earliest_id(since), a.create_time > since, a.state == AssentState.WAITING)
    doing = select(a.user_id, a.create_time).where(*recent).order_by(a.id.desc())
    for user_id, asked_time in connection.execute(doing.limit(number(MOST_WAITING))):
        until = asked_time + ANSWER_TIME
        newest, last = found.get(user_id, (asked_time, until))
        found[user_id] = max(newest, asked_time), max(last, until)
    return found


@record("bell")
def _to_bell(row: RowMapping) -> Bell:
    return Bell(**{name: row[name] for name in Bell.__dataclass_fields__})
