"""Writes the journal in the transaction of what it records, so that neither exists alone."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from cloud_keystore.audit import budgets
from cloud_keystore.model.journal import Entry, encode
from cloud_keystore.model.tracing import TRACE_ID
from cloud_keystore.storage import journal
from cloud_keystore.storage.outbox import deliveries


def append(connection: Connection, *entries: Entry) -> None:
    """Add entries; they become durable together with the transaction, or not at all, as does what
    API clients are told of them. Raises what `budgets.charge` raises.
    """
    budgets.charge(connection, entries)
    journal.add(
        connection,
        *(
            {
                "time": entry.time,
                "kind": entry.kind.value,
                "card_id": entry.card_id,
                "user_id": entry.user_id,
                "workstation_id": entry.workstation_id,
                "operation_id": entry.operation_id,
                "entry": encode(
                    entry if entry.trace_id else replace(entry, trace_id=TRACE_ID.get())
                ),
            }
            for entry in entries
        ),
    )
    deliveries.put(connection, entries)
