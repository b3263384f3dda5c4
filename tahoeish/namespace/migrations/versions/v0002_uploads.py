"""Uploads that go on over several requests, and the hashes of their segments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tahoeish.namespace.column_types import TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("key", TEXT),
        sa.Column("dialect", TEXT, nullable=False),
        sa.Column("target", TEXT, nullable=False),
        sa.Column("notes", TEXT, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("deadline", sa.Double()),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger()),
        sa.Column("phase", TEXT, nullable=False),
        sa.Column("shares", TEXT),
        sa.Column("segments", sa.BigInteger(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("encoder", sa.LargeBinary()),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("tail", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("owner", "key", name="uq_uploads_owner_key"),
    )
    op.create_index("ix_uploads_deadline", "uploads", ["deadline"])
    op.create_table(
        "upload_records",
        sa.Column("upload", TEXT, nullable=False),
        sa.Column("first_segment", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("upload", "first_segment", name="pk_upload_records"),
        sa.ForeignKeyConstraint(["upload"], ["uploads.id"], name="fk_upload_records_upload", ondelete="CASCADE"),
    )
