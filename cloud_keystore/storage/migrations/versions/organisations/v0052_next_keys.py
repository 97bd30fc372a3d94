"""Cards are renewed at external authorities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"


def upgrade() -> None:
    """Say what each key is to its card that an external authority certifies."""
    standing = sa.Column("standing", sa.String(), nullable=False, server_default="present")
    op.add_column("card_csr", standing)
    waiting = sa.text("certificate IS NULL")
    op.create_index(
        "card_csr_waiting",
        "card_csr",
        ["next_time"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
