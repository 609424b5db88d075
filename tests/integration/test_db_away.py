"""The database goes away and comes back: who asks learns it soon, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from callcore.db import Database, DatabaseAway, Projection, Queries, migrate
from callcore.db.database import CONNECT_S, DEADLINE_S, HEALTH_S
from callcore.domain.ids import CallId
from callcore.runtime.ports import Seq
from tests.support.ahead import kept_waiting_s
from tests.support.days import ORDINARY, a_day, books, seal
from tests.support.postgres import Postgres

SOON_S = 2.0
"""A server that is not there is found out at once."""
GRACE_S = 3.0
"""For letting go of a connection that says nothing any more."""

FRAMES = a_day(ORDINARY).frames


@pytest.fixture
async def own_database(own_postgres: Postgres) -> AsyncIterator[Database]:
    url = own_postgres.new_database()
    await migrate.upgrade(url)
    opened = Database(url)
    yield opened
    await opened.close()


async def until_back(sink: Projection) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                await sink.position()
                return
            except DatabaseAway:
                await asyncio.sleep(0.05)


async def test_a_server_that_stops_is_away_at_once_and_taken_up_again_when_it_is_back(
    own_postgres: Postgres, own_database: Database
) -> None:
    sink, queries = Projection(own_database, seal), Queries(own_database)
    await sink.apply(FRAMES[:30])
    assert (await queries.health()).ok
    own_postgres.stop()
    for asked in (
        sink.position,
        lambda: sink.apply(FRAMES[30:40]),
        lambda: queries.call(CallId("node1-1.1")),
        sink.position,
    ):
        began = time.monotonic()
        with pytest.raises(DatabaseAway, match=r"今は使えません.*cannot be used now"):
            await asked()
        assert time.monotonic() - began < SOON_S
    health = await queries.health()
    assert not health.ok and "See whether it runs" in health.detail and "起動しているか" in health.detail
    own_postgres.start()
    await until_back(sink)
    assert await sink.position() == Seq(FRAMES[29].run, FRAMES[29].n)
    await sink.apply(FRAMES)
    assert (await queries.health()).ok
    for call, record in books(FRAMES).records.items():
        found = await queries.call(call)
        assert found is not None and found.call.record == record


async def test_a_server_that_stops_in_the_middle_of_a_batch_leaves_none_of_it(
    own_postgres: Postgres, own_database: Database
) -> None:
    sink = Projection(own_database, seal)
    await sink.apply(FRAMES[:30])

    async def interrupted() -> None:
        async with own_database.writing() as connection:
            await connection.exec_driver_sql("UPDATE drain_position SET n = 1000")
            own_postgres.stop()
            await connection.exec_driver_sql("UPDATE drain_position SET n = 1001")

    with pytest.raises(DatabaseAway):
        await asyncio.wait_for(interrupted(), 20)
    own_postgres.start()
    await until_back(sink)
    assert await sink.position() == Seq(FRAMES[29].run, FRAMES[29].n)


async def test_a_server_that_stands_still_is_given_up_within_the_deadline(
    own_postgres: Postgres, own_database: Database
) -> None:
    sink, queries = Projection(own_database, seal), Queries(own_database)
    await sink.apply(FRAMES[:30])
    own_postgres.freeze()
    try:
        began, waited = time.monotonic(), kept_waiting_s(os.getpid())
        health = await queries.health()
        took = time.monotonic() - began - (kept_waiting_s(os.getpid()) - waited)
        assert not health.ok and took < HEALTH_S + 0.3
        began = time.monotonic()
        with pytest.raises(DatabaseAway):
            await sink.apply(FRAMES[30:])
        assert time.monotonic() - began < DEADLINE_S + GRACE_S
        began = time.monotonic()
        with pytest.raises(DatabaseAway):  # a new connection now
            await sink.position()
        assert time.monotonic() - began < CONNECT_S + GRACE_S
    finally:
        own_postgres.thaw()
    await until_back(sink)
    await sink.apply(FRAMES)
    assert await sink.position() == Seq(FRAMES[-1].run, FRAMES[-1].n)
    assert (await queries.health()).ok


async def test_a_wrong_password_or_name_is_away_too_and_tells_no_password(postgres: Postgres) -> None:
    url = f"postgresql://callcore:geheim@/nowhere?host={postgres.folder}"
    database = Database(url)
    with pytest.raises(DatabaseAway, match="nowhere") as away:
        await Projection(database, seal).position()
    assert "geheim" not in str(away.value) and "geheim" not in database.name
    await database.close()


async def test_a_file_that_another_program_holds_is_away_until_it_lets_go(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    database = Database(url)
    sink = Projection(database, seal)
    await sink.apply(FRAMES[:30])
    other = sqlite3.connect(tmp_path / "callcore.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(DatabaseAway, match="locked"):
            await sink.apply(FRAMES[30:])
        assert time.monotonic() - began < DEADLINE_S
        assert await sink.position() == Seq(FRAMES[29].run, FRAMES[29].n), "readers go on meanwhile"
        other.execute("ROLLBACK")
    finally:
        other.close()
    await sink.apply(FRAMES[30:])
    assert await sink.position() == Seq(FRAMES[-1].run, FRAMES[-1].n)
    await database.close()


async def test_tables_that_were_never_made_are_a_mistake_with_its_remedy_and_not_a_database_away(
    empty_url: str,
) -> None:
    database = Database(empty_url)
    health = await Queries(database).health()
    assert not health.ok and "Run: callcore migrate" in health.detail
    with pytest.raises(Exception, match="drain_position") as raised:
        await Projection(database, seal).apply(FRAMES)
    assert not isinstance(raised.value, DatabaseAway)
    await database.close()


async def test_many_readers_at_once_are_all_served(database_url: str) -> None:
    database = Database(database_url)
    sink, queries = Projection(database, seal), Queries(database)
    await sink.apply(FRAMES[:30])

    async def write() -> None:
        for frame in FRAMES[30:]:
            await sink.apply([frame])

    results = await asyncio.gather(write(), *(queries.call(CallId("node1-1.1")) for _ in range(60)))
    assert all(found is not None for found in results[1:])
    await database.close()
