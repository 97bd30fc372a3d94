"""Which sealing keys each service that runs was given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "key_holder",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("key_ids", sa.LargeBinary(), nullable=False),
        sa.Column("seen_time", sa.BigInteger(), nullable=False),
    )
