"""What the use of sessions reads and writes, for many uses at a time and in few statements."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, insert, or_, select, update

from cloud_keystore.model.algorithms import Algorithm, KeyUse
from cloud_keystore.model.cards import CardState, Key, PinPolicy
from cloud_keystore.model.operations import Event, Operation, State, sources, target
from cloud_keystore.model.people import IdentityState
from cloud_keystore.model.sessions import Session
from cloud_keystore.storage import cards
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.failures import record

o = t.operation.c
# Made once: in each use, making them anew would take longer than the database does.
_SUBJECT = (
    select(
        *(column.label(f"session_{column.name}") for column in t.session.c),
        t.card.c.state.label("card_state"),
        t.card.c.organisation_id,
        t.card.c.profile,
        t.identity.c.state.label("identity_state"),
        t.identity.c.certificate_sha256.label("identity_certificate"),
        *(column.label(f"key_{column.name}") for column in cards.KEY_COLUMNS),
    )
    .join(t.card, t.card.c.id == t.session.c.card_id)
    .join(t.key, t.key.c.id == t.session.c.key_id)
    .join(t.identity, t.identity.c.id == t.session.c.workstation_id)
    .where(t.session.c.id == bindparam("of"))
)
_SEEN = select(o.request_id).where(
    o.workstation_id == bindparam("by"), o.request_id.in_(bindparam("ids", expanding=True))
)
_ADD = insert(t.operation)
_END = (
    update(t.operation)
    .where(  # no IN, which cannot be executed for many rows at once
        o.id == bindparam("of"),
        or_(*(o.state == state for state in sources(Event.SUCCEED))),
        o.use_time.is_not(None),
    )
    .values(
        state=target(Event.SUCCEED),
        sealed_result=bindparam("result"),
        end_time=bindparam("at"),
    )
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A session, and what its uses depend on."""

    session: Session
    key: Key
    card_state: CardState
    organisation_id: str
    profile: str
    workstation_state: IdentityState
    certificate_sha256: bytes | None  # of the workstation


@dataclass(frozen=True, slots=True)
class Ended:
    """A use and its sealed result."""

    id: str
    sealed_result: bytes
    time: datetime


def find(connection: Connection, session_id: str) -> Subject | None:
    """A session with its card, key and workstation."""
    row = connection.execute(_SUBJECT, {"of": session_id}).mappings().first()
    return None if row is None else _to_subject(row)


@record("session", "session_id")
def _to_subject(row: RowMapping) -> Subject:
    """With its card, key and workstation: where one of these is damaged, the session is told."""
    return Subject(
        session=Session(
            **{
                **{name: row[f"session_{name}"] for name in Session.__dataclass_fields__},
                "key_use": KeyUse(row["session_key_use"]),
            }
        ),
        key=Key(
            **{
                **{name: row[f"key_{name}"] for name in Key.__dataclass_fields__},
                "algorithm": Algorithm(row["key_algorithm"]),
                "pin_policy": PinPolicy(row["key_pin_policy"]),
            }
        ),
        card_state=CardState(row["card_state"]),
        organisation_id=row["organisation_id"],
        profile=row["profile"],
        workstation_state=IdentityState(row["identity_state"]),
        certificate_sha256=row["identity_certificate"],
    )


def seen(connection: Connection, workstation_id: str, ids: Collection[bytes]) -> set[bytes]:
    """Which of these requests a workstation has made before."""
    return set(connection.execute(_SEEN, {"by": workstation_id, "ids": list(ids)}).scalars())


def add(connection: Connection, uses: Sequence[tuple[Operation, str]]) -> None:
    """Write down uses, each with its trace id; raises IntegrityError for a request that was made
    before.
    """
    connection.execute(
        _ADD,
        [
            {
                "id": use.id,
                "request_id": use.request_id,
                "workstation_id": use.workstation_id,
                "card_id": use.card_id,
                "key_id": use.key_id,
                "user_id": use.user_id,
                "key_use": use.key_use,
                "state": State.APPROVED,
                "payload": b"",
                "number": "",
                "channels": 0,
                "create_time": use.create_time,
                "expire_time": use.expire_time,
                "qr_expire_time": use.qr_expire_time,
                "use_time": use.use_time,
                "kind": use.kind,
                "policy": use.policy,
                "session_id": use.session_id,
                "input_sha256": use.input_sha256,
                "trace_id": trace_id,
            }
            for use, trace_id in uses
        ],
    )


def end(connection: Connection, ended: Sequence[Ended]) -> None:
    """Keep results for repeated requests."""
    connection.execute(
        _END, [{"of": each.id, "result": each.sealed_result, "at": each.time} for each in ended]
    )
