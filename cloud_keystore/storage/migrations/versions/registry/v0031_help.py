"""Organisations say whom their people ask for help."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "help_contact",
        sa.Column(
            "organisation_id", sa.String(), sa.ForeignKey("organisation.id"), primary_key=True
        ),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
