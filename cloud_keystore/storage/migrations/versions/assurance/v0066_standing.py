"""The index of roles has no phones and no seats, which are found by their holders; that of seats
that run out has none that have ended.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0066"
down_revision = "0065"

BEFORE = (("identity_by_role", "identity"), ("seat_to_end", "seat"))
OF_SOME = (
    ("identity_standing", "identity", ["role", "id"], "role NOT IN (2, 8)"),
    ("seat_to_end", "seat", ["expire_time"], "coalesce(why, '') = ''"),
)


def upgrade() -> None:
    """Exchange the indexes."""
    for name, table in BEFORE:
        op.drop_index(name, table)
    for name, table, columns, condition in OF_SOME:
        where = sa.text(condition)
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
