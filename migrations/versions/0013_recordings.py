"""One row for each file of sound, with what is known of it, to be searched by any of that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import At, Document

revision = "0013"
down_revision = "0010"
branch_labels = None
depends_on = None

FULL = ("centre", "queue", "language")
LOOKED_THROUGH = (
    "centre",
    "kind",
    "direction",
    "format",
    "place",
    "key_period",
    "keep_until",
    "seconds",
    "size",
)
KNOWN = ("problem", "result", "result_kind", "department", "through")
TRUE = ("abuse", "relay", "paused", "legal_hold")

_OF_CALLS = """
    INSERT INTO recordings (name, file, kind, call, side, centre, queue, language, direction, began_at, ended_at,
        format, size, seconds, sha256, problem, result, result_kind, department, through, abuse, relay, paused,
        pauses, place, filed_at)
    SELECT {name}, o.file, {kind}, c.id, NULL, c.centre, c.queue, {language}, 'in',
        {began}, {ended}, 'wav', o.size, o.seconds, o.sha256, o.problem, c.result, c.result_kind, c.department,
        CASE c.outcome WHEN 'transferred_attended' THEN 'attended' WHEN 'transferred_blind' THEN 'blind' END,
        c.abuse, c.relay, {false}, '[]', CASE o.problem WHEN 'missing' THEN 'gone' ELSE 'spool' END, {filed}
    FROM {table} o JOIN calls c ON c.id = o.call WHERE o.file IS NOT NULL
"""
_OF_SIDES = """
    INSERT INTO recordings (name, file, kind, call, side, centre, direction, began_at, ended_at, format, size, seconds,
        sha256, problem, result, result_kind, department, abuse, relay, paused, pauses, place, filed_at)
    SELECT s.id, s.recording, CASE WHEN s.beside IS NOT NULL THEN 'consult' WHEN s.kind = 'contact' THEN 'contact'
        ELSE 'outgoing' END, coalesce(s.beside, s.id), s.id, s.centre,
        CASE WHEN s.kind = 'contact' THEN 'in' ELSE 'out' END, coalesce(s.connected_at, s.began_at), s.ended_at, 'wav',
        s.recording_size, s.recording_seconds, s.recording_sha256, s.recording_problem, c.result, c.result_kind,
        CASE WHEN s.kind = 'department' THEN s.why END, coalesce(c.abuse, {false}), coalesce(c.relay, {false}), {false},
        '[]', CASE s.recording_problem WHEN 'missing' THEN 'gone' ELSE 'spool' END, coalesce(s.ended_at, s.began_at)
    FROM side_calls s LEFT JOIN calls c ON c.id = s.beside WHERE s.recording IS NOT NULL
"""
_AGENTS = """
    INSERT INTO recording_agents (recording, agent, began_at)
    SELECT DISTINCT c.id, c.agent, coalesce(c.answered_at, c.arrived_at) FROM calls c WHERE c.agent IS NOT NULL
    UNION SELECT DISTINCT c.id, o.agent, coalesce(c.answered_at, c.arrived_at)
    FROM calls c JOIN offers o ON o.call = c.id WHERE o.result = 'answered'
    UNION SELECT s.id, s.agent, coalesce(s.connected_at, s.began_at) FROM side_calls s WHERE s.agent IS NOT NULL
"""


def upgrade() -> None:
    op.rename_table("recordings", "recordings_before")
    _drop_key_name()
    op.create_table(
        "recordings",
        sa.Column("name", sa.Text(), nullable=False, comment="The file without its ending"),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "call",
            sa.Text(),
            nullable=False,
            comment="Whose talk it is; of a consult, the call that it was about",
        ),
        sa.Column("side", sa.Text(), nullable=True, comment="The call that is no arrival, if it is one's"),
        sa.Column("centre", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("began_at", At(), nullable=False),
        sa.Column("ended_at", At(), nullable=True),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True, comment="What the agent keyed for the call"),
        sa.Column("result_kind", sa.Text(), nullable=True),
        sa.Column(
            "department", sa.Text(), nullable=True, comment="The last that the caller was put through to"
        ),
        sa.Column("through", sa.Text(), nullable=True, comment="How, if the call ended there"),
        sa.Column("abuse", sa.Boolean(), nullable=False),
        sa.Column("relay", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column(
            "pauses",
            Document,
            nullable=False,
            comment="Each with first, before (µs since 1970 UTC) and reason",
        ),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key_period", sa.Text(), nullable=True, comment="Of the key that its own is wrapped by"),
        sa.Column("keep_until", At(), nullable=True),
        sa.Column("legal_hold", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("erased_at", At(), nullable=True),
        sa.Column("erased_why", sa.Text(), nullable=True),
        sa.Column("filed_at", At(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_recordings"),
        comment="One row for each file of sound, and what is known of it",
    )
    op.create_index("ix_recordings_by_time", "recordings", ["began_at", "name", *LOOKED_THROUGH])
    for column in ("call", "side", "sha256"):
        op.create_index(f"ix_recordings_{column}", "recordings", [column])
    for column in FULL:
        op.create_index(f"ix_recordings_{column}_began_at", "recordings", [column, "began_at"])
    for column, where in (
        *((each, f"{each} IS NOT NULL") for each in KNOWN),
        *((each, f"{each} = true") for each in TRUE),
    ):
        op.create_index(
            f"ix_recordings_{column}_began_at",
            "recordings",
            [column, "began_at"],
            sqlite_where=sa.text(where.replace("true", "1")),
            postgresql_where=sa.text(where),
        )
    op.create_table(
        "recording_agents",
        sa.Column(
            "recording",
            sa.Text(),
            nullable=False,
            comment="By name; there from the answer on, before the file",
        ),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("began_at", At(), nullable=False, comment="The recording's, for the order of a search"),
        sa.PrimaryKeyConstraint("recording", "agent", name="pk_recording_agents"),
    )
    op.create_index(
        "ix_recording_agents_agent_began_at_recording", "recording_agents", ["agent", "began_at", "recording"]
    )
    false = "false" if op.get_bind().dialect.name == "postgresql" else "0"
    for statement in (
        _OF_CALLS.format(
            table="recordings_before",
            name="c.id",
            kind="'call'",
            language="NULL",
            began="coalesce(c.answered_at, c.arrived_at)",
            ended="c.ended_at",
            filed="o.filed_at",
            false=false,
        ),
        _OF_CALLS.format(
            table="messages",
            name="c.id || '.message'",
            kind="'message'",
            language="o.language",
            began="o.left_at",
            ended="o.left_at",
            filed="o.left_at",
            false=false,
        ),
        _OF_SIDES.format(false=false),
        _AGENTS,
    ):
        op.execute(statement)
    op.drop_table("recordings_before")


def _drop_key_name() -> None:
    """PostgreSQL's names of keys are the schema's: the new table bears this one."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_recordings RENAME TO pk_recordings_before")


def downgrade() -> None:
    op.drop_table("recording_agents")
    op.rename_table("recordings", "recordings_after")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_recordings RENAME TO pk_recordings_after")
    op.create_table(
        "recordings",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("filed_at", At(), nullable=False),
        sa.ForeignKeyConstraint(["call"], ["calls.id"], name="fk_recordings_call", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("call", name="pk_recordings"),
    )
    op.execute(
        "INSERT INTO recordings (call, file, size, seconds, sha256, problem, filed_at) "
        "SELECT call, file, size, seconds, sha256, problem, filed_at FROM recordings_after WHERE kind = 'call'"
    )
    op.drop_table("recordings_after")
