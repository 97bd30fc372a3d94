"""Cards are replaced by others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add which card a card replaces."""
    op.add_column("card", sa.Column("replaces_id", sa.String()))
    replaces = sa.text("replaces_id IS NOT NULL")
    op.create_index(
        "card_in_place_of",
        "card",
        ["replaces_id"],
        sqlite_where=replaces,
        postgresql_where=replaces,
    )
