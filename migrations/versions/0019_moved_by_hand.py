"""Waiting callers whom a supervisor moved up, or to another queue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(
            sa.Column(
                "moved_by_hand",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="A supervisor moved the waiting caller",
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("moved_by_hand")
