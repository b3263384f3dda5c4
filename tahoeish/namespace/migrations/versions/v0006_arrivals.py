"""Which uploads have become files by a link."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tahoeish.namespace.column_types import TEXT

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "arrivals",
        sa.Column("upload", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("upload", name="pk_arrivals"),
        sa.ForeignKeyConstraint(["upload"], ["uploads.id"], name="fk_arrivals_upload", ondelete="CASCADE"),
    )
