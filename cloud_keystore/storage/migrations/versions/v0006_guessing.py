"""Failures are counted for good, and guesses for each workstation; a proof names its passcode; two
agree to an unlock.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the tables and columns. The proofs of before are dropped, because they do not say which
    passcode was given.
    """
    op.add_column(
        "passcode_proof",
        sa.Column("key_ref", sa.Integer(), nullable=False, server_default=sa.text("128")),
    )
    op.execute("DELETE FROM passcode_proof")
    for name in ("failures", "unlocks"):
        op.add_column(
            "passcode", sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
        )
    op.add_column("passcode", sa.Column("fail_time", sa.BigInteger()))
    op.add_column("alert", sa.Column("workstation_id", sa.String()))
    op.create_table(
        "guess",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("workstation_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
    )
    op.create_index("guess_by_workstation", "guess", ["workstation_id", "create_time"])
    op.create_table(
        "unlock",
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), primary_key=True),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
    )
