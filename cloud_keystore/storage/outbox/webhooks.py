"""Rows of webhooks, and their secrets, sealed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    RowMapping,
    String,
    func,
    select,
)

from cloud_keystore.model.outbox.webhooks import Webhook, WebhookState
from cloud_keystore.storage.authentic import rows
from cloud_keystore.storage.authentic.codes import Values
from cloud_keystore.storage.authentic.declaring import authentic
from cloud_keystore.storage.databases.failures import record
from cloud_keystore.storage.databases.indexes import OPEN, is_open, partial
from cloud_keystore.storage.databases.instants import Instant

webhook = authentic(
    "webhook",
    Column("id", String, primary_key=True),
    Column("client_id", ForeignKey("identity.id"), nullable=False),
    Column("url", String, nullable=False),
    Column("kinds", String, nullable=False),  # with spaces between
    Column("state", String, nullable=False),
    Column("why", String, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("next_time", Instant, nullable=False),
    Column("failing_since", Instant),
    Column("old_until", Instant),
    Column("end_time", Instant),
    Column("sealed_secret", LargeBinary),
    Column("sealed_old", LargeBinary),  # the secret before
    partial("webhook_open", "client_id", where=OPEN),
    uncovered=("sealed_secret", "sealed_old"),
)
w = webhook.c


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of a webhook, sealed; None: there is none."""

    current: bytes | None = field(repr=False)
    old: bytes | None = field(default=None, repr=False)


def add(connection: Connection, added: Webhook, secrets: Secrets) -> None:
    rows.add(connection, webhook, {**_values(added), **_sealed(secrets)})


def find(connection: Connection, webhook_id: str) -> Webhook | None:
    row = rows.one(connection, webhook, id=webhook_id)
    return None if row is None else _to_webhook(row)


def secrets_of(connection: Connection, webhook_id: str) -> Secrets:
    """The secrets of a webhook, sealed."""
    row = rows.one(connection, webhook, id=webhook_id)
    return Secrets(None) if row is None else Secrets(row["sealed_secret"], row["sealed_old"])


def change(connection: Connection, changed: Webhook) -> None:
    """Write what a webhook is from now on."""
    rows.change(connection, webhook, [w.id == changed.id], _values(changed))


def reseal(connection: Connection, changed: Webhook, secrets: Secrets) -> None:
    """Write what a webhook is from now on, with other secrets."""
    values: Values = {**_values(changed), **_sealed(secrets)}
    rows.change(connection, webhook, [w.id == changed.id], values)


def list_all(connection: Connection, client_id: str = "") -> list[Webhook]:
    """Those of a client (empty: of all) that are not removed, oldest first. Records that are not
    authentic are passed over: they must not keep anything from happening.
    """
    query = select(webhook).where(is_open(w.end_time))
    if client_id:
        query = query.where(w.client_id == client_id)
    found = [_to_webhook(row) for row in rows.authentic(connection, webhook, query)]
    return sorted(found, key=lambda each: each.id)


def count(connection: Connection, client_id: str = "") -> int:
    """How many a client has (empty: all have) that are not removed."""
    query = select(func.count()).where(is_open(w.end_time))
    if client_id:
        query = query.where(w.client_id == client_id)
    return connection.execute(query).scalar_one()


def active(connection: Connection) -> list[Webhook]:
    """Those in use."""
    return [each for each in list_all(connection) if each.state is WebhookState.ACTIVE]


def _values(given: Webhook) -> Values:
    return {**asdict(given), "kinds": " ".join(given.kinds)}


def _sealed(secrets: Secrets) -> Values:
    return {"sealed_secret": secrets.current, "sealed_old": secrets.old}


@record("webhook")
def _to_webhook(row: RowMapping) -> Webhook:
    known = {name: row[name] for name in Webhook.__dataclass_fields__}
    kinds, state = tuple(row["kinds"].split()), WebhookState(row["state"])
    return Webhook(**known | {"kinds": kinds, "state": state})
