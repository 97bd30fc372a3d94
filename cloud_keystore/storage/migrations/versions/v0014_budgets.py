"""What each identity has used up of its share of the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "budget",
        sa.Column("identity_id", sa.String(), primary_key=True),
        sa.Column("empty_time", sa.BigInteger(), nullable=False),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("is_told", sa.Boolean(), nullable=False),
    )
