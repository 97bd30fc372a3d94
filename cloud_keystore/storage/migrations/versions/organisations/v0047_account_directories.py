"""Organisations name the directories in which Windows accounts are looked up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "account_directory",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column(
            "organisation_id",
            sa.String(),
            sa.ForeignKey("organisation.id"),
            nullable=False,
            unique=True,
        ),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("bind_dn", sa.String(), nullable=False),
        sa.Column("base_dn", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("narrowing", sa.String(), nullable=False),
        sa.Column("anchors", sa.LargeBinary(), nullable=False),
        sa.Column("sam", sa.String(), nullable=False),
        sa.Column("upn", sa.String(), nullable=False),
        sa.Column("mail", sa.String(), nullable=False),
        sa.Column("plain", sa.Boolean(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
