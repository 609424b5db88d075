"""Calls that are no arrivals: outgoing, emergency, to a contact number."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOT_CARRIED = "110, 118 or 119, if the phone had to say where else to call"
WHY = "The kind of numbers by which it was allowed or refused"


def upgrade() -> None:
    op.create_table(
        "side_calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False, comment="The centre's own: shown, or called"),
        sa.Column("why", sa.Text(), nullable=False, comment=WHY),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("began_at", At(), nullable=False),
        sa.Column("connected_at", At(), nullable=True),
        sa.Column("ended_at", At(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("hung_up_by", sa.Text(), nullable=True),
        sa.Column("not_carried", sa.Text(), nullable=True, comment=NOT_CARRIED),
        sa.Column("reconstructed", sa.Boolean(), nullable=False),
        sa.Column("other_period", sa.Text(), nullable=True, comment="Of the key that wraps the call's key"),
        sa.Column("other_fingerprint", sa.Text(), nullable=True, comment="HMAC of the other side's number"),
        sa.Column("other_sealed", sa.LargeBinary(), nullable=True, comment="The other side's number"),
        sa.Column("recording", sa.Text(), nullable=True),
        sa.Column("recording_size", sa.BigInteger(), nullable=True),
        sa.Column("recording_seconds", sa.Double(), nullable=True),
        sa.Column("recording_sha256", sa.Text(), nullable=True),
        sa.Column("recording_problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_side_calls")),
        comment="Calls that are no arrivals: outgoing, emergency, to a contact number",
    )
    op.create_index(op.f("ix_side_calls_centre_began_at"), "side_calls", ["centre", "began_at"], unique=False)
    op.create_index(
        op.f("ix_side_calls_other_fingerprint"), "side_calls", ["other_fingerprint"], unique=False
    )


def downgrade() -> None:
    op.drop_table("side_calls")
