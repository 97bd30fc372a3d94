"""People are told by e-mail of what concerns them: an outbox, from which it is sent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add the outbox."""
    op.create_table(
        "notification",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("once", sa.String(), nullable=False),
        sa.Column("template", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id")),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("facts", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("is_fixed", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("notification_once", "notification", ["once"], unique=True)
    op.create_index("notification_by_user", "notification", ["user_id"])
    for name, column, where in (
        ("notification_due", "next_time", "coalesce(end_time, 0) = 0"),
        ("notification_failed", "user_id", "state = 'failed'"),
    ):
        condition = sa.text(where)
        op.create_index(
            name, "notification", [column], sqlite_where=condition, postgresql_where=condition
        )
