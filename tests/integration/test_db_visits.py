"""Looking for stays in queues: by all that is known of them, page by page, and along an index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite

from callcore.db import Database, Queries
from callcore.db import tables as t
from callcore.db.queries import visits_asked
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, QueueId, VisitId
from callcore.domain.stages import Outcome
from callcore.runtime.detail import VisitCursor, VisitSearch
from tests.support.floors import MONDAY_NOON

OITA, AGEO, NOWHERE = CentreId("oita"), CentreId("ageo"), CentreId("nowhere")
GENERAL, ENGLISH = QueueId("oita-general"), QueueId("oita-english")
CALLS = 120


@dataclass(frozen=True, slots=True)
class Stay:
    row: dict[str, Any]
    centre: CentreId


def at(s: float) -> Instant:
    return Instant(MONDAY_NOON + round(s * SECOND))


def made_up() -> list[Stay]:
    """Two stays of each third call, one of the others; three calls begin at the same instant. Oldest first."""
    stays = []
    for n in range(CALLS):
        centre = AGEO if n % 10 == 9 else OITA
        queue = QueueId("ageo-general") if centre == AGEO else GENERAL
        begins, twice = n // 3 * 60, n % 3 == 0
        parts = [(queue, begins, "requeued" if twice else "answered")]
        if twice:
            parts.append((ENGLISH if centre == OITA else queue, begins + 20, Outcome.ABANDONED.value))
        for k, (into, s, outcome) in enumerate(parts, 1):
            open_still = n >= CALLS - 2
            stays.append(
                Stay(
                    {
                        "id": VisitId(f"n1-{n:03}.1/{k}"),
                        "call": CallId(f"n1-{n:03}.1"),
                        "queue": into,
                        "priority": 5 - k,
                        "entered_at": at(s),
                        "since": at(begins),
                        "in_net": False,
                        "ended_at": None if open_still else at(s + 20),
                        "outcome": None if open_still else outcome,
                        "reconstructed": False,
                        "position": k,
                        "estimate_s": 12.5 if n % 2 else None,
                        "reasons": ["優先リスト"] if k == 2 else None,
                    },
                    centre,
                )
            )
    return sorted(stays, key=lambda one: (one.row["entered_at"], one.row["id"]))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    centres = {one.row["call"]: one.centre for one in made_up()}
    async with opened.writing() as connection:
        await connection.execute(
            insert(t.calls),
            [
                {
                    "id": call,
                    "node": "n1",
                    "centre": centre,
                    "queue": GENERAL,
                    "number": "0975105151",
                    "arrived_at": at(0),
                    "by_net": False,
                    "talk_us": 0,
                    "hold_us": 0,
                    "visits": 1,
                    "offers": 0,
                    "reconstructed": False,
                }
                for call, centre in centres.items()
            ],
        )
        await connection.execute(insert(t.visits), [one.row for one in made_up()])
    yield opened
    await opened.close()


QUESTIONS = {
    "everything": VisitSearch(),
    "a centre": VisitSearch(centres=[AGEO]),
    "two centres": VisitSearch(centres=[AGEO, OITA]),
    "a centre without calls": VisitSearch(centres=[NOWHERE]),
    "no centre at all": VisitSearch(centres=[]),
    "a queue": VisitSearch(queue=ENGLISH),
    "a queue of another centre": VisitSearch(centres=[AGEO], queue=ENGLISH),
    "from an instant on": VisitSearch(first=at(600)),
    "before an instant": VisitSearch(before=at(600)),
    "a queue and some minutes": VisitSearch(queue=GENERAL, first=at(600), before=at(1200)),
    "a call": VisitSearch(call=CallId("n1-030.1")),
    "a call that is none": VisitSearch(call=CallId("n1-999.1")),
    "sent on": VisitSearch(outcome="requeued"),
    "answered, of a centre": VisitSearch(centres=[AGEO], outcome="answered"),
    "hung up": VisitSearch(outcome=Outcome.ABANDONED.value),
}
NOTHING = {"a centre without calls", "no centre at all", "a queue of another centre", "a call that is none"}


def fits(one: Stay, wanted: VisitSearch) -> bool:
    row = one.row
    return (
        (wanted.centres is None or one.centre in wanted.centres)
        and all(getattr(wanted, name) in (None, row[name]) for name in ("queue", "call", "outcome"))
        and (wanted.first is None or row["entered_at"] >= wanted.first)
        and (wanted.before is None or row["entered_at"] < wanted.before)
    )


async def test_each_question_is_answered_as_by_looking_at_every_stay(database: Database) -> None:
    queries, stays, empty = Queries(database), made_up(), set()
    for what, wanted in QUESTIONS.items():
        expected = [one for one in reversed(stays) if fits(one, wanted)]
        if not expected:
            empty.add(what)
        found, after = list[tuple[Any, ...]](), None
        while True:
            page, after = await queries.visits(wanted, after, 7)
            found += page
            if after is None:
                break
            assert len(page) == 7, what
        assert [visit.id for _, _, visit in found] == [one.row["id"] for one in expected], what
        for (call, centre, visit), one in zip(found, expected, strict=True):
            assert (call, centre) == (one.row["call"], one.centre)
            told = {name: value for name, value in one.row.items() if name not in ("call", "reasons")}
            assert {name: getattr(visit, name) for name in told} == told
            assert visit.reasons == tuple(one.row["reasons"] or ())
    assert empty == NOTHING


BY_TIME, BY_QUEUE, BY_CALL = "ix_visits_entered_at_id", "ix_visits_queue_entered_at", "ix_visits_call"


@pytest.mark.parametrize(
    ("wanted", "after", "index"),
    [
        (VisitSearch(), None, {BY_TIME}),
        (VisitSearch(), (at(600), VisitId("n1-030.1/1")), {BY_TIME}),
        (VisitSearch(centres=[OITA]), None, {BY_TIME}),
        (VisitSearch(centres=[OITA, AGEO], outcome="requeued"), None, {BY_TIME}),
        (VisitSearch(first=at(600), before=at(660)), None, {BY_TIME}),
        (VisitSearch(queue=ENGLISH), None, {BY_QUEUE, BY_TIME}),
        (VisitSearch(call=CallId("n1-030.1")), None, {BY_CALL}),
    ],
)
async def test_a_page_is_read_along_an_index_and_nothing_before_it_is_put_in_order(
    database: Database, wanted: VisitSearch, after: VisitCursor | None, index: set[str]
) -> None:
    """PostgreSQL reads so few rows as these otherwise faster, so that is forbidden it here."""
    dialect = sqlite.dialect() if database.is_sqlite else postgresql.dialect()
    asked = visits_asked(wanted, after).limit(50)
    told = str(asked.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    async with database.reading() as connection:
        if not database.is_sqlite:
            by_time = ("sort",) if index == {BY_TIME} else ()  # the few of one call may be put in order
            for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", *by_time):
                await connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        rows = (await connection.exec_driver_sql(f"{explain} {told}")).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    assert any(each in plan for each in index), plan
    assert "SCAN calls" not in plan and "Seq Scan" not in plan, plan
    if index == {BY_TIME}:
        assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
