"""Rows that the use of sessions reads and writes, for many uses at a time in few statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from typing import cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    RowMapping,
    Select,
    String,
    Table,
    and_,
    bindparam,
    column,
    select,
    update,
    values,
)

from cloud_keystore.model.cards import CardState, HeldKey
from cloud_keystore.model.errors import RecordDamaged
from cloud_keystore.model.operations import RESULT_TIME, Decision, State
from cloud_keystore.model.people import IdentityState
from cloud_keystore.model.policies import Policy
from cloud_keystore.model.sessions import Session, Use
from cloud_keystore.storage import cards, policies, sessions
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import MAC, Values, changes_of
from cloud_keystore.storage.databases.indexes import is_open, number
from cloud_keystore.storage.databases.prepared import (
    Changing,
    ForEach,
    Given,
    Raw,
    Reading,
    adding,
    given_together,
)

u = t.session_use.c
# The statements are made once: making them for each use takes longer than the database does.
_DEVICE = t.identity.alias("device")
_OF_CARD = (t.card.c.organisation_id, t.card.c.profile)
# Of the records on which a session rests, only the codes are read: what they stand for is known.
_SUBJECTS = (
    select(
        t.session,
        t.card.c.mac.label("card_code"),
        t.key.c.mac.label("key_code"),
        t.key.c.sealed_private,
        t.identity.c.mac.label("workstation_code"),
        t.operation.c.mac.label("operation_code"),
        _DEVICE.c.mac.label("device_code"),
        policies.part_in_force(policies.NAME, _OF_CARD).label("policy_name"),
        policies.part_in_force(t.policy.c.mac, _OF_CARD).label("policy_code"),
    )
    .join(t.card, t.card.c.id == t.session.c.card_id)
    .join(t.key, t.key.c.id == t.session.c.key_id)
    .join(t.identity, t.identity.c.id == t.session.c.workstation_id)
    .join(t.operation, t.operation.c.id == t.session.c.id)
    .outerjoin(_DEVICE, _DEVICE.c.id == t.operation.c.device_id)
    # All transactions lock sessions in the same order, so that they cannot deadlock.
    .order_by(t.session.c.id)
    .with_for_update(of=t.session)
)
_ANY_SUBJECT = Reading(_SUBJECTS)
_ID, _USES_LEFT, _MAC = map(_ANY_SUBJECT.names.index, ("id", "uses_left", MAC))
_ADD = adding(
    t.session_use,
    ("id", "session_id", "request_id", "input_sha256", "create_time", "used_by"),
)
_TOGETHER = given_together({"of": u.id.type, "at": u.end_time.type, "result": u.sealed_result.type})
_END = ForEach(
    Changing(
        update(t.session_use)
        .where(u.id == bindparam("of"), u.end_time.is_(None))
        .values(end_time=bindparam("at"), sealed_result=bindparam("result"))
    ),
    Changing(
        update(t.session_use)
        .where(u.id == _TOGETHER.c.of, u.end_time.is_(None))
        .values(end_time=_TOGETHER.c.at, sealed_result=_TOGETHER.c.result)
    ),
)
_APPROVED = (State.SUCCEEDED, Decision.APPROVE)
_IN_USE = is_open(u.end_time)
_MOST_ERASED = 5000  # results in one transaction, for which other writers wait


@dataclass(frozen=True, slots=True)
class Subject:
    """A session, and the records on which its uses depend."""

    raw: Raw
    row: RowMapping  # of the session
    session: Session
    key: HeldKey
    card_state: CardState
    policy: Policy  # in force
    workstation_state: IdentityState
    certificates: Mapping[bytes, datetime]  # of the workstation, SHA-256, until when each is known
    approved: bool  # whether it was asked for, approved by a device that still counts, and opened


@dataclass(frozen=True, slots=True)
class Ended:
    """A use and its sealed result; one without a result failed."""

    id: str
    sealed_result: bytes | None
    time: datetime


@dataclass(frozen=True, slots=True)
class Stalled:
    """A use that lost its process."""

    id: str
    session: Session


def find(
    connection: Connection, session_ids: Collection[str]
) -> Mapping[str, Subject | RecordDamaged]:
    """Sessions with their cards, keys, workstations and policies; unknown sessions are left out.
    Other writers wait to use these sessions until the transaction has ended.
    """
    try:
        reading, given = _subjects(sorted(session_ids))
        return {
            subject.session.id: subject
            for subject in (
                rows.made(connection, str(raw[_ID]), raw, partial(_to_subject, connection, raw))
                for raw in reading.run(connection, given)
            )
        }
    except RecordDamaged as damaged:
        # Each session is read alone, which shows the damaged one.
        if len(session_ids) == 1:
            return dict.fromkeys(session_ids, damaged)
        alone = [find(connection, [each]) for each in session_ids]
        return {name: subject for each in alone for name, subject in each.items()}


def _subjects(session_ids: Sequence[str]) -> tuple[Reading, Given]:
    """The query for so many sessions, and what it is given."""
    names = [f"id_{place}" for place in range(len(session_ids))]
    return _subjects_of(tuple(names)), dict(zip(names, session_ids, strict=True))


@cache
def _subjects_of(names: tuple[str, ...]) -> Reading:
    some = t.session.c.id.in_([bindparam(name, type_=String) for name in names])
    return Reading(_SUBJECTS.where(some))


def leave(connection: Connection, left: Sequence[tuple[Subject, int]], now: datetime) -> None:
    """Leave so many uses to each session, which this transaction has found. With its last use its
    time ends, so that sweeps need not look for sessions without uses.
    """
    some = [(subject, uses) for subject, uses in left if uses]
    last = [subject for subject, uses in left if not uses]
    if last:
        nothing: Values = {"uses_left": 0, "expire_time": now}
        rows.rewrite_all(connection, t.session, [(each.row, nothing) for each in last])
    if some:
        changed: list[Values] = [{"uses_left": uses} for _, uses in some]
        of = [subject.row for subject, _ in some]
        codes = rows.rewrite_all(connection, t.session, list(zip(of, changed, strict=True)))
        for (subject, uses), code in zip(some, codes, strict=True):
            _keep_left(connection, subject, uses, code)


def _keep_left(connection: Connection, subject: Subject, uses: int, code: bytes) -> None:
    """Know the session as it is from now on, if this transaction is committed."""
    name = subject.session.id
    before = rows.kept(connection, name)
    if before is None or before.made is not subject:
        return  # another transaction was faster
    raw = list(subject.raw)
    raw[_USES_LEFT], raw[_MAC] = uses, code
    after = replace(
        subject,
        raw=tuple(raw),
        row=cast(RowMapping, {**subject.row, "uses_left": uses, MAC: code}),
        session=replace(subject.session, uses_left=uses),
    )
    own = (t.session.name, name)
    checked = [(each, changes_of(code) if each == own else n) for each, n in before.checked]
    rows.keep(connection, name, rows.Kept(after.raw, after, tuple(checked)))


def _to_subject(connection: Connection, raw: Raw) -> Subject:
    """A row as a Subject; raises RecordDamaged if a record is damaged or not authentic."""
    row = rows.typed(connection, _ANY_SUBJECT, raw)
    session = sessions.to_session(rows.checked(connection, t.session, row))

    def rests_on(table: Table, code: str, record_id: str) -> RowMapping:
        return rows.known(connection, table, row[code], {"id": record_id})

    key = rests_on(t.key, "key_code", session.key_id)
    card = rests_on(t.card, "card_code", session.card_id)
    at = rests_on(t.identity, "workstation_code", session.workstation_id)
    asked = rests_on(t.operation, "operation_code", session.id)
    approved = (asked["state"], asked["decision"]) == _APPROVED
    if approved:
        device = rests_on(t.identity, "device_code", asked["device_id"])
        approved = device["state"] == IdentityState.ACTIVE
    policy = policies.UNSET.policy
    if row["policy_name"] is not None:
        named = policies.key_of(row["policy_name"])
        policy = policies.to_policy(rows.known(connection, t.policy, row["policy_code"], named))
    return Subject(
        raw=raw,
        row=row,
        session=session,
        key=cards.to_held_key(key, row["sealed_private"]),
        card_state=CardState(card["state"]),
        policy=policy,
        workstation_state=IdentityState(at["state"]),
        certificates={
            sha256: end
            for sha256, end in (
                (at["certificate_sha256"], at["expire_time"]),
                (at["former_certificate_sha256"], at["former_end_time"]),
            )
            if sha256 is not None and end is not None
        },
        approved=approved,
    )


def seen(connection: Connection, requests: Collection[tuple[str, bytes]]) -> set[tuple[str, bytes]]:
    """Those of the requests, given as (session, request), that were made before."""
    # Joined, not `IN`: of that, SQLite would look for the sessions alone, with all their uses.
    asked = (
        values(column("session_id", String), column("request_id", LargeBinary), name="asked")
        .data(list(requests))
        .cte()
    )
    same = and_(u.session_id == asked.c.session_id, u.request_id == asked.c.request_id)
    query = select(u.session_id, u.request_id).select_from(asked).join(t.session_use, same)
    return {(row.session_id, row.request_id) for row in connection.execute(query)}


def find_by_request(connection: Connection, session_id: str, request_id: bytes) -> Use | None:
    """The use that a request has started; None if there is none."""
    query = select(t.session_use).where(u.session_id == session_id, u.request_id == request_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else Use(**row)


def add(connection: Connection, uses: Sequence[Use]) -> None:
    """Write down uses; raises IntegrityError for a request that was made before."""
    _ADD.run(
        connection,
        *(
            {
                "id": use.id,
                "session_id": use.session_id,
                "request_id": use.request_id,
                "input_sha256": use.input_sha256,
                "create_time": use.create_time,
                "used_by": use.used_by,
            }
            for use in uses
        ),
    )


def end(connection: Connection, ended: Sequence[Ended]) -> int:
    """End uses, and keep their results for repeated requests; return how many had not ended."""
    return _END.run(
        connection,
        *({"of": each.id, "result": each.sealed_result, "at": each.time} for each in ended),
    )


def users(connection: Connection) -> set[int]:
    """The numbers of the processes that use keys."""
    query = select(u.used_by).where(_IN_USE).distinct()
    return {each for each in connection.execute(query).scalars() if each is not None}


def sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> list[Stalled]:
    """End without a result the uses that have run for `stalled_time` (None: all that run), or that
    are by one of the processes that are `gone`, and return them; erase old results.
    """
    query = (
        select(t.session, u.id.label("use_id"))
        .join(t.session, t.session.c.id == u.session_id)
        .where(_stalled(now, stalled_time, gone))
        .order_by(u.create_time)
    )
    found = rows.authentic(connection, t.session, query)
    stalled = [Stalled(row["use_id"], sessions.to_session(row)) for row in found]
    if stalled:
        end(connection, [Ended(each.id, None, now) for each in stalled])
    old = _old(now).limit(number(_MOST_ERASED))
    connection.execute(update(t.session_use).where(u.id.in_(old)).values(sealed_result=None))
    return stalled


def needs_sweep(
    connection: Connection,
    now: datetime,
    stalled_time: timedelta | None,
    gone: Collection[int] = (),
) -> bool:
    """Whether `sweep` would find anything."""
    stalled = select(u.id).where(_stalled(now, stalled_time, gone)).order_by(u.create_time)
    return any(
        connection.execute(query.limit(1)).first() is not None for query in (stalled, _old(now))
    )


def _stalled(
    now: datetime, stalled_time: timedelta | None, gone: Collection[int]
) -> ColumnElement[bool]:
    begun = u.create_time <= now if stalled_time is None else u.create_time <= now - stalled_time
    if gone:
        begun |= u.used_by.in_(gone)
    return and_(_IN_USE, begun)


def _old(now: datetime) -> Select[tuple[str]]:
    """The uses whose results are no longer kept, the oldest first."""
    old = (u.sealed_result.is_not(None), u.create_time <= now - RESULT_TIME)
    return select(u.id).where(*old).order_by(u.create_time)
