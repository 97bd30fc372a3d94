"""Phone numbers are verified by codes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    """Add a column and a table."""
    op.add_column("user", sa.Column("phone_verify_time", sa.BigInteger()))
    op.create_table(
        "phone_code",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("phone", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("phone_code_by_user", "phone_code", ["user_id", "create_time"])
    op.create_index("phone_code_by_phone", "phone_code", ["phone", "create_time"])
