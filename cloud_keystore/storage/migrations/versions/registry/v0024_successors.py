"""Cards are replaced by others, and their keys can be made in advance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add which card a card replaces, and a table."""
    op.add_column("card", sa.Column("replaces_id", sa.String()))
    replaces = sa.text("replaces_id IS NOT NULL")
    op.create_index(
        "card_in_place_of",
        "card",
        ["replaces_id"],
        sqlite_where=replaces,
        postgresql_where=replaces,
    )
    op.create_table(
        "spare_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_spare_key_algorithm", "spare_key", ["algorithm"])
