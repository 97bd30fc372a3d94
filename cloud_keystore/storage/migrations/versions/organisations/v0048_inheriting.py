"""Of policies it is kept which terms are set in them. Those of before set all, and organisations
below do not inherit them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    """Add a column."""
    op.add_column("policy", sa.Column("terms", sa.String(), nullable=False, server_default="*"))
