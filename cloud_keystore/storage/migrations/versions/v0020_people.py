"""People have a 12-digit UUID and a state, and are found by any part of what they are called. The
keystore gives those of before their UUID when it opens the database: a step has no key for that.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add the columns, and indexes of cards by their end and of tokens by what they are for."""
    op.add_column("user", sa.Column("uuid12", sa.String()))
    for name, default in (("state", "active"), ("reason", ""), ("search", "")):
        column = sa.Column(name, sa.String(), nullable=False, server_default=default)
        op.add_column("user", column)
    op.create_index("user_by_uuid12", "user", ["uuid12"], unique=True)
    op.create_index("card_by_end", "card", ["expire_time"])
    op.create_index("ix_token_identity_id", "token", ["identity_id"])
