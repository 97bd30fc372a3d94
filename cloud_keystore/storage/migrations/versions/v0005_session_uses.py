"""Uses of sessions get a table of their own: they ask nobody, and come by the thousand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TO_SWEEP = sa.text("end_time IS NULL OR sealed_result IS NOT NULL")
COLUMNS = "id, session_id, request_id, input_sha256, create_time, end_time, sealed_result"


def upgrade() -> None:
    """Make the table, and move what is in that of operations."""
    op.create_table(
        "session_use",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("session_id", sa.String(), sa.ForeignKey("session.id"), nullable=False),
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("input_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("sealed_result", sa.LargeBinary()),
        sa.UniqueConstraint("session_id", "request_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "session_use_to_sweep",
        "session_use",
        ["create_time"],
        sqlite_where=TO_SWEEP,
        postgresql_where=TO_SWEEP,
    )
    op.execute(
        f"INSERT INTO session_use ({COLUMNS}) "  # noqa: S608 (our own words)
        f"SELECT {COLUMNS} FROM operation WHERE session_id IS NOT NULL"
    )
    op.execute("DELETE FROM operation WHERE session_id IS NOT NULL")
    op.drop_column("operation", "session_id")
    op.drop_column("operation", "input_sha256")
