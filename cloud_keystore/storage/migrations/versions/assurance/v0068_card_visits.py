"""A visit that an operator has begun by a card says which card that was."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0068"
down_revision = "0067"


def upgrade() -> None:
    """Add the column."""
    op.add_column("visit", sa.Column("card_id", sa.String()))
