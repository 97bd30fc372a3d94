"""Directories say phone numbers, too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    """Add three columns."""
    said = sa.Column("said_phone", sa.String(), nullable=False, server_default="")
    for column in (said, sa.Column("got_phone", sa.String()), sa.Column("kept_phone", sa.String())):
        op.add_column("directory_entry", column)
