"""A session broker is asked whose tickets are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"


def upgrade() -> None:
    """Add tables of tickets, of how often cards were logged in with, and of registered names."""
    op.create_table(
        "spine_check",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False, unique=True),
        sa.Column("workstation_id", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "spine_login",
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_time", sa.BigInteger(), nullable=False),
        sa.Column("ticket_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "spine_name",
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
