"""What administrators of cards ask for: management keys, tries of a card's own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables and columns."""
    op.add_column(
        "passcode",
        sa.Column("most_tries", sa.Integer(), nullable=False, server_default=sa.text("3")),
    )
    op.add_column(
        "passcode", sa.Column("factory", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_table(
        "management_key",
        sa.Column("card_id", sa.String(), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.PrimaryKeyConstraint("card_id"),
    )
    op.create_table(
        "management_challenge",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("card_id", sa.String(), nullable=False),
        sa.Column("workstation_id", sa.String(), nullable=False),
        sa.Column("response_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("spend_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.ForeignKeyConstraint(["workstation_id"], ["identity.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("challenge_by_card", "management_challenge", ["card_id", "spend_time"])
    op.create_table(
        "administrator_proof",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("card_id", sa.String(), nullable=False),
        sa.Column("workstation_id", sa.String(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.ForeignKeyConstraint(["workstation_id"], ["identity.id"]),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("ix_administrator_proof_card_id", "administrator_proof", ["card_id"])
