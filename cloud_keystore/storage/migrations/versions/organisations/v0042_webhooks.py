"""API clients are told of things at webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"

OPEN = sa.text("coalesce(end_time, 0) = 0")
FAILED = sa.text("state = 'failed'")


def upgrade() -> None:
    """Add tables of webhooks, and of what they are told."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("client_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("kinds", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=False),
        sa.Column("failing_since", sa.BigInteger()),
        sa.Column("old_until", sa.BigInteger()),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("sealed_secret", sa.LargeBinary()),
        sa.Column("sealed_old", sa.LargeBinary()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    for name, table, columns, where in (
        ("webhook_open", "webhook", ["client_id"], OPEN),
        ("webhook_delivery_due", "webhook_delivery", ["webhook_id", "next_time"], OPEN),
        ("webhook_delivery_failed", "webhook_delivery", ["webhook_id"], FAILED),
    ):
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
