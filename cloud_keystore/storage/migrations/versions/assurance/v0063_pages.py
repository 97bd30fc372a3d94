"""Indexes that have all that lists of people ask, so that no row is read that is not shown."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"

BEFORE = (
    ("ix_user_organisation_id", "user"),
    ("ix_identity_user_id", "identity"),
    ("ix_card_user_id", "card"),
)
OF_ALL = (
    ("user_by_organisation", "user", ["organisation_id", "id"]),
    ("user_by_profile", "user", ["profile", "id"]),
    ("identity_by_user", "identity", ["user_id", "role", "state", "expire_time"]),
    ("identity_by_role", "identity", ["role", "id"]),
    ("card_by_user", "card", ["user_id", "state", "serial"]),
    ("card_by_organisation", "card", ["organisation_id", "profile", "state"]),
)
OF_SOME = (
    ("user_closed", ["name_key", "id"], "state = 'closed'"),
    ("user_called", ["search", "id"], "length(search) <= 512"),
    ("user_called_long", ["id"], "length(search) > 512"),
)


def upgrade() -> None:
    """Exchange the indexes."""
    for name, table in BEFORE:
        op.drop_index(name, table)
    for name, table, columns in OF_ALL:
        op.create_index(name, table, columns)
    for name, columns, condition in OF_SOME:
        where = sa.text(condition)
        op.create_index(name, "user", columns, sqlite_where=where, postgresql_where=where)
