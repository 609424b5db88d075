"""Recordings by format, place and period of the key, each with an index of its own."""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None

OWN = ("format", "place", "key_period")
BEFORE = ("centre", "kind", "direction", *OWN, "keep_until", "seconds", "size")
BY_TIME = "ix_recordings_by_time"


def upgrade() -> None:
    for column in OWN:
        op.create_index(f"ix_recordings_{column}_began_at", "recordings", [column, "began_at"])
    _by_time([column for column in BEFORE if column not in OWN])


def downgrade() -> None:
    for column in OWN:
        op.drop_index(f"ix_recordings_{column}_began_at", "recordings")
    _by_time(BEFORE)


def _by_time(columns: Sequence[str]) -> None:
    op.drop_index(BY_TIME, "recordings")
    op.create_index(BY_TIME, "recordings", ["began_at", "name", *columns])
