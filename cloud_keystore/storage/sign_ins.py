"""Sign-ins: their table and its rows."""

from __future__ import annotations

from collections.abc import Collection
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
    UniqueConstraint,
    func,
    literal_column,
    or_,
    select,
)

from cloud_keystore.model.operations import Approval, Channel, Decision
from cloud_keystore.model.sign_ins import SIGN_IN_TIME, SignIn, State, Why
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Value
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import partial
from cloud_keystore.storage.databases.instants import Instant

UNENDED = "coalesce(why, '') = ''"  # as OPEN is of operations: no other query has it

sign_in = authentic(
    "sign_in",
    Column("id", String, primary_key=True),
    Column("request_id", LargeBinary, nullable=False),
    Column("workstation_id", ForeignKey("identity.id"), nullable=False),
    # Of whoever was rung or has scanned the code; the next two and the payload are of the same
    Column("card_id", ForeignKey("card.id")),
    Column("user_id", ForeignKey("user.id")),
    Column("channel", Integer, nullable=False),
    Column("number", String, nullable=False),
    Column("state", Integer, nullable=False),
    Column("payload", LargeBinary),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Column("qr_expire_time", Instant, nullable=False),
    Column("claimed_by", ForeignKey("identity.id")),
    Column("device_id", ForeignKey("identity.id")),
    Column("decision", Integer),
    Column("decision_number", String),
    Column("approve_time", Instant),
    Column("why", String),  # it has ended
    UniqueConstraint("workstation_id", "request_id"),
    Index("sign_in_by_workstation", "workstation_id", "create_time"),
    Index("sign_in_by_user", "user_id", "create_time"),
    Index("sign_in_open_at", "workstation_id", "why"),
    Index("sign_in_open_for", "user_id", "why"),
    Index("sign_in_open_of", "card_id", "why"),
    partial("sign_in_to_end", "expire_time", where=UNENDED),
)

s = sign_in.c
_NO_REASON: ColumnElement[str] = literal_column("''")
TO_END = func.coalesce(s.why, _NO_REASON) == _NO_REASON  # as in the index


@dataclass(frozen=True, slots=True)
class Swept:
    """A sign-in that has run out of time."""

    id: str
    card_id: str | None
    user_id: str | None
    workstation_id: str

    @property
    def key_id(self) -> None:
        """A sign-in uses no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The sign-ins that match all identifiers that are given."""

    sign_in_id: str | None = None
    card_id: str | None = None
    workstation_id: str | None = None
    user_id: str | None = None
    device_id: str | None = None  # that approved or claimed


def add(connection: Connection, begun: SignIn) -> None:
    values = asdict(begun)
    del values["approval"]
    rows.add(connection, sign_in, values)


def find(connection: Connection, sign_in_id: str) -> SignIn | None:
    row = rows.find(connection, sign_in, s.id == sign_in_id)
    return None if row is None else _to_sign_in(row)


def find_by_request(
    connection: Connection, workstation_id: str, request_id: bytes
) -> SignIn | None:
    this = (s.workstation_id == workstation_id, s.request_id == request_id)
    row = rows.find(connection, sign_in, *this)
    return None if row is None else _to_sign_in(row)


def list_of(connection: Connection, user_id: str, state: State, now: datetime) -> list[SignIn]:
    """A holder's sign-ins in a state, oldest first."""
    query = (
        select(sign_in)
        .where(s.why.is_(None), s.user_id == user_id, s.state == state, s.expire_time > now)
        .order_by(s.id)
    )
    return [_to_sign_in(row) for row in rows.read(connection, sign_in, query)]


def pending_at(connection: Connection, workstation_id: str, now: datetime) -> list[str]:
    """Sign-ins at a workstation that wait for somebody, oldest first."""
    query = select(s.id).where(
        *(s.why.is_(None), s.workstation_id == workstation_id),
        *(s.state == State.PENDING, s.expire_time > now),
    )
    return list(connection.execute(query.order_by(s.id)).scalars())


def in_vain(
    connection: Connection,
    since: datetime,
    *,
    workstation_id: str | None = None,
    user_id: str | None = None,
) -> int:
    """How many sign-ins by push were begun since a time and not approved: by a workstation, or for
    a person.
    """
    conditions = [s.channel == Channel.PUSH, s.create_time > since, s.approve_time.is_(None)]
    if workstation_id is not None:
        conditions.append(s.workstation_id == workstation_id)
    if user_id is not None:
        conditions.append(s.user_id == user_id)
    query = select(func.count()).select_from(sign_in).where(*conditions)
    return int(connection.execute(query).scalar_one())


def open_of(connection: Connection, user_ids: Collection[str]) -> list[str]:
    """The open sign-ins of some people."""
    query = select(s.id).where(s.why.is_(None), s.user_id.in_(user_ids), s.state == State.OPEN)
    return list(connection.execute(query).scalars())


def claim(
    connection: Connection,
    sign_in_id: str,
    device_id: str,
    now: datetime,
    binding: dict[str, Value],
) -> bool:
    """Bind a waiting sign-in to the device that scanned its code, and to a card; False if it waits
    no longer, or a device was first.
    """
    claimable = [
        s.id == sign_in_id,
        s.state == State.PENDING,
        s.expire_time > now,
        s.qr_expire_time > now,
        s.claimed_by.is_(None),
    ]
    return bool(rows.change(connection, sign_in, claimable, {"claimed_by": device_id, **binding}))


def decide(
    connection: Connection, sign_in_id: str, approval: Approval, now: datetime, *, agrees: bool
) -> bool:
    """Write down the holder's decision; False if the sign-in no longer waits for it."""
    waiting = [s.id == sign_in_id, s.state == State.PENDING, s.expire_time > now]
    decided: dict[str, Value] = {
        "device_id": approval.device_id,
        "decision": approval.decision,
        "decision_number": approval.number,
    }
    if agrees:
        decided |= {"state": State.OPEN, "approve_time": now, "expire_time": now + SIGN_IN_TIME}
    else:
        decided |= {"state": State.ENDED, "why": Why.DENIED.value}
    return bool(rows.change(connection, sign_in, waiting, decided))


def end(connection: Connection, which: Which, now: datetime, why: Why) -> list[SignIn]:
    """End the sign-ins that match and have not ended, and return them as they were. Raises
    ValueError if they are not narrowed down.
    """
    given = {
        s.id: which.sign_in_id,
        s.card_id: which.card_id,
        s.workstation_id: which.workstation_id,
        s.user_id: which.user_id,
    }
    conditions: list[ColumnElement[bool]] = [
        column == value for column, value in given.items() if value is not None
    ]
    if (by := which.device_id) is not None:
        conditions.append(or_(s.device_id == by, s.claimed_by == by))
    if not conditions:
        raise ValueError("not all sign-ins of everybody")
    this = [s.why.is_(None), s.state != State.ENDED, s.expire_time > now, *conditions]
    ended = rows.change(connection, sign_in, this, {"state": State.ENDED, "why": why.value})
    return [_to_sign_in(row) for row in ended]


def end_all(connection: Connection, now: datetime, why: Why) -> list[SignIn]:
    """End everybody's sign-ins, and return them as they were."""
    this = [s.state != State.ENDED, s.expire_time > now]
    ended = rows.change(connection, sign_in, this, {"state": State.ENDED, "why": why.value})
    return [_to_sign_in(row) for row in ended]


def sweep(connection: Connection, now: datetime) -> list[Swept]:
    """Write down which sign-ins have run out of time; return them."""
    ended: dict[str, Value] = {"state": State.ENDED, "why": Why.TIME.value}
    found = rows.sweep(connection, sign_in, _run_out(now), [s.expire_time], ended)
    return [Swept(**{name: row[name] for name in Swept.__dataclass_fields__}) for row in found]


def needs_sweep(connection: Connection, now: datetime) -> bool:
    """Whether `sweep` would find anything."""
    query = select(s.id).where(*_run_out(now)).order_by(s.expire_time).limit(1)
    return connection.execute(query).first() is not None


def _run_out(now: datetime) -> list[ColumnElement[bool]]:
    return [TO_END, s.state != State.ENDED, s.expire_time <= now]


@record("sign-in")
def _to_sign_in(row: RowMapping) -> SignIn:
    known = {
        name: row[name] for name in SignIn.__dataclass_fields__ if name not in ("approval", "why")
    }
    approval = None
    if row["decision"] is not None:
        decision = Decision(row["decision"])
        approval = Approval(row["device_id"], decision, row["decision_number"], b"")
    known |= {"state": State(row["state"]), "channel": Channel(row["channel"])}
    why = None if row["why"] is None else Why(row["why"])
    return SignIn(**known, approval=approval, why=why)
