"""Sign-ins: which card a holder has put into which workstation's reader."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "sign_in",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("request_id", sa.LargeBinary(), nullable=False),
        sa.Column("workstation_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id")),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id")),
        sa.Column("channel", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary()),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False),
        sa.Column("qr_expire_time", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.String(), sa.ForeignKey("identity.id")),
        sa.Column("device_id", sa.String(), sa.ForeignKey("identity.id")),
        sa.Column("decision", sa.Integer()),
        sa.Column("decision_number", sa.String()),
        sa.Column("approve_time", sa.BigInteger()),
        sa.Column("why", sa.String()),
        sa.Column("mac", sa.LargeBinary()),
        sa.UniqueConstraint("workstation_id", "request_id"),
    )
    op.create_index("sign_in_by_workstation", "sign_in", ["workstation_id", "create_time"])
    op.create_index("sign_in_by_user", "sign_in", ["user_id", "state"])
    op.create_index("sign_in_by_card", "sign_in", ["card_id", "state"])
    op.create_index("sign_in_by_expiry", "sign_in", ["state", "expire_time"])
