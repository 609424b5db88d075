"""Calls that are kept longer by order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "keep_orders",
        sa.Column("order", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("until", At(), nullable=True, comment="None: a legal hold, until it is taken back"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", At(), nullable=False),
        sa.PrimaryKeyConstraint("order", "call", name=op.f("pk_keep_orders")),
        comment="Calls that are kept longer by an order that was not taken back",
    )
    op.create_index(op.f("ix_keep_orders_call"), "keep_orders", ["call"])
    op.create_index(op.f("ix_keep_orders_centre"), "keep_orders", ["centre"])


def downgrade() -> None:
    op.drop_table("keep_orders")
