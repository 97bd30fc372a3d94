"""The model of a passkey's authenticator, where its maker attests it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "approval_key", sa.Column("attested_model", sa.String(), nullable=False, server_default="")
    )
