"""A recording that stopped before its call was over is kept from the end of the call on, as are those filed since."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Only where the caller was put through a recording stops before; of these there is an index.
    op.execute(
        "UPDATE recordings SET over_at = calls.ended_at FROM calls "
        "WHERE calls.id = recordings.call AND recordings.side IS NULL AND recordings.through IS NOT NULL "
        "AND recordings.ended_at IS NOT NULL AND recordings.over_at <> calls.ended_at"
    )


def downgrade() -> None:
    """What is right stays."""
