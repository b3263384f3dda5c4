"""Addresses to which files can be brought, and what web hooks are still to be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tahoeish.namespace.column_types import ROW_ID, TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "upload_links",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("folder", TEXT, nullable=False),
        sa.Column("label", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double()),
        sa.Column("max_size", sa.BigInteger()),
        sa.Column("max_files", sa.BigInteger()),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("content_types", TEXT, nullable=False),
        sa.Column("hook_url", TEXT),
        sa.Column("hook_secret", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_upload_links"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_upload_links_user", ondelete="CASCADE"),
        sa.UniqueConstraint("secret_hash", name="uq_upload_links_secret_hash"),
    )
    op.create_index("ix_upload_links_user", "upload_links", ["user"])
    op.create_table(
        "hook_calls",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("link", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hook_calls"),
        sa.ForeignKeyConstraint(["link"], ["upload_links.id"], name="fk_hook_calls_link", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hook_calls_link", "hook_calls", ["link"])
    op.create_index("ix_hook_calls_due", "hook_calls", ["due"])
