"""Data objects that require the PIN are sealed. Those of before are when the keystore is opened,
because a migration has no sealing key.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("card_object", sa.Column("sealed_as", sa.String()))
    op.add_column("card_object", sa.Column("sealed_value", sa.LargeBinary()))
    op.create_index("card_object_by_sealed", "card_object", ["sealed_as"], unique=True)
