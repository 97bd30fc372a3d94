"""Organisations are a tree, people and identities belong to them, and operators and auditors have
roles. Identities of before have all rights, until a role is withdrawn from them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

ROOT = "default"  # the organisation above all others


def upgrade() -> None:
    """Add columns, and tables of places in the tree and of assignments."""
    for table in ("user", "identity"):
        belongs = sa.Column("organisation_id", sa.String(), nullable=False, server_default=ROOT)
        op.add_column(table, belongs)
    assigned: sa.Column[bool] = sa.Column(
        "assigned", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("identity", assigned)
    op.create_index("ix_user_organisation_id", "user", ["organisation_id"])
    organisation = sa.ForeignKey("organisation.id")
    op.create_table(
        "branch",
        sa.Column("organisation_id", sa.String(), organisation, primary_key=True),
        sa.Column("parent_id", sa.String(), sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("from_time", sa.BigInteger(), nullable=False),
        sa.Column("until_time", sa.BigInteger()),
        sa.Column("granted_by", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_assignment_identity_id", "assignment", ["identity_id"])
