"""What staff and holders say of the service is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add two tables."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("operator_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("feedback_by_operator", "feedback", ["operator_id", "create_time"])
    op.create_table(
        "survey_answer",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("card_id", sa.String(), sa.ForeignKey("card.id"), nullable=False),
        sa.Column("score", sa.Integer()),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("survey_answer_by_user", "survey_answer", ["user_id", "create_time"])
