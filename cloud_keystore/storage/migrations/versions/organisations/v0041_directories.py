"""Directories say something of people, and operators decide what holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"

TEXTS = ("external_id", "given_name", "family_name", "said_name", "said_email", "said_organisation")
FIELDS = ("name", "email", "organisation")


def upgrade() -> None:
    """Add the table of what directories say."""
    op.create_table(
        "directory_entry",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("client_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("change_time", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in TEXTS),
        *(sa.Column(f"got_{name}", sa.String()) for name in FIELDS),
        *(sa.Column(f"kept_{name}", sa.String()) for name in FIELDS),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("leave_time", sa.BigInteger()),
        sa.Column("user_name_key", sa.String(), nullable=False),
        sa.Column("email_key", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    for name, columns in (
        ("directory_entry_by_user", ["user_id", "client_id"]),
        ("directory_entry_by_email", ["client_id", "email_key"]),
        ("directory_entry_by_user_name", ["client_id", "user_name_key"]),
        ("directory_entry_by_leaving", ["client_id", "leave_time"]),
        ("directory_entry_by_external_id", ["client_id", "external_id"]),
    ):
        op.create_index(name, "directory_entry", columns)
    is_there = sa.text("NOT deleted")
    op.create_index(
        "directory_entry_by_name",
        "directory_entry",
        ["client_id", "user_name_key"],
        unique=True,
        sqlite_where=is_there,
        postgresql_where=is_there,
    )
