"""Organisations define card profiles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    """Add tables of the profiles, and of which cards are of them."""
    op.create_table(
        "custom_profile",
        sa.Column("id", sa.String(), primary_key=True),
        *(
            sa.Column(name, sa.String(), nullable=False)
            for name in (
                *("name", "organisation_id", "base", "series", "oldest_client", "serial_prefix"),
            )
        ),
        sa.Column("validity_days", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "custom_card",
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), primary_key=True),
        sa.Column("profile_id", sa.String(), sa.ForeignKey("custom_profile.id"), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_custom_card_profile_id", "custom_card", ["profile_id"])
