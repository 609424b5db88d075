"""Recordings by how many channels they are kept in, the newest first."""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

INDEX = "ix_recordings_channels_began_at"


def upgrade() -> None:
    op.create_index(INDEX, "recordings", ["channels", "began_at"])


def downgrade() -> None:
    op.drop_index(INDEX, "recordings")
