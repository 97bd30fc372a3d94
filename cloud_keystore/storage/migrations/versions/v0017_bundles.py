"""Tables for entries of the journal that have filled a bundle. The service moves those of before,
some each second. Rows of the journal wait for a moment, so that they need no indexes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

INDEXES = ("by_time", "by_card", "by_user", "by_workstation", "by_operation", "to_take_in")


def upgrade() -> None:
    """Add the tables, and drop the indexes."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "bundle",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("from_time", sa.BigInteger, nullable=False),
        sa.Column("until_time", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.LargeBinary, nullable=False),
        sa.Column("mac", sa.LargeBinary),
    )
    op.create_index("bundle_by_time", "bundle", ["until_time", "from_time", "number"])
    op.create_index("bundle_by_id", "bundle", ["last_id"])
    op.create_table(
        "bundle_index",
        sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("marks", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    for name in INDEXES:
        op.drop_index(f"journal_{name}", "journal")
