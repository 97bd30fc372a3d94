"""What people prove to the portal is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    """Add a column and four tables."""
    op.add_column("user", sa.Column("email_verify_time", sa.BigInteger()))
    op.create_table(
        "mailed_code",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id")),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("mailed_code_by_who", "mailed_code", ["who", "create_time"])
    op.create_table(
        "portal_password",
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), primary_key=True),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("set_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "portal_guess",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("fail_time", sa.BigInteger()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("portal_guess_by_who", "portal_guess", ["who", "what"], unique=True)
    op.create_table(
        "security_question",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_security_question_user_id", "security_question", ["user_id"])
