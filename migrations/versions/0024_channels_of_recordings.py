"""How many channels a recording is kept in: all were one until now."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "recordings",
        sa.Column(
            "channels",
            sa.Integer(),
            nullable=False,
            server_default="1",
            comment="Of two the left one is the citizen's",
        ),
    )


def downgrade() -> None:
    with op.batch_alter_table("recordings") as recordings:
        recordings.drop_column("channels")
