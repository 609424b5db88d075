"""The tables can be made, taken away and compared, on both databases and by one chain of migrations."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import insert, inspect, select, text

from callcore.db import NEWEST, Database, DatabaseAway, Projection, UnknownDatabase, migrate
from callcore.db.tables import calls, drain_position, messages, metadata, recordings, visits
from callcore.domain import facts as f
from callcore.domain.ids import Instant, QueueId, VisitId
from callcore.domain.message import MessageState
from tests.support.days import TestFrame, seal
from tests.support.floors import Desk
from tests.support.recorded import CALL, DEMO, a_talk


async def tables(url: str) -> set[str]:
    database = Database(url)
    try:
        async with database.reading() as connection:
            return set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
    finally:
        await database.close()


async def statement(url: str, sql: str) -> None:
    database = Database(url)
    try:
        async with database.writing() as connection:
            await connection.execute(text(sql))
    finally:
        await database.close()


async def test_tables_come_and_go_and_come_again(empty_url: str) -> None:
    ours = {table.name for table in metadata.sorted_tables} | {"alembic_version"}
    assert await migrate.current(empty_url) is None
    await migrate.upgrade(empty_url)
    assert await tables(empty_url) == ours
    assert await migrate.current(empty_url) == migrate.latest()
    await migrate.upgrade(empty_url)
    await migrate.downgrade(empty_url, "base")
    assert await tables(empty_url) == {"alembic_version"}
    await migrate.upgrade(empty_url)
    assert await tables(empty_url) == ours


async def test_the_tables_are_those_of_the_code_and_a_difference_is_named(empty_url: str) -> None:
    assert await migrate.check(empty_url) == [f"revision None, not {migrate.latest()}"]
    await migrate.upgrade(empty_url)
    assert await migrate.check(empty_url) == []
    await statement(empty_url, "ALTER TABLE calls ADD COLUMN stray INTEGER")
    [difference] = await migrate.check(empty_url)
    assert "remove_column" in difference and "stray" in difference


async def test_a_start_sees_by_itself_whether_the_tables_are_the_newest(empty_url: str) -> None:
    database = Database(empty_url)
    assert migrate.latest() == NEWEST
    assert await database.revision() is None
    await migrate.upgrade(empty_url, "0020")
    assert await database.revision() == "0020"
    await migrate.upgrade(empty_url)
    assert await database.revision() == NEWEST
    await database.close()


async def test_a_column_of_another_type_is_named(empty_url: str) -> None:
    await migrate.upgrade(empty_url)
    await statement(empty_url, "ALTER TABLE recordings DROP COLUMN filed_at")
    await statement(empty_url, "ALTER TABLE recordings ADD COLUMN filed_at INTEGER NOT NULL DEFAULT 0")
    assert "modify_type" in " ".join(await migrate.check(empty_url))


async def test_a_migration_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    await statement(empty_url, "CREATE TABLE offers (id INTEGER)")
    with pytest.raises(Exception, match="offers"):
        await migrate.upgrade(empty_url)
    assert await tables(empty_url) == {"offers"}


async def test_two_starts_at_once_make_the_tables_once(empty_url: str) -> None:
    await asyncio.gather(*(migrate.upgrade(empty_url) for _ in range(3)))
    assert await migrate.check(empty_url) == []


async def test_what_was_stored_is_kept_by_an_upgrade_that_has_nothing_to_do(database_url: str) -> None:
    database = Database(database_url)
    async with database.writing() as connection:
        await connection.execute(insert(drain_position), {"id": 1, "run": 3, "n": 9})
    await migrate.upgrade(database_url)
    async with database.reading() as connection:
        assert (await connection.execute(drain_position.select())).one() == (1, 3, 9)
    await database.close()


@pytest.mark.parametrize(
    "url", ["mysql://root:geheim@db/callcore", "sqlite://", "sqlite:///:memory:", "nonsense", ""]
)
def test_a_setting_that_names_no_database_of_ours_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(UnknownDatabase, match=r"データベースの設定.*Write sqlite") as refused:
        Database(url)
    assert "geheim" not in str(refused.value)


async def test_a_folder_that_is_not_there_is_a_database_away(tmp_path: Path) -> None:
    with pytest.raises(DatabaseAway, match=r"確認してください.*See whether it runs"):
        await migrate.upgrade(f"sqlite:///{tmp_path}/missing/callcore.db")


async def test_what_stood_on_the_list_stays_there_and_a_task_without_a_call_goes_with_the_way_back(
    empty_url: str,
) -> None:
    await migrate.upgrade(empty_url)
    at = Instant(1_795_100_400_000_000)
    call = dict.fromkeys(("node", "centre", "queue", "number"), "x") | {"id": "c1", "arrived_at": at}
    counts = dict.fromkeys(("talk_us", "hold_us", "visits", "offers"), 0)
    row = {"centre": "x", "queue": "x", "left_at": at, "due_at": at, "state": MessageState.OPEN}
    database = Database(empty_url)
    try:
        async with database.writing() as connection:
            await connection.execute(
                insert(calls), call | counts | {"by_net": False, "reconstructed": False, "second": False}
            )
            for name in ("c1", "task-1"):
                await connection.execute(
                    insert(messages), row | {"call": name, "reconstructed": False, "subject": b"sealed"}
                )
    finally:
        await database.close()
    await migrate.downgrade(empty_url, "0020")
    await migrate.upgrade(empty_url)
    assert await migrate.check(empty_url) == []
    database = Database(empty_url)
    try:
        async with database.writing() as connection:
            found = (await connection.execute(select(messages.c.call, messages.c.about))).all()
            assert found == [("c1", "c1")]
            await connection.execute(calls.delete())
            assert len((await connection.execute(select(messages.c.call))).all()) == 1
    finally:
        await database.close()


async def test_what_was_stored_before_is_found_by_centre_by_finding_and_by_how_many_its_call_has(
    empty_url: str,
) -> None:
    await migrate.upgrade(empty_url)
    made = Desk()
    database = Database(empty_url)
    facts = [
        *a_talk(made)[:3],
        f.VisitBegan(
            at=made.at(4), call=CALL, visit=VisitId("c1/1"), queue=QueueId("q"), priority=5, since=made.at(4)
        ),
        *a_talk(made)[3:],
    ]
    await Projection(database, seal).apply([TestFrame(1, 1, made.at(1), tuple(facts))])

    async def told() -> tuple[object, ...]:
        async with database.reading() as connection:
            r = recordings.c
            asked = select(r.name, r.problem, r.findings, r.segments).order_by(r.name)
            rows = (await connection.execute(asked)).all()
            return (await connection.execute(select(visits.c.id, visits.c.centre))).all(), rows

    async def ends() -> dict[str, Instant]:
        async with database.reading() as connection:
            asked = select(recordings.c.name, recordings.c.over_at)
            return {row.name: row.over_at for row in await connection.execute(asked)}

    async def partial() -> set[str]:
        async with database.reading() as connection:
            found = await connection.run_sync(lambda sync: inspect(sync).get_indexes("recordings"))
            where = f"{database.engine.dialect.name}_where"
            return {
                str(each["name"]) for each in found if each.get("dialect_options", {}).get(where) is not None
            }

    try:
        of_call = ("c1", None, [], 2)
        over = await ends()
        assert await told() == ([("c1/1", DEMO)], [of_call, ("s1", "short", ["short", "clipped"], 2)])
        await migrate.downgrade(empty_url, "0026")
        await migrate.upgrade(empty_url)
        assert await migrate.check(empty_url) == []
        assert await told() == ([("c1/1", DEMO)], [of_call, ("s1", "short", ["short"], 2)]), (
            "what was not the gravest nobody wrote down"
        )
        assert await ends() == over == {"c1": made.at(90), "s1": made.at(41)}
        assert {
            "ix_recordings_kept",
            "ix_recordings_extended",
            "ix_recordings_abuse_began_at",
        } <= await partial()
    finally:
        await database.close()


async def test_what_stopped_before_its_call_was_over_counts_from_the_calls_end_though_filed_before(
    empty_url: str,
) -> None:
    """As it does that is filed today. What tells of no end, or of a call that is not there, stays as it is."""
    await migrate.upgrade(empty_url)
    made = Desk()
    facts = a_talk(made)
    ended = next(n for n, fact in enumerate(facts) if isinstance(fact, f.CallEnded))
    facts.insert(ended, f.RecordingStopped(at=made.at(62), call=CALL, since=made.at(60)))
    database, r = Database(empty_url), recordings.c

    async def ends() -> dict[str, Instant]:
        async with database.reading() as connection:
            rows = await connection.execute(select(r.name, r.over_at))
            return {row.name: row.over_at for row in rows}

    try:
        await Projection(database, seal).apply([TestFrame(1, 1, made.at(1), tuple(facts))])
        async with database.writing() as connection:
            [row] = (await connection.execute(select(recordings).where(r.name == CALL))).mappings()
            early = {"name": "early", "ended_at": None, "over_at": row["filed_at"]}
            gone = {"name": "gone", "call": "nobody", "over_at": row["ended_at"]}
            await connection.execute(insert(recordings), [{**row, **early}, {**row, **gone}])
        today = await ends()
        assert today == {CALL: made.at(90), "s1": made.at(41), "early": made.at(93), "gone": made.at(60)}
        await migrate.downgrade(empty_url, "0028")
        await migrate.upgrade(empty_url, "0029")
        assert await ends() == today | {CALL: made.at(60)}
        await migrate.upgrade(empty_url)
        assert await ends() == today
        await migrate.downgrade(empty_url, "0029")
        assert await ends() == today
    finally:
        await database.close()
