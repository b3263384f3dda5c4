"""Entries, trees, properties, versions, locks, users, tokens, shares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tahoeish.namespace.column_types import ROW_ID, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("parent", ROW_ID),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("folder", sa.Boolean(), nullable=False),
        sa.Column("cap", TEXT),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("content_type", TEXT),
        sa.Column("checksums", TEXT),
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
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("root", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_trees"),
        sa.ForeignKeyConstraint(["root"], ["entries.id"], name="fk_trees_root"),
        sa.UniqueConstraint("root", name="uq_trees_root"),
    )
    op.create_table(
        "properties",
        sa.Column("entry", ROW_ID, nullable=False),
        sa.Column("namespace", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entry", "namespace", "name", name="pk_properties"),
        sa.ForeignKeyConstraint(["entry"], ["entries.id"], name="fk_properties_entry", ondelete="CASCADE"),
    )
    op.create_table(
        "versions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("folder", ROW_ID),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("entry", ROW_ID, nullable=False),
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
        sa.Column("token", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("holder", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("depth", TEXT, nullable=False),
        sa.Column("owner_xml", TEXT),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_locks"),
    )
    op.create_index("ix_locks_owner_path", "locks", ["owner", "path"])
    op.create_index("ix_locks_holder", "locks", ["holder"])
    op.create_index("ix_locks_expires", "locks", ["expires"])
    op.create_table(
        "users",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("password_hash", TEXT),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("quota", sa.BigInteger()),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_users"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("label", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double()),
        sa.Column("last_used", sa.Double()),
        sa.Column("read_only", sa.Boolean(), nullable=False),
        sa.Column("below_path", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_tokens_user", ondelete="CASCADE"),
    )
    op.create_index("ix_tokens_user", "tokens", ["user"])
    op.create_table(
        "shares",
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("with_user", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("folder", ROW_ID, nullable=False),
        sa.Column("writable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "with_user", "name", name="pk_shares"),
        sa.ForeignKeyConstraint(["owner"], ["users.name"], name="fk_shares_owner", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["with_user"], ["users.name"], name="fk_shares_with_user", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["folder"], ["entries.id"], name="fk_shares_folder", ondelete="CASCADE"),
    )
    op.create_index("ix_shares_with_user", "shares", ["with_user"])
    op.create_index("ix_shares_folder", "shares", ["folder"])
