"""Tasks need no call: they may be about one that is long over, or about none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

COMMENTS = (
    ("Its name: that of its call, or a task's own", None),
    (
        "Tasks with a deadline: what callers left after the tone, and escalations",
        "What callers left after the tone: tasks with a deadline",
    ),
)


def upgrade() -> None:
    with op.batch_alter_table("messages") as messages:
        messages.drop_constraint("fk_messages_call", type_="foreignkey")
        messages.alter_column(
            "call", existing_type=sa.Text(), existing_nullable=False, comment=COMMENTS[0][0]
        )
        messages.create_table_comment(COMMENTS[1][0], existing_comment=COMMENTS[1][1])
        messages.add_column(
            sa.Column(
                "note", sa.LargeBinary(), nullable=True, comment="What else was written about it, sealed"
            )
        )
        messages.add_column(
            sa.Column(
                "about",
                sa.Text(),
                nullable=True,
                comment="Of an escalation: the call, which may be gone; null: about none",
            )
        )
        messages.add_column(
            sa.Column(
                "number_period",
                sa.Text(),
                nullable=True,
                comment="Of the key that wraps a task's own key",
            )
        )
        messages.add_column(
            sa.Column(
                "number_fingerprint",
                sa.Text(),
                nullable=True,
                comment="HMAC of whom a task of its own concerns",
            )
        )
        messages.add_column(
            sa.Column(
                "number_sealed",
                sa.LargeBinary(),
                nullable=True,
                comment="Of a task of its own: whom it concerns",
            )
        )
    op.create_index("ix_messages_about", "messages", ["about"])
    op.create_index("ix_messages_number_fingerprint", "messages", ["number_fingerprint"])
    op.execute("UPDATE messages SET about = call WHERE subject IS NOT NULL")


def downgrade() -> None:
    """Tasks whose call has no row go."""
    op.execute("DELETE FROM messages WHERE call NOT IN (SELECT id FROM calls)")
    op.drop_index("ix_messages_number_fingerprint", "messages")
    op.drop_index("ix_messages_about", "messages")
    with op.batch_alter_table("messages") as messages:
        for column in ("number_sealed", "number_fingerprint", "number_period", "about", "note"):
            messages.drop_column(column)
        messages.create_table_comment(COMMENTS[1][1], existing_comment=COMMENTS[1][0])
        messages.alter_column(
            "call", existing_type=sa.Text(), existing_nullable=False, existing_comment=COMMENTS[0][0]
        )
        messages.create_foreign_key("fk_messages_call", "calls", ["call"], ["id"], ondelete="CASCADE")
