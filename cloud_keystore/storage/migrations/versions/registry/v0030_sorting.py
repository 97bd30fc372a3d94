"""People are sorted by name, in a form that the keystore makes when it opens the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add a column and its index."""
    op.add_column("user", sa.Column("name_key", sa.String()))
    op.create_index("user_by_name_key", "user", ["name_key", "id"])
