"""The engine behind one URL: how SQLite and PostgreSQL are opened, bounded in time, and told to be away.

Rules
- Whatever is asked of the database ends by a deadline. What could not be asked raises `DatabaseAway`, whatever the
  driver called it; a mistake of ours (a wrong statement, a missing table) rises as it is.
- A reader sees one state of all tables. A writer of SQLite has the file for itself from its first statement on.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event, inspect, select, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from callcore.db.tables import drain_position
from callcore.runtime.ports import Health

DEADLINE_S = 5.0
"""For one transaction of the drain or one look-up, connecting included. A batch of 200 frames takes 0.1 s."""
CONNECT_S = 3.0
BUSY_S = 2.0
"""How long SQLite waits for another process's lock; below the deadline, for its wait cannot be interrupted."""
WAL_AGAIN_S = 0.05
LONGEST_S = 30.0
"""The longest deadline anybody may set; PostgreSQL itself ends a statement then, whose asker may be gone."""
HEALTH_S = 0.9
"""Health checks answer within a second."""

_WRITES = "callcore_writes"

_SQLITE_AWAY = frozenset({5, 6, 8, 10, 13, 14})
"""BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN (sqlite.org, Result Codes): the file cannot be used now."""

_POSTGRES_AWAY = ("08", "28", "3D", "40", "53", "55P03", "57")
"""SQLSTATE classes (PostgreSQL manual, appendix A): connection, authorisation, no such database, rolled back in a
conflict, resources, lock not had, operator's intervention and statement time-outs. All can pass without a restart."""


class DatabaseAway(Exception):
    """The database cannot be used now. What was being written may or may not be there: ask the position."""


class UnknownDatabase(ValueError):
    """The setting names no database that callcore knows."""


class Database:
    """A pool of connections. Nothing is opened before it is needed; `close` it at the end."""

    def __init__(self, url: str, *, deadline_s: float = DEADLINE_S, for_migration: bool = False) -> None:
        """`for_migration`: without the server's time limits, and with foreign keys unchecked while tables move.

        Raises `UnknownDatabase`.
        """
        self._deadline_s = deadline_s
        self._url = address(url)
        plain = self._url.set(drivername=self._url.get_backend_name())
        self.name = plain.render_as_string(hide_password=True)
        self.engine = self._make_engine(for_migration)
        self._ping: asyncio.Task[None] | None = None

    def _make_engine(self, for_migration: bool) -> AsyncEngine:
        common: dict[str, Any] = {"json_serializer": partial(json.dumps, ensure_ascii=False)}
        if for_migration:
            common["poolclass"] = NullPool
        if self._url.get_backend_name() == "sqlite":
            engine = create_async_engine(
                self._url,
                connect_args={
                    "timeout": LONGEST_S if for_migration else BUSY_S,
                    "async_creator_fn": _connect_sqlite,
                },
                **common,
            )
            event.listen(engine.sync_engine, "connect", partial(_open_sqlite, not for_migration))
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
            return engine
        limit = str(round(self._deadline_s * 1000))
        limits = {
            "statement_timeout": str(round(LONGEST_S * 1000)),
            "lock_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
        }
        # A look by fingerprints is thought to cost far more than it does (ADR 76): compiling it would take longer.
        server = {"application_name": "callcore", "timezone": "UTC", "jit": "off"}
        server |= {} if for_migration else limits
        return create_async_engine(
            self._url,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_S, "server_settings": server},
            **common,
        )

    @property
    def is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def folder(self) -> Path | None:
        """Where SQLite's file lies; None: a server has it."""
        return Path(self._url.database).parent if self.is_sqlite and self._url.database else None

    async def close(self) -> None:
        if self._ping is not None:
            self._ping.cancel()
            await asyncio.wait([self._ping])
        await self.engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction, committed at the end, undone when anything is raised. Raises `DatabaseAway`."""
        engine = self.engine.execution_options(**{_WRITES: True})
        async with self._bounded(self._deadline_s), engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self, deadline_s: float | None = None) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of all tables. `deadline_s` up to `LONGEST_S`. Raises `DatabaseAway`."""
        engine = self.engine
        if not self.is_sqlite:  # a transaction of SQLite is a snapshot anyway
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with self._bounded(deadline_s or self._deadline_s), engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def _bounded(self, deadline_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(deadline_s):
                yield
        except Exception as error:
            if not _is_away(error):
                raise
            cause = getattr(error, "orig", None) or error
            raise DatabaseAway(
                f"データベース {self.name} を今は使えません ({_said(cause)})。"
                "起動しているか、容量と権限を確認してください。 / "
                f"The database {self.name} cannot be used now ({_said(cause)}). "
                "See whether it runs, and its space and permissions."
            ) from error

    async def revision(self) -> str | None:
        """Of the tables that are there; None: there are none yet. Raises `DatabaseAway`."""
        async with self.reading() as connection:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
                return None
            found: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
            return found

    async def health(self) -> Health:
        """Whether the tables can be read now. Answers within a second, never raises."""
        if self._ping is None or self._ping.done():
            self._ping = asyncio.create_task(self._look())
            self._ping.add_done_callback(_heard)
        await asyncio.wait([self._ping], timeout=HEALTH_S)
        if not self._ping.done():
            return Health(
                "database",
                False,
                f"データベースが {HEALTH_S} 秒以内に応答しません。{self.name} の負荷と回線を確認してください。 / "
                f"The database does not answer within {HEALTH_S} s. See the load and network of {self.name}.",
            )
        if self._ping.cancelled():
            return Health("database", False, "終了処理中です。 / Closing.")
        error = self._ping.exception()
        if error is None:
            return Health("database", True, self.name)
        if isinstance(error, DatabaseAway):
            return Health("database", False, str(error))
        return Health(
            "database",
            False,
            f"データベース {self.name} の表を読めません ({_said(error)})。callcore migrate を実行してください。 / "
            f"The tables of {self.name} cannot be read ({_said(error)}). Run: callcore migrate",
        )

    async def _look(self) -> None:
        async with self.reading() as connection:
            await connection.execute(select(drain_position.c.run))


def _heard(look: asyncio.Task[None]) -> None:
    """What a look that came too late to be waited for has found is asked anew, and no error of the process."""
    if not look.cancelled():
        look.exception()


def address(url: str) -> URL:
    """The URL with the driver that we use. Raises `UnknownDatabase`; the text shows no password."""
    try:
        parsed = make_url(url)
        backend = {"postgres": "postgresql"}.get(parsed.get_backend_name(), parsed.get_backend_name())
    except ArgumentError:
        backend, parsed = "", URL.create("none")
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}.get(backend)
    if driver is None or (backend == "sqlite" and parsed.database in (None, "", ":memory:")):
        raise UnknownDatabase(
            "データベースの設定が正しくありません。sqlite:////path/callcore.db か "
            "postgresql://user:password@host/name の形で書いてください。 / "
            "The database setting is not right. Write sqlite:////path/callcore.db or "
            "postgresql://user:password@host/name."
        )
    return parsed.set(drivername=driver)


async def _connect_sqlite(*args: Any, **more: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(*args, **more)
    thread = connection._thread
    thread.daemon = True  # a connection that was never given back shall not keep the process
    try:
        return await connection
    except BaseException:
        # Its thread still tells the loop that it ends, and fails noisily if the loop is closed by then.
        await asyncio.to_thread(thread.join, BUSY_S)
        raise


def _open_sqlite(check_keys: bool, connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = connection.cursor()
    _to_wal(cursor)
    # What a power cut takes from the end, the drain brings again: it goes by the position in the same transaction.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA secure_delete = ON")  # what is erased is zeroed, not only let go of
    cursor.execute(f"PRAGMA foreign_keys = {'ON' if check_keys else 'OFF'}")
    cursor.close()


def _to_wal(cursor: Any) -> None:
    """Change to the write-ahead log; of a new file that two open at once, SQLite refuses one without waiting."""
    for tries in count(1):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if tries * WAL_AGAIN_S >= BUSY_S:
                raise
            await_only(asyncio.sleep(WAL_AGAIN_S))


def _begin_sqlite(connection: Connection) -> None:
    # Taking the lock at once: a reader that becomes a writer would be refused without waiting.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.execute(text("BEGIN IMMEDIATE" if writes else "BEGIN"))


def _is_away(error: Exception) -> bool:
    if isinstance(error, OSError | TimeoutError | PoolTimeout):
        return True
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    origin = getattr(error, "orig", None) or error
    for each in (origin, origin.__cause__):
        if getattr(each, "sqlite_errorcode", 0) & 0xFF in _SQLITE_AWAY:
            return True
        if str(getattr(each, "sqlstate", None) or "").startswith(_POSTGRES_AWAY):
            return True
    return False


def _said(error: BaseException) -> str:
    """The first line of what was said, for one line of a log."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
