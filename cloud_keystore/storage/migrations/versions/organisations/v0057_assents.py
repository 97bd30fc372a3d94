"""Holders' phones agree to what is done at the portal, and to its log-ins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"


def upgrade() -> None:
    """Add tables of what phones are asked, and of what log-ins need."""
    op.create_table(
        "assent",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id")),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("assent_of_user", "assent", ["user_id", "create_time"])
    op.create_table(
        "portal_factor",
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), primary_key=True),
        sa.Column("factor", sa.String(), nullable=False),
        sa.Column("set_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
