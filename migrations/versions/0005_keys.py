"""What agents key in and after a talk: results, marks, and how long a recording was paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At, Word
from callcore.domain.stages import ResultKind

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RESULT = "What the agent keyed, by the centre's list of that day"


def _mark(name: str, comment: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false(), comment=comment)


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(sa.Column("result", sa.Text(), nullable=True, comment=RESULT))
        calls.add_column(
            sa.Column("result_kind", Word(ResultKind), nullable=True, comment="What that counts as")
        )
        calls.add_column(_mark("helped", "The agent asked for help"))
        calls.add_column(_mark("abuse", "Reported: keep the recording"))
        calls.add_column(_mark("relay", "A relay-service call"))
        calls.add_column(
            sa.Column("unrecorded_us", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
        calls.add_column(sa.Column("unrecorded_since", At, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        for name in (
            "result",
            "result_kind",
            "helped",
            "abuse",
            "relay",
            "unrecorded_us",
            "unrecorded_since",
        ):
            calls.drop_column(name)
