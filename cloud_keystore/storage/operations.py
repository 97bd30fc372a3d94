"""Rows of operations. A change of state is one conditional UPDATE drawn from the model's table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    func,
    or_,
    select,
    update,
)

from card_os.uses import KeyUse
from cloud_keystore.model.errors import OperationNotFound
from cloud_keystore.model.operations import (
    DECISION_TIME,
    FINAL,
    RESULT_TIME,
    USE_TIME,
    Approval,
    Assertion,
    Channel,
    Decision,
    Event,
    Operation,
    OperationKind,
    State,
    sources,
    target,
)
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Value, Values
from cloud_keystore.storage.authentic.statements import Query, locked
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import OPEN_AT, OPEN_FOR, is_open, number

o = t.operation.c
# What is used for each operation is made once: making it takes longer than the database does.
_THIS, _UNEXPIRED = o.id == bindparam("this"), o.expire_time > bindparam("now")
_UNUSED, _USED = o.use_time.is_(None), o.use_time.is_not(None)
_MOST_ERASED = 2000  # results in one transaction, for which other writers wait
_OPEN, _TO_END = o.end_time.is_(None), is_open(o.end_time)  # all, and for sweeps alone
_OPEN_AT, _OPEN_FOR = is_open(o.end_time, OPEN_AT), is_open(o.end_time, OPEN_FOR)
_WITHDRAWABLE = (o.state.in_(sources(Event.CANCEL)), _UNUSED)
_TRACE = select(o.trace_id).where(_THIS)
_WAITING = (
    select(t.operation)
    .where(_OPEN_FOR, o.user_id == bindparam("user_id"), o.state == State.PENDING, _UNEXPIRED)
    .order_by(o.id)
)
_IN_ORDER = (o.use_time, o.expire_time)  # as in the index of what has not ended
_UNSPENT = locked(t.operation, _THIS, o.state == State.APPROVED, _UNUSED, _UNEXPIRED)
_AS_THEY_ARE = (  # columns that an operation has as the database does
    *("id", "request_id", "workstation_id", "card_id", "key_id", "user_id", "payload", "number"),
    *("create_time", "expire_time", "qr_expire_time", "claimed_by", "use_time", "sealed_result"),
    "policy",
)
SUBJECTS = ("id", "card_id", "user_id", "workstation_id", "key_id")  # of what was swept


@dataclass(frozen=True, slots=True)
class Swept:
    """An operation that has expired or failed because of time."""

    event: Event
    id: str
    card_id: str
    user_id: str
    workstation_id: str
    key_id: str


def add(connection: Connection, operation: Operation) -> None:
    values: Values = {
        "id": operation.id,
        "request_id": operation.request_id,
        "workstation_id": operation.workstation_id,
        "card_id": operation.card_id,
        "key_id": operation.key_id,
        "user_id": operation.user_id,
        "key_use": operation.key_use,
        "state": operation.state,
        "payload": operation.payload,
        "number": operation.number,
        "channels": _channel_bits(operation.channels),
        "create_time": operation.create_time,
        "expire_time": operation.expire_time,
        "qr_expire_time": operation.qr_expire_time,
        "use_time": operation.use_time,
        "kind": operation.kind,
        "policy": operation.policy,
        "trace_id": TRACE_ID.get(),
    }
    rows.add(connection, t.operation, values)


def count_waiting(connection: Connection) -> int:
    """How many operations wait for their holder, including expired ones before the next sweep."""
    waiting = select(func.count()).where(_TO_END, o.state == State.PENDING)
    return int(connection.execute(waiting).scalar_one())


def newest_time(connection: Connection) -> datetime | None:
    """When the newest operation was asked for; ids are in the order of time."""
    query = select(t.operation.c.create_time).order_by(t.operation.c.id.desc()).limit(1)
    return connection.execute(query).scalar()


def trace_id(connection: Connection, operation_id: str) -> str:
    """The distributed trace in which an operation was asked for; empty if there is none."""
    return connection.execute(_TRACE, {"this": operation_id}).scalar() or ""


def find(connection: Connection, operation_id: str) -> Operation | None:
    row = rows.one(connection, t.operation, id=operation_id)
    return None if row is None else _to_operation(row)


def asked_at(connection: Connection, operation_id: str, workstation_id: str) -> Operation:
    """An operation that this workstation has asked for; raises OperationNotFound for others."""
    found = find(connection, operation_id)
    if found is None or found.workstation_id != workstation_id:
        raise OperationNotFound("this workstation has no such operation")
    return found


def asked_among(
    connection: Connection, ids: Collection[str], workstation_id: str
) -> list[Operation]:
    """Those that this workstation has asked for, without any whose record is not authentic."""
    found = rows.authentic(connection, t.operation, select(t.operation).where(o.id.in_(ids)))
    # Not by the query: PostgreSQL can take the index of all that the workstation has asked for.
    return [_to_operation(row) for row in found if row["workstation_id"] == workstation_id]


def find_by_request(
    connection: Connection, workstation_id: str, request_id: bytes
) -> Operation | None:
    row = rows.one(connection, t.operation, workstation_id=workstation_id, request_id=request_id)
    return None if row is None else _to_operation(row)


def list_waiting(connection: Connection, user_id: str, now: datetime) -> list[Operation]:
    """Operations that wait for a holder's decision, oldest first."""
    found = rows.read(connection, t.operation, _WAITING, {"user_id": user_id, "now": now})
    return [_to_operation(row) for row in found]


def open_at(connection: Connection, card_id: str, workstation_id: str, now: datetime) -> list[str]:
    """Operations of a card at a workstation that have not ended and whose key is not in use."""
    query = select(o.id).where(
        o.card_id == card_id,
        o.workstation_id == workstation_id,
        _OPEN,
        *_WITHDRAWABLE,
        o.expire_time > now,
        o.create_time > now - DECISION_TIME - USE_TIME,  # follows, and bounds what is read
    )
    return list(connection.execute(query).scalars())


def open_of(connection: Connection, card_id: str, key_id: str | None = None) -> list[str]:
    """Operations of a card, or of one of its keys, that have not ended and whose key is not in
    use.
    """
    # They are found by the holder, who has few: one index less to write for each operation.
    holder = select(t.card.c.user_id).where(t.card.c.id == card_id).scalar_subquery()
    query = select(o.id).where(_OPEN_FOR, o.user_id == holder, o.card_id == card_id, *_WITHDRAWABLE)
    if key_id is not None:
        query = query.where(o.key_id == key_id)
    return list(connection.execute(query).scalars())


def open_from(connection: Connection, workstation_id: str) -> dict[str, str]:
    """Operations of a workstation that have not ended and whose key is not in use, each with the
    holder's user id.
    """
    at = (_OPEN_AT, o.workstation_id == workstation_id)
    query = select(o.id, o.user_id).where(*at, *_WITHDRAWABLE)
    return {row.id: row.user_id for row in connection.execute(query)}


def held_by(connection: Connection, user_id: str, device_id: str) -> list[str]:
    """Operations of a holder that no other device can complete: those that the device has approved
    and that are not used yet, and those that can be reached only by the QR code that it claimed.
    """
    alone = (o.claimed_by == device_id) & (o.channels == _channel_bits(frozenset({Channel.QR})))
    this = (_OPEN_FOR, o.user_id == user_id, *_WITHDRAWABLE)
    query = select(o.id).where(*this, or_(o.device_id == device_id, alone))
    return list(connection.execute(query).scalars())


def claim(connection: Connection, operation_id: str, device_id: str, now: datetime) -> bool:
    """Bind a waiting operation to the device that scanned its code; False if it waits no longer, or
    another device was first. The same device can repeat the call.
    """
    claimable = [
        o.id == operation_id,
        o.state == State.PENDING,
        o.expire_time > now,
        o.qr_expire_time > now,
        or_(o.claimed_by.is_(None), o.claimed_by == device_id),
    ]
    return bool(rows.change(connection, t.operation, claimable, {"claimed_by": device_id}))


def decide(
    connection: Connection, operation_id: str, event: Event, approval: Approval, now: datetime
) -> bool:
    """Write down the holder's decision; False if the operation no longer waits for it."""
    assertion = approval.assertion
    decided: dict[str, Value] = {
        "device_id": approval.device_id,
        "decision": approval.decision,
        "decision_number": approval.number,
        "device_signature": approval.device_signature,
        "authenticator_data": None if assertion is None else assertion.authenticator_data,
        "client_data": None if assertion is None else assertion.client_data,
        "decide_time": now,
    }
    if event is Event.APPROVE:
        decided["expire_time"] = now + USE_TIME
    return _advance(connection, operation_id, event, now, [_UNEXPIRED], decided)


def start_use(
    connection: Connection,
    operation_id: str,
    now: datetime,
    room: int = 0,
    used_by: int | None = None,
) -> bool:
    """Spend the approval: of all callers that try, exactly one gets True, and only before the
    approval expires. The result can have `room` bytes, which are taken from the disk at once: if it
    is full, the approval is kept. The key is `used_by` the process of this number.
    """
    given: Values = {"this": operation_id, "now": now}
    started: Values = {"use_time": now, "room": bytes(room), "used_by": used_by}
    return bool(rows.change_found(connection, t.operation, _UNSPENT, given, started))


def open_session(connection: Connection, operation_id: str, now: datetime) -> bool:
    """Spend the approval of a session, which ends the operation with success: of all callers that
    try, exactly one gets True, and only before the approval expires.
    """
    unspent, used = [_UNUSED, _UNEXPIRED], {"use_time": now}
    return _advance(connection, operation_id, Event.SUCCEED, now, unspent, used)


def end_use(
    connection: Connection, operation_id: str, sealed_result: bytes | None, now: datetime
) -> bool:
    """Write down how the use ended; a use without a result failed."""
    event = Event.FAIL if sealed_result is None else Event.SUCCEED
    result = {"sealed_result": sealed_result}
    return _advance(connection, operation_id, event, now, [_USED], result)


def cancel(connection: Connection, operation_id: str, now: datetime) -> bool:
    """Withdraw an operation; False if it has ended or its key is in use."""
    return _advance(connection, operation_id, Event.CANCEL, now, [_UNUSED], {})


def users(connection: Connection) -> set[int]:
    """The numbers of the processes that use keys."""
    query = select(o.used_by).where(_TO_END, o.state.in_(sources(Event.FAIL)), _USED)
    return {each for each in connection.execute(query).scalars() if each is not None}


def sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> list[Swept]:
    """Write down what has expired or stalled, and return the operations that changed.

    An operation that waited too long expires. A use fails that has run for `stalled_time` (None:
    for any time), or that is by one of the processes that are `gone`. Old results are erased.
    """
    changed = [
        Swept(event, *(row[name] for name in SUBJECTS))
        for event, conditions in _due(now, stalled_time, gone).items()
        for row in rows.sweep(connection, t.operation, conditions, _IN_ORDER, _to(event, now))
    ]
    old = _old(now).limit(number(_MOST_ERASED))
    connection.execute(update(t.operation).where(o.id.in_(old)).values(sealed_result=None))
    return changed


def needs_sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> bool:
    """Whether `sweep` would find anything; keeps an idle service from writing."""
    due = [
        select(o.id).where(*conditions).order_by(*_IN_ORDER)
        for conditions in _due(now, stalled_time, gone).values()
    ]
    queries = (*due, _old(now))
    return any(connection.execute(each.limit(1)).first() is not None for each in queries)


def _due(
    now: datetime, stalled_time: timedelta | None, gone: Collection[int]
) -> Mapping[Event, list[ColumnElement[bool]]]:
    """What time does to operations that have not ended, and to which."""
    expired, stalled = o.expire_time <= now, _stalled(now, stalled_time, gone)
    return {
        Event.EXPIRE: _from(Event.EXPIRE, [_TO_END, _UNUSED, expired]),
        Event.FAIL: _from(Event.FAIL, [_TO_END, stalled]),
    }


def _old(now: datetime) -> Select[tuple[str]]:
    """Operations whose results are no longer kept, the oldest first."""
    old = (o.sealed_result.is_not(None), o.end_time <= now - RESULT_TIME)
    return select(o.id).where(*old).order_by(o.end_time)


def _stalled(
    now: datetime, stalled_time: timedelta | None, gone: Collection[int]
) -> ColumnElement[bool]:
    if stalled_time is None:
        return o.use_time.is_not(None)
    stalled = o.use_time <= now - stalled_time
    return stalled | (o.use_time.is_not(None) & o.used_by.in_(gone)) if gone else stalled


def _advance(
    connection: Connection,
    operation_id: str,
    event: Event,
    now: datetime,
    conditions: Iterable[ColumnElement[bool]],
    values: Values,
) -> bool:
    query = _moving(event, tuple(conditions))
    given: Values = {"this": operation_id, "now": now}
    changes = {**_to(event, now), **values}
    return bool(rows.change_found(connection, t.operation, query, given, changes))


@cache
def _moving(event: Event, conditions: tuple[ColumnElement[bool], ...]) -> Query:
    return locked(t.operation, *_from(event, [_THIS, *conditions]))


def _from(event: Event, conditions: Iterable[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    return [o.state.in_(sources(event)), *conditions]


def _to(event: Event, now: datetime) -> Values:
    state = target(event)
    ends: Values = {"end_time": now, "room": None} if state in FINAL else {}
    return {"state": state, **ends}


def _channel_bits(channels: frozenset[Channel]) -> int:
    return sum(1 << (channel - 1) for channel in channels)


@record("operation")
def _to_operation(row: RowMapping) -> Operation:
    approval = None
    if row["decision"] is not None:
        approval = Approval(
            device_id=row["device_id"],
            decision=Decision(row["decision"]),
            number=row["decision_number"],
            device_signature=row["device_signature"],
            assertion=_to_assertion(row),
        )
    return Operation(
        **{each: row[each] for each in _AS_THEY_ARE},
        key_use=KeyUse(row["key_use"]),
        state=State(row["state"]),
        channels=frozenset(each for each in Channel if row["channels"] >> (each - 1) & 1),
        approval=approval,
        kind=OperationKind(row["kind"]),
    )


def _to_assertion(row: RowMapping) -> Assertion | None:
    if row["authenticator_data"] is None:
        return None
    return Assertion(row["authenticator_data"], row["client_data"])
