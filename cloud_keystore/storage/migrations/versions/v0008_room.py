"""Room for the result of a use, taken from the disk before the key is used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column."""
    op.add_column("operation", sa.Column("room", sa.LargeBinary()))
