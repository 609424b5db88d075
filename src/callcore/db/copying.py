"""A copy of the database as it is at one instant, while others write, and the way back into an empty one.

SQLite is copied by its own back-up interface, PostgreSQL by `pg_dump` and `pg_restore`; the password reaches these in
their environment, where no list of processes shows it.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import URL

from callcore.db.database import address

SQLITE, POSTGRES = "callcore.db", "callcore.dump"
BUSY_S = 10.0
"""How long a lock of another process on an SQLite file is waited for."""


class CopyFailed(Exception):
    """The database could not be copied or put back. The text is for people: Japanese / English."""


def save(url: str, folder: Path) -> Path | None:
    """Copy it into `folder`; None: there is none yet. Raises CopyFailed, UnknownDatabase."""
    parsed = address(url)
    if parsed.get_backend_name() == "sqlite":
        source = Path(str(parsed.database))
        if not source.exists():
            return None
        copy_sqlite(source, folder / SQLITE)
        return folder / SQLITE
    _run(parsed, "pg_dump", "--format=custom", "--no-owner", f"--file={folder / POSTGRES}")
    return folder / POSTGRES


def load(url: str, folder: Path) -> bool:
    """Put the copy in `folder` into the database, which must be empty; False: there is no copy of this kind, and the
    database is to be filled from the journal. Raises CopyFailed, UnknownDatabase."""
    parsed = address(url)
    if parsed.get_backend_name() == "sqlite":
        if not (folder / SQLITE).exists():
            return False
        copy_sqlite(folder / SQLITE, Path(str(parsed.database)))
        return True
    if not (folder / POSTGRES).exists():
        return False
    options = ("--exit-on-error", "--single-transaction", "--no-owner", f"--dbname={parsed.database}")
    _run(parsed, "pg_restore", *options, str(folder / POSTGRES))
    return True


def copy_sqlite(source: Path, target: Path) -> None:
    """One state of the whole file, owner-only. Raises CopyFailed."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=BUSY_S)) as one,
            closing(sqlite3.connect(target, timeout=BUSY_S)) as other,
        ):
            one.backup(other)
    except sqlite3.Error as error:
        raise CopyFailed(f"{source} を複写できません / cannot be copied: {error}") from error


def _run(of: URL, program: str, *arguments: str) -> None:
    query = {name: str(value) for name, value in of.query.items()}
    told = {
        "PGHOST": of.host or query.get("host"),
        "PGPORT": of.port or query.get("port"),
        "PGUSER": of.username,
        "PGPASSWORD": of.password,
        "PGDATABASE": of.database,
        "PGSSLMODE": query.get("sslmode") or query.get("ssl"),
    }
    env = {**os.environ, **{name: str(value) for name, value in told.items() if value}}
    try:
        done = subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CopyFailed(
            f"{program} がありません。apt-get install postgresql-client / "
            f"there is no {program}: apt-get install postgresql-client"
        ) from None
    if done.returncode != 0:
        raise CopyFailed(f"{program}: {done.stderr.strip() or done.returncode}")
