"""Times, lengths and Japanese words come back as they went in, and can be looked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text
from sqlalchemy.exc import StatementError

from callcore.db import Database, Projection
from callcore.db.tables import calls, facts_noted, offers
from callcore.domain.ids import Instant
from tests.support.days import ORDINARY, a_day, seal

FIRST, LAST = -62_104_060_800_000_000, 253_370_764_799_999_999
"""0002-01-01 00:00 and 9998-12-31 23:59:59.999999 UTC."""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


def noted(k: int, at: object, detail: Any = None) -> dict[str, Any]:
    return {"run": 1, "n": 1, "k": k, "at": at, "kind": "試験", "call": None, "detail": detail or {}}


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(FIRST, LAST), min_size=1, max_size=50, unique=True))
@example([0, -1, 1, 999_999, 1_000_000, FIRST, LAST, 1_795_402_800_123_457, 1_795_402_800_000_001])
def test_instants_come_back_exactly_and_in_the_order_of_time(database_url: str, instants: list[int]) -> None:
    async def round_trip() -> None:
        database = Database(database_url)
        try:
            async with database.writing() as connection:
                await connection.execute(facts_noted.delete())
                await connection.execute(insert(facts_noted), [noted(k, at) for k, at in enumerate(instants)])
                asked = select(facts_noted.c.at).order_by(facts_noted.c.at)
                assert list((await connection.execute(asked)).scalars()) == sorted(instants)
                middle = sorted(instants)[len(instants) // 2]
                later = select(facts_noted.c.at).where(facts_noted.c.at >= Instant(middle))
                assert len((await connection.execute(later)).all()) == len(instants) - len(instants) // 2
        finally:
            await database.close()

    asyncio.run(round_trip())


async def test_a_time_in_the_table_can_be_read_by_people_and_is_utc(database: Database) -> None:
    moment = datetime(2026, 11, 23, 12, 0, 0, 123457, ZoneInfo("Asia/Tokyo"))
    at = Instant(int(moment.timestamp()) * 1_000_000 + moment.microsecond)
    async with database.writing() as connection:
        await connection.execute(insert(facts_noted), noted(0, at))
        shown = (await connection.execute(text("SELECT at FROM facts_noted"))).scalar_one()
    if isinstance(shown, datetime):
        assert shown == moment and shown.utcoffset() is not None
    else:
        assert shown == "2026-11-23T03:00:00.123457Z"


@pytest.mark.parametrize(
    "wrong",
    [datetime(2026, 11, 23, 12, 0), datetime(2026, 11, 23, tzinfo=UTC), 1_795_402_800.5, True, "2026-11-23"],  # noqa: DTZ001
)
async def test_a_time_that_is_no_instant_is_refused(database: Database, wrong: object) -> None:
    async with database.reading() as connection:
        with pytest.raises((StatementError, TypeError), match="microseconds since 1970 UTC"):
            await connection.execute(select(calls.c.id).where(calls.c.arrived_at >= wrong))


async def test_japanese_words_can_be_looked_for_in_what_was_stored_as_json(database: Database) -> None:
    detail = {"理由": "昼休み", "一覧": ["髙島屋", "𠮷野", "～"], "english": 3}
    async with database.writing() as connection:
        await connection.execute(insert(facts_noted), [noted(0, 1, detail), noted(1, 2, {"理由": "研修"})])
        by_key = select(facts_noted.c.k).where(facts_noted.c.detail["理由"].as_string() == "昼休み")
        assert list((await connection.execute(by_key)).scalars()) == [0]
        by_place = select(facts_noted.c.k).where(facts_noted.c.detail["一覧", 1].as_string() == "𠮷野")
        assert list((await connection.execute(by_place)).scalars()) == [0]
        assert (
            await connection.execute(select(facts_noted.c.detail).where(facts_noted.c.k == 0))
        ).scalar() == detail


async def test_offers_can_be_looked_for_by_the_words_of_their_reasons(database: Database) -> None:
    await Projection(database, seal).apply(a_day(ORDINARY).frames)
    async with database.reading() as connection:
        idle = select(offers.c.id).where(offers.c.reasons[0].as_string().like("最長待機%"))
        made = select(offers.c.id)
        assert len((await connection.execute(idle)).all()) == len((await connection.execute(made)).all()) == 6
        raw = (await connection.execute(text("SELECT CAST(reasons AS TEXT) FROM offers"))).scalars()
        assert all("最長待機" in each for each in raw)
