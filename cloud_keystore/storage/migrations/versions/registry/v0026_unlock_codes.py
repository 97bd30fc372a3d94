"""Operators make codes with which holders choose another PIN. Whether one counts depends on who has
invited a device, and on which device a PIN was chosen; of what was before, neither is known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add two columns and a table."""
    invited_by = sa.Column("invited_by", sa.String(), nullable=False, server_default="")
    op.add_column("identity", invited_by)
    op.add_column("passcode", sa.Column("device_id", sa.String()))
    op.create_table(
        "unlock_code",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("unlock_code_by_card", "unlock_code", ["card_id", "create_time"])
    op.create_index("unlock_code_by_operator", "unlock_code", ["made_by", "create_time"])
