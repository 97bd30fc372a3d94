"""Which process uses a key, so that its uses are ended when it has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the columns."""
    for table in ("operation", "session_use"):
        op.add_column(table, sa.Column("used_by", sa.Integer()))
