"""Seats at shared devices: their table and its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    select,
)

from cloud_keystore.model.operations import Approval, Decision
from cloud_keystore.model.people import IdentityState, Role
from cloud_keystore.model.sharing.seats import Seat, SeatState, Why
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Value
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import SEATED, is_seated, partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import portions

seat = authentic(
    "seat",
    Column("id", String, primary_key=True),
    Column("device_id", ForeignKey("identity.id"), nullable=False),
    Column("csr", LargeBinary, nullable=False),
    Column("state", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("code_time", Instant, nullable=False),
    Column("end_time", Instant),
    Column("user_id", ForeignKey("user.id")),
    Column("payload", LargeBinary),
    Column("claimed_by", ForeignKey("identity.id")),
    Column("decision", Integer),
    Column("identity_id", ForeignKey("identity.id")),
    Column("certificate", LargeBinary),
    Column("why", String),  # it has ended
    Index("seat_at", "device_id", "why"),
    Index("seat_of_user", "user_id", "why"),
    Index("seat_of_identity", "identity_id"),
    partial("seat_to_end", "expire_time", where=SEATED),
)
c = seat.c
_KNOWN = tuple(each for each in Seat.__dataclass_fields__ if each not in ("approval", "why"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The seats that match all identifiers that are given."""

    seat_id: str | None = None
    device_id: str | None = None
    user_id: str | None = None
    phone_id: str | None = None  # that claimed


def add(connection: Connection, begun: Seat) -> None:
    values = asdict(begun)
    del values["approval"]
    rows.add(connection, seat, values)


def find(connection: Connection, seat_id: str) -> Seat | None:
    row = rows.find(connection, seat, c.id == seat_id)
    return None if row is None else _to_seat(row)


def of_identity(connection: Connection, identity_id: str) -> Seat | None:
    """The seat of whose key an identity is."""
    row = rows.find(connection, seat, c.identity_id == identity_id)
    return None if row is None else _to_seat(row)


def at(connection: Connection, device_id: str, state: SeatState, now: datetime) -> list[Seat]:
    """The seats at a device in a state, oldest first."""
    return _read(connection, now, c.device_id == device_id, c.state == state)


def open_of(connection: Connection, user_id: str, now: datetime) -> list[Seat]:
    """Where a holder is signed in, oldest first."""
    return _read(connection, now, c.user_id == user_id, c.state == SeatState.OPEN)


def open_at(connection: Connection, device_ids: Iterable[str], now: datetime) -> list[Seat]:
    """The seats that are open at some devices."""
    return [
        each
        for some in portions(device_ids)
        for each in _read(connection, now, c.device_id.in_(some), c.state == SeatState.OPEN)
    ]


def claim(
    connection: Connection, seat_id: str, phone_id: str, user_id: str, payload: bytes, now: datetime
) -> bool:
    """Bind a waiting seat to the phone that scanned its code; False if it waits no longer, or a
    phone was first.
    """
    claimable = [
        *(c.id == seat_id, c.state == SeatState.PENDING, c.expire_time > now),
        *(c.code_time > now, c.claimed_by.is_(None)),
    ]
    binding: dict[str, Value] = {"claimed_by": phone_id, "user_id": user_id, "payload": payload}
    return bool(rows.change(connection, seat, claimable, binding))


def deny(connection: Connection, seat_id: str, decision: Decision, now: datetime) -> bool:
    """Write down that the holder does not want it; False if it no longer waits."""
    denied: dict[str, Value] = {
        "state": SeatState.ENDED,
        "why": Why.DENIED.value,
        "decision": decision,
    }
    return bool(rows.change(connection, seat, _waiting(seat_id, now), denied))


def open_(
    connection: Connection,
    seat_id: str,
    identity_id: str,
    certificate: bytes,
    now: datetime,
    idle_time: datetime,
    end_time: datetime,
) -> bool:
    """Write down that the holder has approved; False if it no longer waits."""
    opened: dict[str, Value] = {
        "state": SeatState.OPEN,
        "decision": Decision.APPROVE,
        "identity_id": identity_id,
        "certificate": certificate,
        "expire_time": idle_time,
        "end_time": end_time,
    }
    return bool(rows.change(connection, seat, _waiting(seat_id, now), opened))


def stay(connection: Connection, seat_id: str, now: datetime, idle_time: datetime) -> bool:
    """Write down that somebody is there; False if the seat has ended."""
    this = [c.id == seat_id, c.state == SeatState.OPEN, c.expire_time > now]
    return bool(rows.change(connection, seat, this, {"expire_time": idle_time}))


def prolong(connection: Connection, identity_id: str, expire_time: datetime) -> None:
    """Let the identity of a seat, which nobody has removed, end at a time."""
    i = t.identity.c
    own = [i.id == identity_id, i.role == Role.SEAT, i.state == IdentityState.ACTIVE]
    rows.change(connection, t.identity, own, {"expire_time": expire_time})


def end(connection: Connection, which: Which, why: Why) -> list[Seat]:
    """End the seats that match and are not written down as ended, and return them as they were.
    Raises ValueError if they are not narrowed down.
    """
    given = {
        c.id: which.seat_id,
        c.device_id: which.device_id,
        c.user_id: which.user_id,
        c.claimed_by: which.phone_id,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in given.items() if value is not None
    ]
    if not conditions:
        raise ValueError("not all seats of everybody")
    return _end(connection, why, *conditions)


def end_all(connection: Connection, why: Why) -> list[Seat]:
    """End everybody's seats, and return them as they were."""
    return _end(connection, why)


def run_out(connection: Connection, now: datetime, most: int) -> list[str]:
    """Seats that have run out of time and are not written down as ended, at most so many."""
    query = select(c.id).where(is_seated(c.why), c.expire_time <= now)
    return list(connection.execute(query.order_by(c.expire_time).limit(most)).scalars())


def _read(connection: Connection, now: datetime, *conditions: ColumnElement[bool]) -> list[Seat]:
    query = select(seat).where(c.why.is_(None), c.expire_time > now, *conditions).order_by(c.id)
    return [_to_seat(row) for row in rows.read(connection, seat, query)]


def _waiting(seat_id: str, now: datetime) -> list[ColumnElement[bool]]:
    return [c.id == seat_id, c.state == SeatState.PENDING, c.expire_time > now]


def _end(connection: Connection, why: Why, *conditions: ColumnElement[bool]) -> list[Seat]:
    this = [c.why.is_(None), *conditions]
    ended = rows.change(connection, seat, this, {"state": SeatState.ENDED, "why": why.value})
    return [_to_seat(row) for row in ended]


@record("seat")
def _to_seat(row: RowMapping) -> Seat:
    known = {name: row[name] for name in _KNOWN}
    approval = None
    if row["decision"] is not None:
        approval = Approval(row["claimed_by"], Decision(row["decision"]), "", b"")
    known |= {"state": SeatState(row["state"])}
    why = None if row["why"] is None else Why(row["why"])
    return Seat(**known, approval=approval, why=why)
