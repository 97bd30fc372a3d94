"""Groups of directories, the roles that they give, and which persons operators are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    """Add five tables."""
    op.create_table(
        "directory_group",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("client_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("display_name", sa.String(), nullable=False),
        sa.Column("display_name_key", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("change_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    columns = ["client_id", "display_name_key"]
    op.create_index("directory_group_by_name", "directory_group", columns, unique=True)
    columns = ["client_id", "external_id"]
    op.create_index("directory_group_by_external_id", "directory_group", columns)
    op.create_table(
        "group_member",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("member_id", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    columns = ["group_id", "member_id"]
    op.create_index("group_member_of_group", "group_member", columns, unique=True)
    op.create_index("group_member_by_member", "group_member", ["member_id"])
    op.create_table(
        "group_mapping",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("client_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False),
        sa.Column("named_by", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("until_time", sa.BigInteger()),
        sa.Column("mapped_by", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("group_mapping_of_client", "group_mapping", ["client_id", "name"])
    op.create_index("group_mapping_by_role", "group_mapping", ["role"])
    op.create_table(
        "operator_person",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column(
            "identity_id", sa.String(), sa.ForeignKey("identity.id"), nullable=False, unique=True
        ),
        sa.Column("user_id", sa.String(), sa.ForeignKey("user.id"), nullable=False),
        sa.Column("organisation_id", sa.String(), nullable=False),
        sa.Column("until_time", sa.BigInteger()),
        sa.Column("said_by", sa.String(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_operator_person_user_id", "operator_person", ["user_id"])
    op.create_table(
        "given_role",
        sa.Column("assignment_id", sa.String(), sa.ForeignKey("assignment.id"), primary_key=True),
        sa.Column("mapping_id", sa.String(), nullable=False),
        sa.Column("identity_id", sa.String(), nullable=False),
        sa.Column("mac", sa.LargeBinary()),
    )
    op.create_index("ix_given_role_mapping_id", "given_role", ["mapping_id"])
    op.create_index("ix_given_role_identity_id", "given_role", ["identity_id"])
