"""Phones that are pages can ask for a PIN."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "app_pin",
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("checked_for", sa.String()),
        sa.Column("checked_until", sa.BigInteger()),
        sa.Column("code_id", sa.String()),
        sa.Column("code_hash", sa.String()),
        sa.Column("code_tries", sa.Integer(), nullable=False),
        sa.Column("code_end", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
