"""Holders log in to the portal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    """Add a table of what holders do at the portal, from log-in to log-out."""
    op.create_table(
        "portal_visit",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary()),
        sa.Column("begin_time", sa.BigInteger()),
        sa.Column("seen_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("portal_visit_by_code", "portal_visit", ["code_sha256"], unique=True)
    op.create_index("portal_visit_by_secret", "portal_visit", ["secret_sha256"], unique=True)
    op.create_index("portal_visit_of_user", "portal_visit", ["user_id", "create_time"])
