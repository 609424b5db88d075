"""PostgreSQL takes no samples of what belongs to a person: they would outlive its erasure in `pg_statistic`."""

from __future__ import annotations

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TEXT, BYTES = "text", "bytea"
PERSONAL = {
    "callers": {"period": TEXT, "fingerprint": TEXT, "sealed": BYTES},
    "side_calls": {"other_period": TEXT, "other_fingerprint": TEXT, "other_sealed": BYTES},
    "messages": {
        "number_period": TEXT,
        "number_fingerprint": TEXT,
        "number_sealed": BYTES,
        "subject": BYTES,
        "note": BYTES,
        "result": BYTES,
    },
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite samples nothing unless ANALYZE is run, which callcore never does
    for table, columns in PERSONAL.items():
        for column, kind in columns.items():
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
            # ANALYZE passes over the column from now on and leaves what it took before. Set to the type that it has,
            # a column loses that; neither rows nor indexes are written anew.
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {kind}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, columns in PERSONAL.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS -1")
