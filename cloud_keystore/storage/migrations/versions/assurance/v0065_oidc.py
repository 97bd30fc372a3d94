"""Operators log in by an OpenID provider, which knows them by subjects."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloud_keystore.storage.databases.instants import Instant

revision = "0065"
down_revision = "0064"


def upgrade() -> None:
    """Add the tables, and the columns of whom the provider knows an operator as."""
    for name in ("issuer", "subject"):
        op.add_column("operator_person", sa.Column(name, sa.String()))
    op.create_index("operator_person_subject", "operator_person", ["subject"])
    op.create_table(
        "oidc_provider",
        sa.Column("issuer", sa.String(), primary_key=True),
        sa.Column("authorization_endpoint", sa.String(), nullable=False),
        sa.Column("keys", sa.String(), nullable=False),
        sa.Column("names_itself", sa.Boolean(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_table(
        "oidc_return",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("create_time", Instant(), nullable=False),
        sa.Column("return_time", Instant(), nullable=False),
        sa.Column("drawn", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_time", Instant()),
        sa.Column("end_time", Instant()),
        sa.Column("subject", sa.String()),
        sa.Column("why", sa.String()),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("oidc_return_due", "oidc_return", ["end_time", "next_time"])
    op.create_index("oidc_return_old", "oidc_return", ["create_time"])
