"""Calls from listed test numbers, which the figures leave out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHAT = "From a listed test number"


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(
            sa.Column("test", sa.Boolean(), nullable=False, server_default=sa.false(), comment=WHAT)
        )


def downgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("test")
