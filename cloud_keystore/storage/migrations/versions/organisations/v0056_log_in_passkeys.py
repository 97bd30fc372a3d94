"""Operators log in by passkeys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    """Add a table of their passkeys."""
    op.create_table(
        "log_in_passkey",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("operator_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("challenge_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("use_time", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    for name, column in (("credential", "credential_id"), ("challenge", "challenge_sha256")):
        op.create_index(f"log_in_passkey_by_{name}", "log_in_passkey", [column], unique=True)
    op.create_index("log_in_passkey_of_operator", "log_in_passkey", ["operator_id", "create_time"])
