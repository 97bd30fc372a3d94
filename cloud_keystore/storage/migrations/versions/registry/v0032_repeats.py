"""API clients can repeat requests, and get the answers of the first time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "repeatable",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("client_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("key_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("request_mac", sa.LargeBinary(), nullable=False),
        sa.Column("begin_time", sa.BigInteger(), nullable=False),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("repeatable_by_key", "repeatable", ["client_id", "key_sha256"], unique=True)
    op.create_index("repeatable_by_client", "repeatable", ["client_id", "id"])
