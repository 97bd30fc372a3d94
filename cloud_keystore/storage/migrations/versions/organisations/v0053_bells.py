"""Devices are rung while their page is closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"

OPEN = sa.text("coalesce(end_time, 0) = 0")


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "bell",
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("rung_time", sa.BigInteger(), nullable=False),
        sa.Column("asked_time", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("bell_open", "bell", ["user_id"], sqlite_where=OPEN, postgresql_where=OPEN)
