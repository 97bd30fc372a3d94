"""Removes feedback and answers that were given long ago."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, Select, Table, delete, select

from cloud_keystore.model.clock import earliest_id
from cloud_keystore.storage.databases.indexes import number
from cloud_keystore.storage.surveys.answers import survey_answer
from cloud_keystore.storage.surveys.feedback import feedback

PORTION = 500  # rows of each table in one transaction, for which other writers wait
TABLES: Mapping[str, Table] = {"feedback": feedback, "answers": survey_answer}


def is_due(connection: Connection, before: datetime) -> bool:
    """Whether `remove` would find anything."""
    return any(
        connection.execute(_oldest(table, before, 1)).first() is not None
        for table in TABLES.values()
    )


def remove(connection: Connection, before: datetime) -> Mapping[str, int]:
    """Remove some of what was given before a time, the oldest first; return how much of each."""
    return {
        name: connection.execute(
            delete(table).where(table.c.id.in_(_oldest(table, before, PORTION)))
        ).rowcount
        for name, table in TABLES.items()
    }


def _oldest(table: Table, before: datetime, most: int) -> Select[tuple[str]]:
    """Identifiers are in the order of time."""
    old = select(table.c.id).where(table.c.id < earliest_id(before))
    return old.order_by(table.c.id).limit(number(most))
