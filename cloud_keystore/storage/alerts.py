"""Rows of alerts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, or_, select, update

from cloud_keystore.model.alerts import NOTICES, TOLD_TO_HOLDERS, Alert, AlertKind
from cloud_keystore.storage import tables as t
from cloud_keystore.storage.databases.failures import record

a = t.alert.c


def add(connection: Connection, alert: Alert) -> None:
    connection.execute(
        insert(t.alert).values(
            id=alert.id,
            kind=alert.kind.value,
            card_id=alert.card_id,
            user_id=alert.user_id,
            text=alert.text,
            create_time=alert.create_time,
            workstation_id=alert.workstation_id,
        )
    )


def find(connection: Connection, alert_id: str) -> Alert | None:
    row = connection.execute(select(t.alert).where(a.id == alert_id)).mappings().first()
    return None if row is None else _to_alert(row)


def list_all(connection: Connection, *, include_acknowledged: bool) -> list[Alert]:
    """The alerts that nobody has acknowledged, or all alerts and notices, oldest first."""
    query = select(t.alert).order_by(a.id)
    if not include_acknowledged:
        query = query.where(a.acknowledge_time.is_(None), a.kind.not_in(_names(NOTICES)))
    return [_to_alert(row) for row in connection.execute(query).mappings()]


def told_to(connection: Connection, user_id: str, since: datetime) -> list[Alert]:
    """The alerts that a holder sees, oldest first: those that nobody has acknowledged, and notices
    since then.
    """
    waits = a.kind.in_(_names(TOLD_TO_HOLDERS)) & a.acknowledge_time.is_(None)
    recent = a.kind.in_(_names(NOTICES)) & (a.create_time > since)
    query = select(t.alert).where(a.user_id == user_id, or_(waits, recent))
    return [_to_alert(row) for row in connection.execute(query.order_by(a.id)).mappings()]


def is_open(
    connection: Connection,
    kind: AlertKind,
    card_id: str | None = None,
    workstation_id: str | None = None,
) -> bool:
    """Whether a card, a workstation or both together have an alert of this kind that nobody has
    acknowledged.
    """
    query = select(a.id).where(
        a.kind == kind.value,
        a.card_id == card_id,
        a.workstation_id == workstation_id,
        a.acknowledge_time.is_(None),
    )
    return connection.execute(query.limit(1)).first() is not None


def acknowledge(connection: Connection, alert_id: str, operator_id: str, now: datetime) -> bool:
    """Write down the operator who acknowledges an alert; False if there is no such alert, or it
    is acknowledged already.
    """
    acknowledged = connection.execute(
        update(t.alert)
        .where(a.id == alert_id, a.acknowledge_time.is_(None))
        .values(acknowledge_time=now, acknowledged_by=operator_id)
    )
    return acknowledged.rowcount == 1


def _names(kinds: Iterable[AlertKind]) -> list[str]:
    return [kind.value for kind in kinds]


@record("alert")
def _to_alert(row: RowMapping) -> Alert:
    return Alert(**{**row, "kind": AlertKind(row["kind"])})
