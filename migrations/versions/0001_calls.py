"""Calls, their visits, offers and recordings, sealed callers, agents' sessions, and how far the drain is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At, Document

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_sessions",
        sa.Column(
            "run",
            sa.BigInteger(),
            nullable=False,
            comment="Place of the signing in: frame, and fact within it",
        ),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("signed_in_at", At(), nullable=False),
        sa.Column("signed_out_at", At(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True, comment="Why signed out"),
        sa.PrimaryKeyConstraint("run", "n", "k", name=op.f("pk_agent_sessions")),
    )
    op.create_index(
        op.f("ix_agent_sessions_agent_signed_in_at"),
        "agent_sessions",
        ["agent", "signed_in_at"],
        unique=False,
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False, comment="The number dialled"),
        sa.Column("arrived_at", At(), nullable=False),
        sa.Column("due_agent", sa.Boolean(), nullable=True),
        sa.Column("admission", sa.Text(), nullable=True, comment="Why it was let in or refused"),
        sa.Column("entered_at", At(), nullable=True),
        sa.Column("answered_at", At(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.Column("by_net", sa.Boolean(), nullable=False),
        sa.Column("talk_us", sa.BigInteger(), nullable=False),
        sa.Column("hold_us", sa.BigInteger(), nullable=False),
        sa.Column("talk_since", At(), nullable=True),
        sa.Column("held_since", At(), nullable=True),
        sa.Column("ended_at", At(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("hung_up_by", sa.Text(), nullable=True),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.Column("offers", sa.Integer(), nullable=False),
        sa.Column("reconstructed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index(op.f("ix_calls_arrived_at"), "calls", ["arrived_at"], unique=False)
    op.create_index(op.f("ix_calls_centre_arrived_at"), "calls", ["centre", "arrived_at"], unique=False)
    op.create_table(
        "drain_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_drain_position_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drain_position")),
        comment="The last frame of the journal that is in these tables",
    )
    op.create_table(
        "facts_noted",
        sa.Column("run", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("k", sa.Integer(), nullable=False),
        sa.Column("at", At(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=True),
        sa.Column("detail", Document, nullable=False),
        sa.PrimaryKeyConstraint("run", "n", "k", name=op.f("pk_facts_noted")),
        comment="What somebody must be able to look up: starts, gaps in the watch, things mended, differences",
    )
    op.create_index(op.f("ix_facts_noted_kind_at"), "facts_noted", ["kind", "at"], unique=False)
    op.create_table(
        "callers",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("at", At(), nullable=False, comment="What it was sealed for, with call and centre"),
        sa.Column(
            "period", sa.Text(), nullable=False, comment="Of the key that the call's key is wrapped by"
        ),
        sa.Column("fingerprint", sa.Text(), nullable=True, comment="HMAC, by which equal values are found"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name=op.f("fk_callers_call"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call", name=op.f("pk_callers")),
    )
    op.create_index(op.f("ix_callers_centre_period"), "callers", ["centre", "period"], unique=False)
    op.create_index(op.f("ix_callers_fingerprint"), "callers", ["fingerprint"], unique=False)
    op.create_table(
        "recordings",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("filed_at", At(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name=op.f("fk_recordings_call"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call", name=op.f("pk_recordings")),
    )
    op.create_table(
        "visits",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("entered_at", At(), nullable=False),
        sa.Column("since", At(), nullable=False, comment="What the order of waiting goes by"),
        sa.Column("in_net", sa.Boolean(), nullable=False, comment="Was in the safety net for a while"),
        sa.Column("ended_at", At(), nullable=True),
        sa.Column(
            "outcome", sa.Text(), nullable=True, comment="answered, requeued, or the outcome of the call"
        ),
        sa.Column("reconstructed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name=op.f("fk_visits_call"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_visits")),
    )
    op.create_index(op.f("ix_visits_call"), "visits", ["call"], unique=False)
    op.create_index(op.f("ix_visits_queue_entered_at"), "visits", ["queue", "entered_at"], unique=False)
    op.create_table(
        "offers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("visit", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("ring_s", sa.Integer(), nullable=False),
        sa.Column("reasons", Document, nullable=False, comment="Why this agent for this caller, in words"),
        sa.Column("made_at", At(), nullable=False),
        sa.Column("rang_at", At(), nullable=True),
        sa.Column("ended_at", At(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("rest_until", At(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reconstructed", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name=op.f("fk_offers_call"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["visit"], ["visits.id"], name=op.f("fk_offers_visit"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_index(op.f("ix_offers_agent_made_at"), "offers", ["agent", "made_at"], unique=False)
    op.create_index(op.f("ix_offers_call"), "offers", ["call"], unique=False)
    op.create_index(op.f("ix_offers_visit"), "offers", ["visit"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_offers_visit"), table_name="offers")
    op.drop_index(op.f("ix_offers_call"), table_name="offers")
    op.drop_index(op.f("ix_offers_agent_made_at"), table_name="offers")
    op.drop_table("offers")
    op.drop_index(op.f("ix_visits_queue_entered_at"), table_name="visits")
    op.drop_index(op.f("ix_visits_call"), table_name="visits")
    op.drop_table("visits")
    op.drop_table("recordings")
    op.drop_index(op.f("ix_callers_fingerprint"), table_name="callers")
    op.drop_index(op.f("ix_callers_centre_period"), table_name="callers")
    op.drop_table("callers")
    op.drop_index(op.f("ix_facts_noted_kind_at"), table_name="facts_noted")
    op.drop_table("facts_noted")
    op.drop_table("drain_position")
    op.drop_index(op.f("ix_calls_centre_arrived_at"), table_name="calls")
    op.drop_index(op.f("ix_calls_arrived_at"), table_name="calls")
    op.drop_table("calls")
    op.drop_index(op.f("ix_agent_sessions_agent_signed_in_at"), table_name="agent_sessions")
    op.drop_table("agent_sessions")
