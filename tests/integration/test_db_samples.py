"""PostgreSQL takes no samples of what belongs to a person, and what bears a number is found without them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from sqlalchemy import LargeBinary, insert, select, text
from sqlalchemy.dialects import postgresql

from callcore.db import Database, Projection, copying, migrate
from callcore.db import tables as t
from callcore.db.erasing import bearers
from callcore.db.queries import calls_asked
from callcore.db.search import of_number
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, QueueId
from callcore.domain.message import MessageState
from callcore.domain.personal import Personal
from callcore.domain.stages import SideKind
from callcore.runtime.detail import CallSearch
from callcore.runtime.recordings import RecordingSearch
from tests.support import archive
from tests.support.archive import fill, made_up
from tests.support.days import TestFrame
from tests.support.floors import MONDAY_NOON, Desk
from tests.support.postgres import Postgres
from tests.support.recorded import CALL, DEMO, FIRST, a_talk

MARK = "of-a-citizen"
EACH = {(table, column) for table, columns in t.PERSONAL.items() for column in columns}
ROWS = 400


@pytest.fixture
async def server_url(postgres: Postgres) -> str:
    return postgres.new_database()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


# -- which columns they are -------------------------------------------------------------------------------------


def told_of_persons() -> list[f.Fact]:
    """Each kind of fact that tells anything of a person, in an order in which the tables take them."""
    made = Desk()
    at = made.at
    task = {"centre": DEMO, "queue": QueueId("q"), "department": None, "due_at": at(999)}

    def own(call: str = CALL) -> Personal:
        return Personal(CallId(call), DEMO, at(1), MARK)

    kept, opened, undone = CallId("task-1"), CallId("task-2"), CallId("task-3")
    whole: dict[str, Any] = task | {"subject": own(), "note": own(), "by": "user:sup"}
    whole_too: dict[str, Any] = whole | {"about": None, "number": own()}
    closed: dict[str, Any] = {"result": own(), "by": "user:sup"}
    return [
        *a_talk(made),
        f.TaskKept(at=at(100), call=kept, language=None, **whole),
        f.TaskOpened(at=at(100), call=opened, **whole_too),
        f.TaskOpened(at=at(100), call=undone, **whole_too),
        f.MessageDone(at=at(101), call=opened, **closed),
        f.MessageUndone(at=at(101), call=undone, **closed),
        f.CallNoted(at=at(101), call=CALL, agent=FIRST, text=own(), by="user:sup"),
        f.AnswerPrepared(at=at(102), call=CALL, centre=DEMO, number=own(), text=own(), until=at(999)),
        f.CallerListed(
            at=at(103),
            entry=CallId("entry-1"),
            centre=DEMO,
            number=own(),
            reason="threats",
            until=at(999),
            by="user:sup",
        ),
    ]


def marked(value: Personal) -> tuple[bytes, str | None, str] | None:
    return MARK.encode(), f"print {MARK}", f"period {MARK}"


async def test_what_is_sealed_stands_in_the_columns_that_are_named_as_personal_and_in_no_other(
    database: Database,
) -> None:
    facts = told_of_persons()
    of_persons = {
        name for name, kind in f.KINDS.items() if re.search(r"\bPersonal\b", repr(get_type_hints(kind)))
    }
    assert of_persons <= {type(fact).__name__ for fact in facts}, "a new one has to be told above"
    await Projection(database, marked).apply([TestFrame(1, 1, facts[-1].at, tuple(facts))])
    found = set()
    async with database.reading() as connection:
        for table in t.metadata.sorted_tables:
            for row in (await connection.execute(select(table))).mappings():
                found |= {(table.name, name) for name, value in row.items() if MARK in str(value)}
    assert found == EACH


def test_a_column_for_what_is_sealed_is_named_as_personal() -> None:
    """By its type, or by its name; the keys of recordings are those of no person."""
    like = {
        (table.name, column.name)
        for table in t.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) or re.search("sealed|fingerprint|period", column.name)
    }
    assert like - {("recordings", "key_period")} == EACH


# -- no samples -------------------------------------------------------------------------------------------------


def at(k: int) -> Instant:
    return Instant(MONDAY_NOON + k * SECOND)


def rows_of(k: int) -> dict[str, dict[str, Any]]:
    """By table. A third of the values stands in two rows: samples are lists of what is frequent, and histograms."""
    n = k % (ROWS - ROWS // 4)
    name, own = f"c{k}", {"centre": DEMO, "queue": "q"}
    counts = dict.fromkeys(("talk_us", "hold_us", "visits", "offers"), 0)
    ours = {
        "calls": {"id": name, "node": "n", "number": "1", "arrived_at": at(k), "by_net": False}
        | {"reconstructed": False}
        | counts
        | own,
        "callers": {"call": name, "centre": DEMO, "at": at(k)},
        "side_calls": {"id": name, "centre": DEMO, "kind": SideKind.OUTGOING, "number": "1", "why": ""}
        | {"began_at": at(k), "reconstructed": False},
        "messages": {"call": name, "left_at": at(k), "due_at": at(k), "state": MessageState.OPEN}
        | {"reconstructed": False}
        | own,
    }
    for table, columns in t.PERSONAL.items():
        for column in columns:
            value = f"{n} {MARK}"
            sealed = isinstance(t.metadata.tables[table].c[column].type, LargeBinary)
            ours[table][column] = value.encode() if sealed else value
    return ours


async def filled(url: str, rows: int = ROWS) -> None:
    database = Database(url)
    try:
        async with database.writing() as connection:
            every = [rows_of(k) for k in range(rows)]
            for table in ("calls", *t.PERSONAL):
                await connection.execute(insert(t.metadata.tables[table]), [each[table] for each in every])
    finally:
        await database.close()


async def ask(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Outside of a transaction, as VACUUM has to be."""
    database = Database(url, for_migration=True)
    try:
        async with database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            told = await plain.execute(text(statement))
            return [tuple(row) for row in told] if told.returns_rows else []
    finally:
        await database.close()


async def sampled(url: str) -> set[tuple[str, str]]:
    """The columns of which there are samples, whatever they say."""
    return set(
        await ask(
            url,
            "SELECT c.relname, a.attname FROM pg_statistic s JOIN pg_class c ON c.oid = s.starelid "
            "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = s.staattnum "
            "WHERE c.relnamespace = 'public'::regnamespace",
        )
    )


async def marks(url: str) -> int:
    """How often a mark stands in what the statistics show. Of bytes they show the hexadecimal digits."""
    told = await ask(url, "SELECT pg_stats::text FROM pg_stats WHERE schemaname = 'public'")
    return sum(str(row[0]).count(MARK) + str(row[0]).count(MARK.encode().hex()) for row in told)


async def test_of_no_column_with_what_belongs_to_a_person_samples_are_taken(server_url: str) -> None:
    await migrate.upgrade(server_url)
    await filled(server_url)
    for statement in ("ANALYZE", "VACUUM (FULL, ANALYZE)"):
        await ask(server_url, statement)
        seen = await sampled(server_url)
        assert seen & EACH == set() and await marks(server_url) == 0
        assert {("callers", "call"), ("side_calls", "began_at"), ("messages", "left_at")} <= seen, (
            "of the rest"
        )


async def test_samples_from_before_go_with_the_upgrade_and_nothing_is_written_anew(server_url: str) -> None:
    files = (
        "SELECT oid::regclass::text, relfilenode FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    await migrate.upgrade(server_url, "0027")
    await filled(server_url)
    await ask(server_url, "ANALYZE")
    assert await sampled(server_url) >= EACH and await marks(server_url) > ROWS
    others, before = await sampled(server_url) - EACH, await ask(server_url, files)
    await migrate.upgrade(server_url, "0028")
    assert await sampled(server_url) == others and await marks(server_url) == 0
    assert set(await ask(server_url, files)) == set(before)
    await migrate.upgrade(server_url)
    assert await migrate.check(server_url) == []
    assert await marks(server_url) == 0
    assert await ask(server_url, "SELECT count(*) FROM callers WHERE fingerprint LIKE '%citizen'") == [
        (ROWS,)
    ]
    await migrate.downgrade(server_url, "0027")
    await ask(server_url, "ANALYZE")
    assert await sampled(server_url) >= EACH


async def test_a_database_that_was_put_back_from_its_copy_samples_as_little(
    postgres: Postgres, server_url: str, tmp_path: Path
) -> None:
    await migrate.upgrade(server_url)
    await filled(server_url)
    again = postgres.new_database()
    await asyncio.to_thread(copying.save, server_url, tmp_path)
    assert await asyncio.to_thread(copying.load, again, tmp_path)
    await ask(again, "ANALYZE")
    seen = await sampled(again)
    assert ("callers", "call") in seen and seen & EACH == set() and await marks(again) == 0


async def test_sqlite_keeps_no_samples_for_callcore_never_asks_it_to(tmp_path: Path) -> None:
    """The tables of samples come with the first ANALYZE."""
    url = f"sqlite:///{tmp_path}/callcore.db"
    await migrate.upgrade(url)
    await filled(url)
    assert await ask(url, "SELECT name FROM sqlite_master WHERE name = 'callers'") == [("callers",)]
    assert await ask(url, "SELECT name FROM sqlite_master WHERE name LIKE 'sqlite_stat%'") == []


async def test_neither_an_index_nor_statistics_over_several_columns_sample_them_instead(
    server_url: str,
) -> None:
    """An index of an expression, and what CREATE STATISTICS makes, have samples of their own."""
    await migrate.upgrade(server_url)
    expressions = (
        "SELECT indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
        "WHERE c.relnamespace = 'public'::regnamespace AND indexprs IS NOT NULL"
    )
    assert await ask(server_url, expressions) == []
    assert await ask(server_url, "SELECT stxname FROM pg_statistic_ext") == []


# -- found without them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("months", [1, 36])
async def test_a_number_is_found_by_its_index_though_nothing_is_known_of_how_numbers_are_spread(
    server_url: str, months: int
) -> None:
    """A number has another fingerprint each month."""
    await migrate.upgrade(server_url)
    database = Database(server_url, deadline_s=600)
    try:
        await fill(database, made_up(20_000))
        await ask(server_url, "VACUUM ANALYZE")
        prints = [f"{k:064x}" for k in range(10**6, 10**6 + months)]
        alone, of_agent = CallSearch(number="x"), CallSearch(number="x", agent=AgentId("1001"))
        of_centre = CallSearch(number="x", centres=[CentreId("oita")])
        day = (Instant(archive.FIRST + 86_400 * SECOND), "node1-1")
        here = RecordingSearch(number="x", centres=[CentreId("oita")], first=archive.FIRST, before=day[0])
        questions = [of_number(RecordingSearch(number="x"), prints, None, None, 50, sqlite=False)]
        questions.append(of_number(here, prints, day, None, 50, sqlite=False))
        questions += [
            calls_asked(each, prints, None, 51, sqlite=False) for each in (alone, of_agent, of_centre)
        ]
        async with database.reading() as connection:
            for asked in questions:
                told = asked.compile(
                    dialect=postgresql.dialect(),
                    compile_kwargs={"literal_binds": True},  # type: ignore[no-untyped-call]
                )
                rows = await connection.exec_driver_sql(f"EXPLAIN {told}")
                plan = "\n".join(str(row[0]) for row in rows)
                assert plan.count("on ix_callers_fingerprint") == months, plan
                for table in ("callers", "calls", "recordings"):
                    assert not re.search(rf"Seq Scan on {table}\b", plan), plan
                assert "ix_calls_arrived_at" not in plan and "ix_recordings_by_time" not in plan, plan
            assert (await connection.exec_driver_sql("SHOW jit")).scalar_one() == "off"
    finally:
        await database.close()


async def test_who_else_bears_a_number_that_is_erased_is_found_by_its_index_too(server_url: str) -> None:
    """As many at once as one statement takes, of one number or of all that an erasure takes along."""
    await migrate.upgrade(server_url)
    await filled(server_url, 20 * ROWS)
    await ask(server_url, "VACUUM ANALYZE")
    database = Database(server_url)
    try:
        async with database.reading() as connection:
            for many, centre in ((36, DEMO), (144, DEMO), (36, None), (500, None)):
                prints = [f"{k:064x}" for k in range(many)]
                for asked, table in zip(
                    bearers(prints, sqlite=False, centre=centre),
                    ("callers", "side_calls", "messages"),
                    strict=True,
                ):
                    told = asked.compile(
                        dialect=postgresql.dialect(),
                        compile_kwargs={"literal_binds": True},  # type: ignore[no-untyped-call]
                    )
                    rows = await connection.exec_driver_sql(f"EXPLAIN {told}")
                    plan = "\n".join(str(row[0]) for row in rows)
                    assert re.search(rf"on ix_{table}_\w*fingerprint", plan), plan
                    assert "Seq Scan" not in plan, plan
    finally:
        await database.close()
