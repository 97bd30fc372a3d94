"""Authentication codes of rows. Rows of before have none until an operator has looked at them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

TABLES = (
    "administrator_proof", "approval_key", "authority", "card", "card_object", "identity",
    "journal", "key", "management_challenge", "management_key", "operation",  "passcode",
    "passcode_proof", "policy", "session", "token", "unlock", "user",
)  # fmt: skip


def upgrade() -> None:
    """Add the columns. A proof without its passcode's hash holds no longer."""
    op.add_column("passcode_proof", sa.Column("hash_sha256", sa.LargeBinary()))
    for table in TABLES:
        op.add_column(table, sa.Column("mac", sa.LargeBinary()))
