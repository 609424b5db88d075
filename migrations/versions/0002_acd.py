"""What the ACD tells of waits: place, estimate, reasons; and calls whose times are not exact."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import Document

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IN_LINE = "In the line, at the first entry"
ESTIMATED = "The wait estimated then"


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("imprecise", sa.Boolean(), nullable=False, server_default=sa.false()))
        calls.add_column(sa.Column("position", sa.Integer(), nullable=True, comment=IN_LINE))
        calls.add_column(sa.Column("estimate_s", sa.Double(), nullable=True, comment=ESTIMATED))
    with op.batch_alter_table("visits") as visits:
        visits.add_column(
            sa.Column("position", sa.Integer(), nullable=True, comment="In the line, at the entry")
        )
        visits.add_column(sa.Column("estimate_s", sa.Double(), nullable=True, comment=ESTIMATED))
        visits.add_column(
            sa.Column(
                "reasons", Document, nullable=True, comment="Why this queue and this priority, in words"
            )
        )
    op.create_index(op.f("ix_facts_noted_call"), "facts_noted", ["call"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_facts_noted_call"), table_name="facts_noted")
    for table, names in (
        ("visits", ("position", "estimate_s", "reasons")),
        ("calls", ("imprecise", "position", "estimate_s")),
    ):
        with op.batch_alter_table(table) as altered:
            for name in names:
                altered.drop_column(name)
