"""Recordings by until when they are kept: of those that are there, each centre's and kind's from the newest on, with
when they were over, from which their months count; and those that an order keeps longer."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

BY_TIME = "ix_recordings_by_time"
LOOKED_THROUGH = ("centre", "kind", "direction", "seconds", "size")
BEFORE = ("centre", "kind", "direction", "keep_until", "seconds", "size")
KEPT, EXTENDED = "ix_recordings_kept", "ix_recordings_extended"
UNTIL_BEFORE = None
UNTIL = "By the orders that extend the rule; the rule is not in here"


def upgrade() -> None:
    op.add_column("recordings", sa.Column("over_at", At(), nullable=True))
    op.execute("UPDATE recordings SET over_at = coalesce(ended_at, filed_at)")
    with op.batch_alter_table("recordings") as recordings:
        recordings.alter_column(
            "over_at",
            existing_type=At(),
            nullable=False,
            comment="From when on its months count: its end, else filed_at",
        )
        recordings.alter_column(
            "keep_until", existing_type=At(), existing_nullable=True, comment=UNTIL, existing_comment=None
        )
    _by_time(LOOKED_THROUGH)
    _sparse(KEPT, ["centre", "kind", "began_at", "name", "over_at"], "place <> 'gone' AND legal_hold = false")
    _sparse(EXTENDED, ["began_at", "name"], "keep_until IS NOT NULL")


def downgrade() -> None:
    for name in (EXTENDED, KEPT):
        op.drop_index(name, "recordings")
    _by_time(BEFORE)
    with op.batch_alter_table("recordings") as recordings:
        recordings.alter_column(
            "keep_until", existing_type=At(), existing_nullable=True, comment=None, existing_comment=UNTIL
        )
        recordings.drop_column("over_at")


def _by_time(columns: Sequence[str]) -> None:
    op.drop_index(BY_TIME, "recordings")
    op.create_index(BY_TIME, "recordings", ["began_at", "name", *columns])


def _sparse(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name,
        "recordings",
        columns,
        sqlite_where=sa.text(where.replace("false", "0")),
        postgresql_where=sa.text(where),
    )
