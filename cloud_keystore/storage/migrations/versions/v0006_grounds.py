"""A proof names the passcode that was given: it ends with it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column. The proofs of before are dropped, because they do not say which passcode was
    given.
    """
    op.add_column(
        "passcode_proof",
        sa.Column("key_ref", sa.Integer(), nullable=False, server_default=sa.text("128")),
    )
    op.execute("DELETE FROM passcode_proof")
