"""Holders sign in to shared devices, which then approve for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud_keystore.storage.databases.instants import Instant

revision = "0062"
down_revision = "0061"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "seat",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("csr", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("create_time", Instant(), nullable=False),
        sa.Column("expire_time", Instant(), nullable=False),
        sa.Column("code_time", Instant(), nullable=False),
        sa.Column("end_time", Instant()),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id")),
        sa.Column("payload", sa.LargeBinary()),
        sa.Column("claimed_by", sa.String(), sa.ForeignKey("identity.id")),
        sa.Column("decision", sa.Integer()),
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id")),
        sa.Column("certificate", sa.LargeBinary()),
        sa.Column("why", sa.String()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("seat_at", "seat", ["device_id", "why"])
    op.create_index("seat_of_user", "seat", ["user_id", "why"])
    op.create_index("seat_of_identity", "seat", ["identity_id"])
    op.create_index("seat_to_end", "seat", ["why", "expire_time"])
