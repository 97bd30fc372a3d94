"""Cards are ordered before their keys are made, and so are keys in a PKCS#11 token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add two tables."""
    op.create_table(
        "card_order",
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), primary_key=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("lease_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    under_way = sa.text("lease_time IS NOT NULL")
    op.create_index(
        "card_order_under_way",
        "card_order",
        ["lease_time"],
        sqlite_where=under_way,
        postgresql_where=under_way,
    )
    op.create_table(
        "planned_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_planned_key_card_id", "planned_key", ["card_id"])
    op.create_index("ix_planned_key_end_time", "planned_key", ["end_time"])
