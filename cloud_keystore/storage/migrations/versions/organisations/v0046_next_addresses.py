"""Another e-mail address of a person waits until it is verified."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    """Add three columns and an index."""
    for name in ("next_email", "next_email_by"):
        column = sa.Column(name, sa.String(), nullable=False, server_default="")
        op.add_column("user", column)
    op.add_column("user", sa.Column("next_email_until", sa.BigInteger()))
    op.create_index("mailed_code_by_address", "mailed_code", ["address", "create_time"])
