"""Operations of high risk wait for another operator, who approves them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    """Add a table of requests, and one of the operations for which they are needed."""
    op.create_table(
        "four_eyes",
        sa.Column("organisation_id", sa.String(), primary_key=True),
        sa.Column("operations", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "request",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("right", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("terms", sa.String(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String()),
        sa.Column("decide_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_request_expire_time", "request", ["expire_time"])
