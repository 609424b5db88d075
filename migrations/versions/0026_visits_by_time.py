"""Stays in queues by when they began, the newest first."""

from __future__ import annotations

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

INDEX = "ix_visits_entered_at_id"


def upgrade() -> None:
    op.create_index(INDEX, "visits", ["entered_at", "id"])


def downgrade() -> None:
    op.drop_index(INDEX, "visits")
