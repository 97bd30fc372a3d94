"""People belong to several organisations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"


def upgrade() -> None:
    """Add a table of the organisations to which people belong besides their own."""
    op.create_table(
        "membership",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("membership_of_user", "membership", ["user_id", "organisation_id"], unique=True)
    op.create_index("membership_by_organisation", "membership", ["organisation_id"])
