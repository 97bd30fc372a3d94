"""A use of a session writes two pages less. Its row is found by request and session, in this order:
those of our clients begin with the time, so that all are added at one place. An entry of the
journal that has just been added is in no index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

OPEN = sa.text("coalesce(end_time, 0) = 0")
HAS_RESULT = sa.text("sealed_result IS NOT NULL")
PLACED = sa.text("leaf_index IS NOT NULL")
TO_SWEEP = (("session_use_to_end", OPEN), ("session_use_result", HAS_RESULT))


def upgrade() -> None:
    """Exchange the indexes."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
    else:
        op.drop_constraint("session_use_session_id_request_id_key", "session_use")
        op.drop_constraint("session_use_session_id_fkey", "session_use")
        op.drop_constraint("journal_leaf_index_key", "journal")
    op.create_index(
        "session_use_by_request", "session_use", ["request_id", "session_id"], unique=True
    )
    op.create_index(
        "journal_by_place",
        "journal",
        ["leaf_index"],
        unique=True,
        sqlite_where=PLACED,
        postgresql_where=PLACED,
    )


def _make_anew() -> None:
    """Make both tables without their constraints, which SQLite cannot drop."""
    for name, _ in TO_SWEEP:
        op.drop_index(name, "session_use")
    for name in ("session_use", "journal"):
        op.rename_table(name, f"{name}_before")
    op.create_table(
        "session_use",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("request_id", sa.LargeBinary, nullable=False),
        sa.Column("input_sha256", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("end_time", sa.BigInteger),
        sa.Column("sealed_result", sa.LargeBinary),
        sa.Column("used_by", sa.Integer),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("leaf_index", sa.BigInteger),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("card_id", sa.String),
        sa.Column("user_id", sa.String),
        sa.Column("workstation_id", sa.String),
        sa.Column("operation_id", sa.String),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    for name, columns in (
        ("session_use", "id, session_id, request_id, input_sha256, create_time, end_time,"
                        " sealed_result, used_by"),
        ("journal", "id, leaf_index, time, kind, card_id, user_id, workstation_id, operation_id,"
                    " entry, mac"),
    ):  # fmt: skip
        moving = f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name}_before ORDER BY id"  # noqa: S608 (our own words)
        op.execute(moving)
        op.drop_table(f"{name}_before")
    for name, where in TO_SWEEP:
        op.create_index(name, "session_use", ["create_time"], sqlite_where=where)
