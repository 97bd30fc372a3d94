"""External authorities are asked by EST."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    """Add a table of the servers, and what came of asking them."""
    op.create_table(
        "est_server",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column(
            "authority_id",
            sa.String(),
            sa.ForeignKey("external_authority.id"),
            nullable=False,
            unique=True,
        ),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("anchors", sa.LargeBinary(), nullable=False),
        sa.Column("user", sa.String(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("any_subject", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    number = sa.Column("tries", sa.Integer(), nullable=False, server_default=sa.text("0"))
    op.add_column("card_csr", number)
    op.add_column("card_csr", sa.Column("next_time", sa.BigInteger()))
    for name in ("why", "fix"):
        column = sa.Column(name, sa.String(), nullable=False, server_default="")
        op.add_column("card_csr", column)
