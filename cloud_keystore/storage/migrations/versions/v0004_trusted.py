"""What makes the service one to trust: policies, sessions, devices' keys, alerts, the journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ADDED = {
    "card": (sa.Column("organisation_id", sa.String(), nullable=False, server_default="default"),),
    "key": (
        sa.Column("backend", sa.String(), nullable=False, server_default="software"),
        sa.Column("handle", sa.LargeBinary()),
    ),
    "operation": (
        sa.Column("kind", sa.Integer(), nullable=False, server_default=sa.text("1")),
        sa.Column("policy", sa.String(), nullable=False, server_default=""),
        sa.Column("session_id", sa.String()),
        sa.Column("input_sha256", sa.LargeBinary()),
        sa.Column("authenticator_data", sa.LargeBinary()),
        sa.Column("client_data", sa.LargeBinary()),
        sa.Column("trace_id", sa.String(), nullable=False, server_default=""),
    ),
}


def upgrade() -> None:
    """Add the columns, then the tables."""
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column)
    _people()
    _sessions()
    _journal()
    _sealing()
    op.execute("INSERT INTO organisation (id, name, create_time) VALUES ('default', 'Default', 0)")


def _people() -> None:
    op.create_table(
        "organisation",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "policy",
        sa.Column("organisation_id", sa.String(), primary_key=True),
        sa.Column("profile", sa.String(), primary_key=True),
        sa.Column("version", sa.Integer(), primary_key=True),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("operator_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "approval_key",
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), unique=True),
        sa.Column("sign_count", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("backup_eligible", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("backed_up", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("transports", sa.String(), nullable=False, server_default=""),
        sa.Column("rp_id", sa.String(), nullable=False, server_default=""),
        sa.Column("origin", sa.String(), nullable=False, server_default=""),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id")),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id")),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("acknowledge_time", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.String(), sa.ForeignKey("identity.id")),
    )


def _sessions() -> None:
    op.create_table(
        "session",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("key_id", sa.String(), sa.ForeignKey("key.id"), nullable=False),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("workstation_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("key_use", sa.Integer(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
    )
    op.create_index("session_by_card", "session", ["card_id", "end_time"])
    op.create_index("session_by_user", "session", ["user_id", "end_time"])
    op.create_index("session_by_expiry", "session", ["end_time", "expire_time"])


def _journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("leaf_index", sa.BigInteger(), unique=True),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("card_id", sa.String()),
        sa.Column("user_id", sa.String()),
        sa.Column("workstation_id", sa.String()),
        sa.Column("operation_id", sa.String()),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
    )
    op.create_index("journal_by_time", "journal", ["time", "id"])
    for what in ("card", "user", "workstation"):
        op.create_index(f"journal_by_{what}", "journal", [f"{what}_id", "time", "id"])
    op.create_index("journal_by_operation", "journal", ["operation_id"])
    op.create_index(
        "journal_to_take_in",
        "journal",
        ["id"],
        sqlite_where=sa.text("leaf_index IS NULL"),
        postgresql_where=sa.text("leaf_index IS NULL"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("size", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("frontier", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
    )


def _sealing() -> None:
    op.create_table(
        "sealing_key",
        sa.Column("id", sa.LargeBinary(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("check", sa.LargeBinary(), nullable=False),
        sa.Column("parameters", sa.String(), nullable=False, server_default=""),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("retire_time", sa.BigInteger()),
    )
    op.create_table(
        "secret",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
