"""What card profiles ask for: users' accounts, keys in place of others, objects written later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate

revision = "0002"
down_revision = "0001"

KEPT = "id, card_id, key_ref, algorithm, certificate, sealed_private, create_time, destroy_time"


def upgrade() -> None:
    """Add the columns; a card's key reference is unique among the keys that are on the card."""
    for name in ("upn", "sid"):
        op.add_column("user", sa.Column(name, sa.String(), nullable=False, server_default=""))
    op.add_column(
        "card_object",
        sa.Column("written", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    if op.get_bind().dialect.name == "sqlite":
        _rebuild_key()
    else:
        _alter_key()
    op.create_index(
        "key_on_card",
        "key",
        ["card_id", "key_ref"],
        unique=True,
        sqlite_where=sa.text("remove_time IS NULL"),
        postgresql_where=sa.text("remove_time IS NULL"),
    )


NEW_COLUMNS = (
    ("public_key", sa.LargeBinary, False),
    ("pin_policy", sa.Integer, False),
    ("touch_policy", sa.Integer, False),
    ("imported", sa.Boolean, False),
    ("remove_time", sa.BigInteger, True),
)


def _alter_key() -> None:
    """PostgreSQL came later than this version: no key is there yet."""
    op.drop_constraint("key_card_id_key_ref_key", "key")
    for name, kind, nullable in NEW_COLUMNS:
        op.add_column("key", sa.Column(name, kind(), nullable=nullable))


def _rebuild_key() -> None:
    """SQLite drops no constraint, so the table is made anew."""
    op.create_table(
        "new_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("card_id", sa.String(), nullable=False),
        sa.Column("key_ref", sa.Integer(), nullable=False),
        sa.Column("algorithm", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=True),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("destroy_time", sa.BigInteger(), nullable=True),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("pin_policy", sa.Integer(), nullable=False),
        sa.Column("touch_policy", sa.Integer(), nullable=False),
        sa.Column("imported", sa.Boolean(), nullable=False),
        sa.Column("remove_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute(
        f"INSERT INTO new_key ({KEPT}, public_key, pin_policy, touch_policy, imported) "  # noqa: S608
        f"SELECT {KEPT}, X'', 0, 0, 0 FROM key"
    )
    op.drop_table("key")
    op.rename_table("new_key", "key")
    connection = op.get_bind()
    for row in connection.execute(sa.text("SELECT id, certificate FROM key")).all():
        connection.execute(
            sa.text("UPDATE key SET public_key = :public_key WHERE id = :id"),
            {"public_key": _public_key(row.certificate), "id": row.id},
        )


def _public_key(certificate: bytes) -> bytes:
    return (
        load_der_x509_certificate(certificate)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
