"""Short codes stand for enrolment tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "short_code",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_short_code_identity_id", "short_code", ["identity_id"])
    op.create_index("short_code_by_place", "short_code", ["place"])
    columns = ["organisation_id", "create_time"]
    op.create_index("short_code_by_organisation", "short_code", columns)
