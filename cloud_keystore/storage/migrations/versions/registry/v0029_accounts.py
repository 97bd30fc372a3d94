"""People have Windows accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "windows_account",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("sam", sa.String(), nullable=False),
        sa.Column("upn", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("name_key", sa.String(), nullable=False),
        sa.Column("upn_key", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("account_by_user", "windows_account", ["user_id"])
    op.create_index("account_by_upn", "windows_account", ["upn_key"])
    kept = sa.text("state <> 'disabled'")
    op.create_index(
        "account_by_name",
        "windows_account",
        ["name_key"],
        unique=True,
        sqlite_where=kept,
        postgresql_where=kept,
    )
