"""Recordings bear the mark 苦情 by themselves: it may be set and taken away whatever the agent keyed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

INDEX = "ix_recordings_complaint_began_at"


def upgrade() -> None:
    op.add_column(
        "recordings", sa.Column("complaint", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute("UPDATE recordings SET complaint = true WHERE result_kind = 'complaint'")
    op.create_index(
        INDEX,
        "recordings",
        ["complaint", "began_at"],
        sqlite_where=sa.text("complaint = 1"),
        postgresql_where=sa.text("complaint = true"),
    )


def downgrade() -> None:
    op.drop_index(INDEX, "recordings")
    op.drop_column("recordings", "complaint")
