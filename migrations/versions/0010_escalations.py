"""Escalations that are kept without a call, on the list of messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(
            sa.Column(
                "task",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="An escalation was kept",
            )
        )
    with op.batch_alter_table("messages") as messages:
        messages.add_column(
            sa.Column(
                "subject", sa.LargeBinary(), nullable=True, comment="What an escalation is about, sealed"
            )
        )
        messages.add_column(
            sa.Column(
                "department",
                sa.Text(),
                nullable=True,
                comment="Of an escalation: who calls back, or is to be asked",
            )
        )


def downgrade() -> None:
    with op.batch_alter_table("messages") as messages:
        messages.drop_column("department")
        messages.drop_column("subject")
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("task")
