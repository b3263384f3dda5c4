"""Keys that sign addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tahoeish.namespace.column_types import TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "url_keys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("below_path", TEXT),
        sa.Column("secret", TEXT, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_url_keys"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_url_keys_user", ondelete="CASCADE"),
    )
    op.create_index("ix_url_keys_user", "url_keys", ["user"])
