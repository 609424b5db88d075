"""Messages that callers leave, tasks with a deadline; and what became of call-backs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At, Word
from callcore.domain.message import MessageState
from callcore.domain.stages import CallbackEnd

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as calls:
        calls.add_column(
            sa.Column(
                "message",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="The caller left a message",
            )
        )
        calls.add_column(
            sa.Column(
                "callback",
                Word(CallbackEnd),
                nullable=True,
                comment="What became of a call-back that was asked for",
            )
        )
    op.create_table(
        "messages",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False, comment="Of the agents who are to deal with it"),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("left_at", At, nullable=False),
        sa.Column("due_at", At, nullable=False),
        sa.Column("state", Word(MessageState), nullable=False),
        sa.Column("agent", sa.Text(), nullable=True, comment="Who has taken it"),
        sa.Column("taken_at", At, nullable=True),
        sa.Column("closed_at", At, nullable=True),
        sa.Column("closed_by", sa.Text(), nullable=True),
        sa.Column("result", sa.LargeBinary(), nullable=True, comment="What became of it, sealed"),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("reconstructed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name="fk_messages_call", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call", name="pk_messages"),
        comment="What callers left after the tone: tasks with a deadline",
    )
    op.create_index("ix_messages_centre_left_at", "messages", ["centre", "left_at"])


def downgrade() -> None:
    op.drop_table("messages")
    with op.batch_alter_table("calls") as calls:
        calls.drop_column("callback")
        calls.drop_column("message")
