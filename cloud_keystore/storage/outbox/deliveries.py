"""What webhooks are told: its table and its rows, which are written in the transaction of what they
tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import sha256

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    RowMapping,
    String,
    func,
    literal_column,
    select,
)

from cloud_keystore.model.clock import new_id
from cloud_keystore.model.fields.pages import Page
from cloud_keystore.model.journal import Entry, encode
from cloud_keystore.model.outbox.notifications import State
from cloud_keystore.model.outbox.webhooks import LEASE_TIME, TOLD, Delivery, Webhook, facts_of
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import OPEN, is_open, partial
from cloud_keystore.storage.databases.instants import Instant
from cloud_keystore.storage.databases.portions import paged
from cloud_keystore.storage.outbox import webhooks

FAILED = "state = 'failed'"

webhook_delivery = authentic(
    "webhook_delivery",
    Column("id", String, primary_key=True),
    Column("webhook_id", String, nullable=False),  # which can be gone before
    Column("kind", String, nullable=False),
    Column("facts", String, nullable=False),
    Column("state", String, nullable=False),
    Column("why", String, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("next_time", Instant, nullable=False),
    Column("end_time", Instant),
    partial("webhook_delivery_due", "webhook_id", "next_time", where=OPEN),
    partial("webhook_delivery_failed", "webhook_id", where=FAILED),
)
d = webhook_delivery.c
# Within the statement: of a parameter, no database knows that it is that of the index.
HAS_FAILED = literal_column(FAILED, Boolean)


def put(connection: Connection, told: Sequence[Entry]) -> None:
    """Let the webhooks that want it be told of some entries."""
    happened = [each for each in told if each.kind in TOLD]
    to = webhooks.active(connection) if happened else []
    for entry in happened:
        for each in to:
            if each.wants(entry.kind):
                put_one(connection, each, entry)


def put_one(connection: Connection, to: Webhook, entry: Entry) -> Delivery:
    """Let a webhook be told of an entry."""
    digest = sha256(to.id.encode() + encode(entry)).digest()
    made = Delivery(
        id=new_id(entry.time, lambda size: digest[:size]),
        webhook_id=to.id,
        kind=entry.kind,
        facts=facts_of(entry),
        state=State.WAITING,
        why="",
        tries=0,
        create_time=entry.time,
        next_time=entry.time,
    )
    if rows.one(connection, webhook_delivery, id=made.id) is None:
        rows.add(connection, webhook_delivery, asdict(made))
    return made


def is_due(connection: Connection, webhook_id: str, now: datetime) -> bool:
    """Whether `lease` would find anything."""
    due = select(d.id).where(d.webhook_id == webhook_id, is_open(d.end_time), d.next_time <= now)
    return connection.execute(due.limit(1)).first() is not None


def is_waiting(connection: Connection, webhook_id: str) -> bool:
    """Whether `end_all` would find anything."""
    waiting = select(d.id).where(d.webhook_id == webhook_id, is_open(d.end_time))
    return connection.execute(waiting.limit(1)).first() is not None


def lease(connection: Connection, webhook_id: str, now: datetime, most: int) -> list[Delivery]:
    """Those of a webhook that are due, at most so many, the first due first; they are the caller's
    for LEASE_TIME. What somebody else had, whose lease has ended, is among them.
    """
    due = [d.webhook_id == webhook_id, is_open(d.end_time), d.next_time <= now]
    query = select(webhook_delivery).where(*due).order_by(d.next_time).limit(most)
    taken: list[Delivery] = []
    for row in rows.authentic(connection, webhook_delivery, query.with_for_update()):
        waiting = _to_delivery(row)
        changes: Values = {
            "state": State.SENDING,
            "tries": waiting.tries + 1,
            "next_time": now + LEASE_TIME,
        }
        rows.rewrite(connection, webhook_delivery, row, changes)
        taken.append(replace(waiting, state=State.SENDING, tries=waiting.tries + 1))
    return taken


def move(connection: Connection, leased: Delivery, changes: Values) -> bool:
    """Change a delivery whose lease the caller has; False if somebody else has it by now."""
    own = [d.id == leased.id, d.state == State.SENDING, d.tries == leased.tries]
    return bool(rows.change(connection, webhook_delivery, own, changes))


def find(connection: Connection, delivery_id: str) -> Delivery | None:
    row = rows.one(connection, webhook_delivery, id=delivery_id)
    return None if row is None else _to_delivery(row)


def end_all(connection: Connection, webhook_id: str, state: State, why: str, now: datetime) -> None:
    """End what waits for a webhook."""
    waiting = [d.webhook_id == webhook_id, is_open(d.end_time)]
    gone: Values = {"state": state, "why": why, "end_time": now}
    while rows.sweep(connection, webhook_delivery, waiting, [d.next_time], gone):
        pass


def retry(connection: Connection, webhook_id: str, now: datetime) -> int:
    """Let what has failed at a webhook be sent again, as much as one transaction takes; return how
    much that is.
    """
    failed = [d.webhook_id == webhook_id, HAS_FAILED]
    again: Values = {"state": State.WAITING, "tries": 0, "next_time": now, "end_time": None}
    return len(rows.sweep(connection, webhook_delivery, failed, [d.id], again))


def list_of(
    connection: Connection, webhook_id: str, page: Page | None = None, *, failed: bool
) -> list[Delivery]:
    """What a webhook was told or is to be told, oldest first; all, or what has failed; or a page of
    that.
    """
    query = paged(select(webhook_delivery), d.id, page).where(d.webhook_id == webhook_id)
    if failed:
        query = query.where(HAS_FAILED)
    found = rows.authentic(connection, webhook_delivery, query)
    return [_to_delivery(row) for row in found]


def failed_of(connection: Connection, webhook_ids: Iterable[str]) -> Mapping[str, int]:
    """How much has failed at some webhooks, by webhook; those without are left out."""
    some = select(d.webhook_id, func.count().label("failed")).where(HAS_FAILED)
    query = some.where(d.webhook_id.in_(list(webhook_ids))).group_by(d.webhook_id)
    return {row.webhook_id: row.failed for row in connection.execute(query)}


@record("delivery to a webhook")
def _to_delivery(row: RowMapping) -> Delivery:
    known = {name: row[name] for name in Delivery.__dataclass_fields__}
    return Delivery(**known | {"state": State(row["state"])})
