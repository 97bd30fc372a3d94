"""Holders begin at the pages by an invitation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    """Add a table of what holders do at the pages before they have a password."""
    op.create_table(
        "beginning",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("prove_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("beginning_by_secret", "beginning", ["secret_sha256"], unique=True)
    op.create_index("beginning_of_device", "beginning", ["device_id", "create_time"])
