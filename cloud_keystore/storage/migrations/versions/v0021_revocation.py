"""Tables of the certificates of cards, and of the lists of those that are revoked. The service
adds the rows of before when it starts, because they have codes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Add the tables."""
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
