"""Authorities outside of the keystore certify cards."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    """Add tables of the authorities, of who uses them, and of what they are asked for."""
    op.create_table(
        "external_authority",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "issuer_choice",
        sa.Column("organisation_id", sa.String(), primary_key=True),
        sa.Column("profile", sa.String(), primary_key=True),
        sa.Column("authority_id", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "card_csr",
        sa.Column("key_id", sa.String(), sa.ForeignKey("key.id"), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("authority_id", sa.String(), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=False),
        sa.Column("public_sha256", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("named_sha256", sa.LargeBinary()),
        sa.Column("mac", sa.LargeBinary()),
    )
    for name in ("card_id", "authority_id"):
        op.create_index(f"ix_card_csr_{name}", "card_csr", [name])
    is_named = sa.text("named_sha256 IS NOT NULL")
    op.create_index(
        "card_csr_by_name",
        "card_csr",
        ["named_sha256"],
        unique=True,
        sqlite_where=is_named,
        postgresql_where=is_named,
    )
