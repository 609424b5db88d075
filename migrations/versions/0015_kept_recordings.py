"""Where a recording lies in the store, and what its file is there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None

DIGESTS = ("captured_sha256", "stored_sha256")


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column(
            "folder", sa.Text(), comment="Where it lies below the store: the centre's folder, and the day's"
        ),
        sa.Column("kept_at", At(), comment="Since when it lies there"),
        sa.Column("captured_size", sa.BigInteger(), comment="Bytes of the sound as Asterisk wrote it"),
        sa.Column("captured_sha256", sa.Text()),
        sa.Column("stored_size", sa.BigInteger(), comment="Bytes of the sealed file"),
        sa.Column("stored_sha256", sa.Text()),
    ]


def upgrade() -> None:
    with op.batch_alter_table("recordings") as recordings:
        for column in _columns():
            recordings.add_column(column)
    for name in DIGESTS:
        op.create_index(f"ix_recordings_{name}", "recordings", [name])


def downgrade() -> None:
    for name in DIGESTS:
        op.drop_index(f"ix_recordings_{name}", "recordings")
    with op.batch_alter_table("recordings") as recordings:
        for column in _columns():
            recordings.drop_column(column.name)
