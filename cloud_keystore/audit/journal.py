"""Writing the journal: in the transaction of what it tells of, so that neither is there alone."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection, insert

from cloud_keystore.model.journal import Event, encode
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.storage import tables as t

_ADD = insert(t.journal)


def append(connection: Connection, *events: Event) -> None:
    """Add entries; they are durable when the transaction is, and if they are not, it is not."""
    connection.execute(
        _ADD,
        [
            {
                "time": event.time,
                "kind": event.kind.value,
                "card_id": event.card_id,
                "user_id": event.user_id,
                "workstation_id": event.workstation_id,
                "operation_id": event.operation_id,
                "entry": encode(
                    event if event.trace_id else replace(event, trace_id=TRACE_ID.get())
                ),
            }
            for event in events
        ],
    )
