"""Identities have an end, and can be renewed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

LIFETIME = 730 * 24 * 60 * 60 * 1_000_000  # of each certificate of before, in microseconds


def upgrade() -> None:
    """Add the columns. An identity of before ends when its certificate does, which was made when
    its token was used.
    """
    for name in ("expire_time", "next_expire_time", "former_end_time", "warn_time"):
        op.add_column("identity", sa.Column(name, sa.BigInteger()))
    for name in ("next_certificate_sha256", "next_public_key", "former_certificate_sha256"):
        op.add_column("identity", sa.Column(name, sa.LargeBinary()))
    op.create_index(
        "identity_by_next_certificate", "identity", ["next_certificate_sha256"], unique=True
    )
    op.create_index("identity_by_former_certificate", "identity", ["former_certificate_sha256"])
    op.get_bind().execute(
        sa.text(
            "UPDATE identity SET expire_time = coalesce((SELECT max(use_time) FROM token "
            "WHERE token.identity_id = identity.id), create_time) + :lifetime "
            "WHERE certificate_sha256 IS NOT NULL"
        ),
        {"lifetime": LIFETIME},
    )
