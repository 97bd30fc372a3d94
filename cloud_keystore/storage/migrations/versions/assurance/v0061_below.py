"""External authorities are known that issue below a trusted one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0061"
down_revision = "0060"


def upgrade() -> None:
    """Add the column; of those before, none is below another."""
    column = sa.Column("above_id", sa.String(), nullable=False, server_default="")
    op.add_column("external_authority", column)
