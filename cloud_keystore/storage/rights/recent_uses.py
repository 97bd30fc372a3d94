"""Whether a key was used lately."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from cloud_keystore.model.cards import Key
from cloud_keystore.model.operations import OperationKind, State
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.databases.indexes import is_open

o, s, u = t.operation.c, t.session.c, t.session_use.c


def since(connection: Connection, key: Key, time: datetime) -> bool:
    """Whether a key was used since then, for an approval of its own or in a session. `time` is not
    longer ago than results are kept.
    """
    operations = select(t.operation).where(
        o.card_id == key.card_id,
        o.key_id == key.id,
        o.kind == OperationKind.USES,
        o.state == State.SUCCEEDED,
        o.use_time >= time,
    )
    if rows.read(connection, t.operation, operations.limit(1)):
        return True
    # Those of all keys: one index has them by time while they have no end, and another one as long
    # as they have results. A use begins once its session allows it, and its end is written down a
    # little after its answer; with no result it has failed, and counts no more.
    began = select(u.session_id).where(is_open(u.end_time), u.create_time >= time)
    answered = select(u.session_id).where(u.sealed_result.is_not(None), u.create_time >= time)
    uses = began.union_all(answered)
    sessions = select(t.session).where(s.key_id == key.id, s.id.in_(uses))
    return bool(rows.read(connection, t.session, sessions.limit(1)))
