"""People have a 12-digit UUID and a state, and are found by any part of what they are called.
Certificates of cards are recorded, and lists of those that are revoked. The keystore gives people
of before their UUID, and records certificates of before, when it opens the database: a step has no
key for codes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Add columns, indexes of cards by their end and of tokens by what they are for, and tables."""
    op.add_column("user", sa.Column("uuid12", sa.String()))
    for name, default in (("state", "active"), ("reason", ""), ("search", "")):
        column = sa.Column(name, sa.String(), nullable=False, server_default=default)
        op.add_column("user", column)
    op.create_index("user_by_uuid12", "user", ["uuid12"], unique=True)
    op.create_index("card_by_end", "card", ["expire_time"])
    op.create_index("ix_token_identity_id", "token", ["identity_id"])
    _add_certificates()


def _add_certificates() -> None:
    op.create_table(
        "certificate",
        sa.Column("issuer", sa.LargeBinary(), primary_key=True),
        sa.Column("serial", sa.LargeBinary(), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("key_id", sa.String(), sa.ForeignKey("key.id"), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("revoke_time", sa.BigInteger()),
        sa.Column("invalid_time", sa.BigInteger()),
        sa.Column("list_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_certificate_card_id", "certificate", ["card_id"])
    listed = sa.text("list_time IS NOT NULL")
    op.create_index(
        "certificate_on_list",
        "certificate",
        ["issuer", "end_time"],
        sqlite_where=listed,
        postgresql_where=listed,
    )
    op.create_table(
        "revocation_list",
        sa.Column("issuer", sa.LargeBinary(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.Column("covered", sa.BigInteger(), nullable=False),
        sa.Column("listed", sa.BigInteger(), nullable=False),
        sa.Column("this_time", sa.BigInteger()),
        sa.Column("next_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "revocation_document",
        sa.Column(
            "issuer", sa.LargeBinary(), sa.ForeignKey("revocation_list.issuer"), primary_key=True
        ),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
