"""Workstations say what is wrong with them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0058"
down_revision = "0057"


def upgrade() -> None:
    """Add a table of what each said last."""
    op.create_table(
        "workstation_report",
        sa.Column("identity_id", sa.String(), sa.ForeignKey("identity.id"), primary_key=True),
        sa.Column("problems", sa.String(), nullable=False),
        sa.Column("report_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
