"""Keys that sign addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "url_keys",
        sa.Column("id", _Text, nullable=False),
        sa.Column("user", _Text, nullable=False),
        sa.Column("below_path", _Text),
        sa.Column("secret", _Text, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_url_keys"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name="fk_url_keys_user", ondelete="CASCADE"),
    )
    op.create_index("ix_url_keys_user", "url_keys", ["user"])
