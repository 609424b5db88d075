"""Whom callers are put through to, and what was asked before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(
            sa.Column(
                "second",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="Taken over by a colleague",
            )
        )
        calls.add_column(
            sa.Column(
                "department", sa.Text(), nullable=True, comment="The last that the caller was put through to"
            )
        )
        calls.add_column(sa.Column("transferred_at", At, nullable=True))
        calls.add_column(
            sa.Column(
                "away_us",
                sa.BigInteger(),
                nullable=False,
                server_default=sa.text("0"),
                comment="With departments",
            )
        )
        calls.add_column(sa.Column("away_since", At, nullable=True))
    with op.batch_alter_table("side_calls") as sides:
        sides.add_column(
            sa.Column("beside", sa.Text(), nullable=True, comment="The call about which it was a consult")
        )
        sides.add_column(
            sa.Column(
                "put_through",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="That call's caller was",
            )
        )
    op.create_index("ix_side_calls_beside", "side_calls", ["beside"])


def downgrade() -> None:
    op.drop_index("ix_side_calls_beside", "side_calls")
    with op.batch_alter_table("side_calls") as sides:
        sides.drop_column("put_through")
        sides.drop_column("beside")
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("away_since")
        calls.drop_column("away_us")
        calls.drop_column("transferred_at")
        calls.drop_column("department")
        calls.drop_column("second")
