"""People have a phone and a card profile, and their addresses and accounts a form
in which they are compared, which the keystore makes when it opens the database: a step has no key
for codes. E-mail addresses can be restricted to some domains.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add columns, indexes in place of those by lower case of ASCII alone, and a table."""
    for name in ("phone", "profile"):
        column = sa.Column(name, sa.String(), nullable=False, server_default="")
        op.add_column("user", column)
    for former in ("user_by_email", "user_by_upn"):
        op.drop_index(former, "user")
    for name in ("email_key", "upn_key"):
        op.add_column("user", sa.Column(name, sa.String()))
        op.create_index(f"user_by_{name}", "user", [name])
    op.create_table(
        "email_domain",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
