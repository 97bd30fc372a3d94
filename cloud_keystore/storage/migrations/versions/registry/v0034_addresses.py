"""Of e-mail addresses of users it is kept who has given them, and of invitations, which are mailed
there, too; of those of before it is not known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Add two columns."""
    for table, column in (("user", "email_by"), ("identity", "addressed_by")):
        op.add_column(table, sa.Column(column, sa.String(), nullable=False, server_default=""))
