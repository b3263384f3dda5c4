"""Entries, trees, properties, versions, locks, users, tokens, shares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("id", _Id, nullable=False),
        sa.Column("parent", _Id),
        sa.Column("name", _Text, nullable=False),
        sa.Column("folder", sa.Boolean(), nullable=False),
        sa.Column("cap", _Text),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", _Text),
        sa.Column("checksums", _Text),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("modified", sa.Double(), nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.ForeignKeyConstraint(["parent"], ["entries.id"], name="fk_entries_parent"),
        sa.UniqueConstraint("parent", "name", name="uq_entries_parent_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trees",
        sa.Column("owner", _Text, nullable=False),
        sa.Column("root", _Id, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_trees"),
        sa.ForeignKeyConstraint(["root"], ["entries.id"], name="fk_trees_root"),
        sa.UniqueConstraint("root", name="uq_trees_root"),
    )
    op.create_table(
        "properties",
        sa.Column("entry", _Id, nullable=False),
        sa.Column("namespace", _Text, nullable=False),
        sa.Column("name", _Text, nullable=False),
        sa.Column("value", _Text, nullable=False),
        sa.PrimaryKeyConstraint("entry", "namespace", "name", name="pk_properties"),
        sa.ForeignKeyConstraint(["entry"], ["entries.id"], name="fk_properties_entry", ondelete="CASCADE"),
    )
    op.create_table(
        "versions",
        sa.Column("id", _Id, nullable=False),
        sa.Column("folder", _Id),
        sa.Column("name", _Text, nullable=False),
        sa.Column("entry", _Id, nullable=False),
        sa.Column("replaced", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.ForeignKeyConstraint(["folder"], ["entries.id"], name="fk_versions_folder", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["entry"], ["entries.id"], name="fk_versions_entry"),
        sa.UniqueConstraint("entry", name="uq_versions_entry"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_versions_folder_name", "versions", ["folder", "name"])
    op.create_index("ix_versions_replaced", "versions", ["replaced"])
    op.create_table(
        "locks",
        sa.Column("token", _Text, nullable=False),
        sa.Column("owner", _Text, nullable=False),
        sa.Column("path", _Text, nullable=False),
        sa.Column("holder", _Text, nullable=False),
        sa.Column("scope", _Text, nullable=False),
        sa.Column("depth", _Text, nullable=False),
        sa.Column("owner_xml", _Text),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_locks"),
    )
    op.create_index("ix_locks_owner_path", "locks", ["owner", "path"])
    op.create_index("ix_locks_holder", "locks", ["holder"])
    op.create_index("ix_locks_expires", "locks", ["expires"])
    op.create_table(
        "users",
        sa.Column("name", _Text, nullable=False),
        sa.Column("password_hash", _Text),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("quota", sa.BigInteger()),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _Text, nullable=False),
        sa.Column("user", _Text, nullable=False),
        sa.Column("label", _Text, nullable=False),
        sa.Column("secret_hash", _Text, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double()),
        sa.Column("last_used", sa.Double()),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("below_path", _Text),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_tokens_user", ondelete="CASCADE"),
    )
    op.create_index("ix_tokens_user", "tokens", ["user"])
    op.create_table(
        "shares",
        sa.Column("owner", _Text, nullable=False),
        sa.Column("with_user", _Text, nullable=False),
        sa.Column("name", _Text, nullable=False),
        sa.Column("folder", _Id, nullable=False),
        sa.Column("writable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "with_user", "name", name="pk_shares"),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], name="fk_shares_owner", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["with_user"], ["users.name"], name="fk_shares_with_user", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["folder"], ["entries.id"], name="fk_shares_folder", ondelete="CASCADE"),
    )
    op.create_index("ix_shares_with_user", "shares", ["with_user"])
    op.create_index("ix_shares_folder", "shares", ["folder"])
