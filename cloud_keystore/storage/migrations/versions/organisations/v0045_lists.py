"""External authorities revoke certificates of cards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    """Add tables of their lists, and of what cards have felt of them."""
    authority = "external_authority.id"
    op.create_table(
        "external_list",
        sa.Column("authority_id", sa.String(), sa.ForeignKey(authority), primary_key=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("stops", sa.Boolean(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("this_time", sa.BigInteger()),
        sa.Column("next_time", sa.BigInteger()),
        sa.Column("listed", sa.Integer(), nullable=False),
        sa.Column("applied", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("fetch_time", sa.BigInteger()),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("fix", sa.String(), nullable=False),
        sa.Column("warn_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    of_list = sa.ForeignKey("external_list.authority_id")
    op.create_table(
        "external_list_document",
        sa.Column("authority_id", sa.String(), of_list, primary_key=True),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "felt_revocation",
        sa.Column("key_id", sa.String(), sa.ForeignKey("key.id"), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("authority_id", sa.String(), sa.ForeignKey(authority), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("revoke_time", sa.BigInteger(), nullable=False),
        sa.Column("invalid_time", sa.BigInteger()),
        sa.Column("on_list", sa.Boolean(), nullable=False),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    for name in ("card_id", "authority_id"):
        op.create_index(f"ix_felt_revocation_{name}", "felt_revocation", [name])
    waiting = sa.text("waits")
    op.create_index(
        "felt_waiting",
        "felt_revocation",
        ["card_id"],
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
