"""Indexes by which what is done each second, or while writers wait, takes as long in a large
database as in a small one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

OPEN = "coalesce(end_time, 0) = 0"
UNENDED = "coalesce(why, '') = ''"
HAS_RESULT = "sealed_result IS NOT NULL"

BEFORE = (
    ("operation_by_card", "operation"),
    ("operation_by_user", "operation"),
    ("operation_by_expiry", "operation"),
    ("session_by_expiry", "session"),
    ("session_use_to_sweep", "session_use"),
    ("sign_in_by_user", "sign_in"),
    ("sign_in_by_card", "sign_in"),
    ("sign_in_by_expiry", "sign_in"),
)
OF_ALL = (
    ("operation_by_card", "operation", ["card_id", "workstation_id", "create_time"]),
    ("operation_by_key", "operation", ["key_id", "end_time"]),
    ("operation_open_of", "operation", ["card_id", "end_time"]),
    ("operation_open_at", "operation", ["workstation_id", "end_time"]),
    ("operation_open_for", "operation", ["user_id", "end_time"]),
    ("sign_in_open_at", "sign_in", ["workstation_id", "why"]),
    ("sign_in_open_for", "sign_in", ["user_id", "why"]),
    ("sign_in_open_of", "sign_in", ["card_id", "why"]),
    ("session_by_key", "session", ["key_id", "end_time"]),
    ("session_by_workstation", "session", ["workstation_id", "end_time"]),
    ("sign_in_by_user", "sign_in", ["user_id", "create_time"]),
    ("identity_by_end", "identity", ["expire_time", "warn_time"]),
    ("ix_guess_create_time", "guess", ["create_time"]),
    ("ix_passcode_proof_workstation_id", "passcode_proof", ["workstation_id"]),
    ("ix_passcode_proof_expire_time", "passcode_proof", ["expire_time"]),
    ("ix_management_challenge_workstation_id", "management_challenge", ["workstation_id"]),
    ("ix_management_challenge_expire_time", "management_challenge", ["expire_time"]),
    ("ix_administrator_proof_workstation_id", "administrator_proof", ["workstation_id"]),
    ("ix_administrator_proof_expire_time", "administrator_proof", ["expire_time"]),
)
OF_SOME = (
    ("operation_to_end", "operation", ["use_time", "expire_time"], OPEN),
    ("operation_result", "operation", ["end_time"], HAS_RESULT),
    ("session_to_end", "session", ["expire_time"], OPEN),
    ("session_use_to_end", "session_use", ["create_time"], OPEN),
    ("session_use_result", "session_use", ["create_time"], HAS_RESULT),
    ("sign_in_to_end", "sign_in", ["expire_time"], UNENDED),
    ("key_on_token", "key", ["id"], "destroy_time IS NOT NULL AND handle IS NOT NULL"),
)


def upgrade() -> None:
    """Exchange the indexes."""
    for name, table in BEFORE:
        op.drop_index(name, table)
    for name, table, columns in OF_ALL:
        op.create_index(name, table, columns)
    for name, table, columns, where in OF_SOME:
        _partial(name, table, columns, sa.text(where), sa.text(where))
    for column in ("upn", "email"):
        op.create_index(f"user_by_{column}", "user", [sa.text(f"lower({column})")])
    untold = sa.text("is_full = 1 AND is_told = 0"), sa.text("is_full AND NOT is_told")
    _partial("budget_to_tell", "budget", ["identity_id"], *untold)


def _partial(
    name: str, table: str, columns: list[str], sqlite: sa.TextClause, postgresql: sa.TextClause
) -> None:
    op.create_index(name, table, columns, sqlite_where=sqlite, postgresql_where=postgresql)
