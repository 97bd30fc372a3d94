"""Indexes of operations that have not ended, which those that end leave: moving them within four
indexes made a commit write nine pages more. And indexes of alerts and of budgets that are full, of
which all were read.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

BEFORE = (
    ("operation_by_key", "operation"),
    ("operation_open_of", "operation"),
    ("operation_open_at", "operation"),
    ("operation_open_for", "operation"),
    ("budget_to_tell", "budget"),
)
OF_ALL = (
    ("alert_about", ["card_id", "workstation_id", "kind"]),
    ("alert_by_user", ["user_id"]),
)
OF_SOME = (  # with the condition in SQLite and in PostgreSQL
    ("operation_open_at", "operation", "workstation_id", *["coalesce(end_time, 1) = 1"] * 2),
    ("operation_open_for", "operation", "user_id", *["coalesce(end_time, 2) = 2"] * 2),
    ("budget_full", "budget", "identity_id", "is_full = 1", "is_full"),
)


def upgrade() -> None:
    """Exchange the indexes."""
    for name, table in BEFORE:
        op.drop_index(name, table)
    for name, columns in OF_ALL:
        op.create_index(name, "alert", columns)
    for name, table, column, sqlite, postgresql in OF_SOME:
        op.create_index(
            name,
            table,
            [column],
            sqlite_where=sa.text(sqlite),
            postgresql_where=sa.text(postgresql),
        )
