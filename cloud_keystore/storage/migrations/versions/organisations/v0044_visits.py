"""Operators log in to the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Add a table of what operators do at the pages, from log-in to log-out."""
    op.create_table(
        "visit",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("operator_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary()),
        sa.Column("begin_time", sa.BigInteger()),
        sa.Column("seen_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("visit_by_code", "visit", ["code_sha256"], unique=True)
    op.create_index("visit_by_secret", "visit", ["secret_sha256"], unique=True)
    op.create_index("visit_of_operator", "visit", ["operator_id", "create_time"])
