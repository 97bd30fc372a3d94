"""Each unlock that an operator asks for has an identifier, to which a passkey answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0066"


def upgrade() -> None:
    """Add the column."""
    op.add_column("unlock", sa.Column("id", sa.String()))
