"""Clients say what they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    """Add a table of what each said last."""
    op.create_table(
        "client_software",
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("platform_version", sa.String(), nullable=False),
        sa.Column("capabilities", sa.String(), nullable=False),
        sa.Column("seen_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
