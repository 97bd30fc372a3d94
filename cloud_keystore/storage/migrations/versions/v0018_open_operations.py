"""Indexes of operations that have not ended, which those that end leave: moving them within four
indexes made a commit write nine pages more.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"

BEFORE = ("operation_by_key", "operation_open_of", "operation_open_at", "operation_open_for")
OPEN = (
    ("operation_open_at", "workstation_id", "coalesce(end_time, 1) = 1"),
    ("operation_open_for", "user_id", "coalesce(end_time, 2) = 2"),
)


def upgrade() -> None:
    """Exchange the indexes."""
    for name in BEFORE:
        op.drop_index(name, "operation")
    for name, column, condition in OPEN:
        where = sa.text(condition)
        op.create_index(name, "operation", [column], sqlite_where=where, postgresql_where=where)
