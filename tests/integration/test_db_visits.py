"""Looking for stays in queues: by all that is known of them, page by page, and along an index."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite

from callcore.db import Database, DatabaseAway, Queries, Search
from callcore.db import tables as t
from callcore.db.queries import Page, visits_asked
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, QueueId, VisitId
from callcore.domain.stages import Outcome
from callcore.runtime.detail import CallSearch, VisitCursor, VisitSearch
from callcore.runtime.recordings import RecordingSearch
from tests.support.archive import CHUNK, put
from tests.support.evidence import evidence
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
                        "centre": centre,
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


def _a_call(call: CallId, centre: CentreId) -> dict[str, Any]:
    return {
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


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, deadline_s=600)
    yield opened
    await opened.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    centres = {one.row["call"]: one.centre for one in made_up()}
    async with opened.writing() as connection:
        await connection.execute(insert(t.calls), [_a_call(*each) for each in centres.items()])
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
    "hung up, of two centres": VisitSearch(centres=[AGEO, OITA], outcome=Outcome.ABANDONED.value),
    "two centres and some minutes": VisitSearch(centres=[AGEO, OITA], first=at(600), before=at(1200)),
    "two centres, one of them without calls": VisitSearch(centres=[AGEO, NOWHERE]),
    "a call of one of two centres": VisitSearch(centres=[AGEO, OITA], call=CallId("n1-030.1")),
    "a call of another centre": VisitSearch(centres=[AGEO], call=CallId("n1-030.1")),
    "a call of no centre": VisitSearch(centres=[], call=CallId("n1-030.1")),
    "hung up": VisitSearch(outcome=Outcome.ABANDONED.value),
}
NOTHING = {
    *("a centre without calls", "no centre at all", "a queue of another centre", "a call that is none"),
    *("a call of another centre", "a call of no centre"),
}


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
            told = {n: value for n, value in one.row.items() if n not in ("call", "centre", "reasons")}
            assert {name: getattr(visit, name) for name in told} == told
            assert visit.reasons == tuple(one.row["reasons"] or ())
    assert empty == NOTHING


async def test_of_no_centre_at_all_nothing_is_found_and_no_table_is_read(tmp_path: Path) -> None:
    """There is no database here that could be."""
    database = Database(f"sqlite:///{tmp_path}/missing/callcore.db")
    try:
        queries = Queries(database)
        for call in (None, CallId("n1-030.1")):
            assert await queries.visits(VisitSearch(centres=[], call=call)) == ([], None)
        assert await queries.calls(CallSearch(centres=[])) == Page((), None)
        assert await Search(database).find(RecordingSearch(centres=[]), (), None, 50, {}) == []
        with pytest.raises(DatabaseAway):
            await queries.visits(VisitSearch(centres=[OITA]))
    finally:
        await database.close()


BY_TIME, BY_CENTRE, BY_QUEUE = "ix_visits_by_time", "ix_visits_by_centre", "ix_visits_by_queue"
BY_CALL = "ix_visits_call"


@pytest.mark.parametrize(
    ("wanted", "after", "index"),
    [
        (VisitSearch(), None, {BY_TIME}),
        (VisitSearch(), (at(600), VisitId("n1-030.1/1")), {BY_TIME}),
        (VisitSearch(first=at(600), before=at(660)), None, {BY_TIME}),
        (VisitSearch(outcome=Outcome.OVERFLOW_KEY.value), None, {BY_TIME}),
        (VisitSearch(centres=[OITA]), None, {BY_CENTRE}),
        (VisitSearch(centres=[OITA]), (at(600), VisitId("n1-030.1/1")), {BY_CENTRE}),
        (VisitSearch(centres=[OITA], outcome="requeued"), None, {BY_CENTRE}),
        (VisitSearch(centres=[OITA, AGEO], outcome="requeued"), None, {BY_CENTRE}),
        (VisitSearch(queue=ENGLISH), None, {BY_QUEUE, BY_TIME}),
        (VisitSearch(call=CallId("n1-030.1")), None, {BY_CALL}),
        (VisitSearch(call=CallId("n1-030.1"), centres=[OITA]), None, {BY_CALL}),
    ],
)
async def test_a_page_is_read_along_an_index_and_nothing_before_it_is_put_in_order(
    database: Database, wanted: VisitSearch, after: VisitCursor | None, index: set[str]
) -> None:
    """PostgreSQL reads so few rows as these otherwise faster, so that is forbidden it here. Of several centres the page
    of each is put in order, and no more."""
    several = wanted.centres is not None and len(wanted.centres) > 1
    ordered = index in ({BY_TIME}, {BY_CENTRE}) and not several
    dialect = sqlite.dialect() if database.is_sqlite else postgresql.dialect()
    told = str(
        visits_asked(wanted, after, 50).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    )
    async with database.reading() as connection:
        if not database.is_sqlite:
            by_time = ("sort",) if ordered else ()  # the few of one call may be put in order
            for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin", *by_time):
                await connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        rows = (await connection.exec_driver_sql(f"{explain} {told}")).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    assert any(each in plan for each in index), plan
    assert "calls" not in plan and "Seq Scan" not in plan, plan
    if ordered:
        assert "TEMP B-TREE" not in plan and "Sort" not in plan, plan
    if several:
        lines = plan.splitlines()
        assert plan.count(BY_CENTRE) == 2 and plan.count("Sort Key") < 2, plan
        assert not any(BY_CENTRE in line and "TEMP B-TREE" in then for line, then in pairwise(lines)), plan


MILLION = 1_000_000
SMALL, QUIET = CentreId("izunokuni"), CentreId("sogo")
RARE = Outcome.OVERFLOW_KEY.value


async def many(database: Database, n: int) -> None:
    """Stays of years, oldest first. One in a thousand is of a small centre; one in a hundred thousand ended in what is
    rare; of one centre there were many, and none for years."""
    for first in range(0, n, CHUNK):
        calls, stays = [], []
        for k in range(first, min(n, first + CHUNK)):
            centre = SMALL if k % 1000 == 0 else QUIET if k < n // 4 else AGEO if k % 3 == 0 else OITA
            call = CallId(f"n1-{k:07}.1")
            calls.append(_a_call(call, centre))
            stay = {"id": VisitId(f"{call}/1"), "call": call, "centre": centre, "priority": 5}
            stay |= {"queue": QueueId(f"{centre}-{'general' if k % 5 else 'foreign'}"), "since": at(30 * k)}
            outcome = RARE if k % 100_000 == 1 else Outcome.ABANDONED.value if k % 9 == 0 else "answered"
            stay |= {"entered_at": at(30 * k), "ended_at": at(30 * k + 20), "outcome": outcome}
            stays.append(stay | {"in_net": False, "reconstructed": False})
        await put(database, t.calls, calls)
        await put(database, t.visits, stays)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_page_among_a_million_stays_is_there_within_a_second(empty: Database) -> None:
    """Each question from the newest on, and once more from the end of its page."""
    await many(empty, MILLION)
    queries, took = Queries(empty), dict[str, float]()
    rare = {"a rare centre", "a rare outcome", "a rare outcome of a centre", "a centre of long ago"}
    questions = {
        "everything": VisitSearch(),
        "a centre": VisitSearch(centres=[OITA]),
        "a rare centre": VisitSearch(centres=[SMALL]),
        "a centre of long ago": VisitSearch(centres=[QUIET]),
        "a centre without stays": VisitSearch(centres=[NOWHERE]),
        "two rare centres": VisitSearch(centres=[SMALL, NOWHERE]),
        "all centres": VisitSearch(centres=[OITA, AGEO, SMALL, QUIET]),
        "a rare outcome": VisitSearch(outcome=RARE),
        "an outcome that was not": VisitSearch(outcome=Outcome.MESSAGE_LEFT.value),
        "a rare outcome of a centre": VisitSearch(centres=[OITA], outcome=RARE),
        "an outcome that was not, of a rare centre": VisitSearch(centres=[SMALL], outcome=RARE),
        "an outcome that was not, of two": VisitSearch(
            centres=[OITA, AGEO], outcome=Outcome.MESSAGE_LEFT.value
        ),
        "a rare queue": VisitSearch(queue=QueueId("izunokuni-foreign")),
        "a queue of another centre": VisitSearch(centres=[AGEO], queue=QueueId("oita-general")),
        "a queue with what was not": VisitSearch(
            queue=QueueId("oita-general"), outcome=Outcome.MESSAGE_LEFT.value
        ),
        "a call": VisitSearch(centres=[OITA], call=CallId("n1-0700001.1")),
        "a day of long ago": VisitSearch(first=at(86_400), before=at(2 * 86_400)),
        "a month of long ago, answered": VisitSearch(before=at(30 * 86_400), outcome="answered"),
    }
    for what, wanted in questions.items():
        after: VisitCursor | None = None
        for _ in range(2):
            asked = time.monotonic()
            page, after = await queries.visits(wanted, after, 50)
            took[what] = max(took.get(what, 0.0), round(time.monotonic() - asked, 4))
            assert page or what not in rare, what
            if after is None:
                break
    kind = "sqlite" if empty.is_sqlite else "postgresql"
    evidence(f"stays among {MILLION:,}, {kind}", {"longest_s": max(took.values()), "each_s": took})
    assert max(took.values()) < 1.0, sorted(took.items(), key=lambda item: -item[1])[:8]
