"""Stays in queues by their centre, and recordings by all that is wrong with them and by how many their call has.

Of a recording from before the gravest finding alone is known.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from callcore.db.types import Document

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

VISITS_BEFORE = {
    "ix_visits_queue_entered_at": ["queue", "entered_at"],
    "ix_visits_entered_at_id": ["entered_at", "id"],
}
VISITS = {
    "ix_visits_by_time": ["entered_at", "id", "centre", "queue", "outcome"],
    "ix_visits_by_centre": ["centre", "entered_at", "id", "queue", "outcome"],
    "ix_visits_by_queue": ["queue", "entered_at", "id", "centre", "outcome"],
}
PROBLEM = "ix_recordings_problem_began_at"
FAULTY, SEVERAL = "problem IS NOT NULL", "segments > 1"


def upgrade() -> None:
    op.add_column(
        "visits",
        sa.Column("centre", sa.Text(), nullable=False, server_default=sa.text("''"), comment="The call's"),
    )
    for name in VISITS_BEFORE:
        op.drop_index(name, "visits")
    op.execute("UPDATE visits SET centre = (SELECT c.centre FROM calls c WHERE c.id = visits.call)")
    for name, columns in VISITS.items():
        op.create_index(name, "visits", columns)

    op.add_column(
        "recordings",
        sa.Column(
            "findings",
            Document,
            nullable=False,
            server_default="[]",
            comment="All that is wrong with it, the gravest first",
        ),
    )
    op.add_column(
        "recordings",
        sa.Column(
            "segments",
            sa.Integer(),
            nullable=False,
            server_default="1",
            comment="Recordings of the call, this one among them",
        ),
    )
    array = sa.func.json_array if op.get_bind().dialect.name == "sqlite" else sa.func.jsonb_build_array
    r = sa.table("recordings", sa.column("problem"), sa.column("findings"))
    op.execute(sa.update(r).where(r.c.problem.is_not(None)).values(findings=array(r.c.problem)))
    op.execute(
        "UPDATE recordings SET segments = (SELECT count(*) FROM recordings o WHERE o.call = recordings.call) "
        "WHERE call IN (SELECT o.call FROM recordings o GROUP BY o.call HAVING count(*) > 1)"
    )
    op.drop_index(PROBLEM, "recordings")
    _sparse("ix_recordings_faulty", ["began_at", "name"], FAULTY)
    _sparse("ix_recordings_segments", ["began_at", "name", "segments"], SEVERAL)


def downgrade() -> None:
    for name in ("ix_recordings_segments", "ix_recordings_faulty"):
        op.drop_index(name, "recordings")
    _sparse(PROBLEM, ["problem", "began_at"], FAULTY)
    for column in ("segments", "findings"):
        op.drop_column("recordings", column)
    for name in VISITS:
        op.drop_index(name, "visits")
    for name, columns in VISITS_BEFORE.items():
        op.create_index(name, "visits", columns)
    op.drop_column("visits", "centre")


def _sparse(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "recordings", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
