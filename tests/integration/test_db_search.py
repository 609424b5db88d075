"""Looking for recordings: by everything that is known of them, page by page, and quickly among very many."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text

from callcore.db import Database, Search
from callcore.domain.ids import SECOND, AgentId, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.recording import Direction, PausedBy, Place, RecordingKind, RecordingMark, Through
from callcore.domain.retention import kept_until, months_of
from callcore.domain.stages import PauseEnd, ResultKind
from callcore.runtime.recordings import RecordingSearch
from tests.support.archive import FIRST, RULES, YEARS_S, Kept, fill, made_up
from tests.support.evidence import evidence

N = 3_000
OFTEN = "e" * 64
"""The fingerprint of a number that very many calls bear."""
OF_MONTHS = tuple(f"{month:02}" + "e" * 62 for month in range(36))
"""Of another such number."""
MIDDLE = Instant(FIRST + YEARS_S * SECOND // 2)
OITA, AGEO, SMALL = CentreId("oita"), CentreId("ageo"), CentreId("izunokuni")
DAY = 86_400 * SECOND
SOON = Instant(FIRST + YEARS_S * SECOND + 30 * DAY)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, deadline_s=600)
    yield opened
    await opened.close()


def fits(one: Kept, wanted: RecordingSearch, prints: tuple[str, ...]) -> bool:
    """The same question asked of one row at a time."""
    row = one.row
    same: dict[str, Any] = {
        name: getattr(wanted, name)
        for name in (
            *(
                "name",
                "call",
                "kind",
                "queue",
                "language",
                "direction",
                "result",
                "result_kind",
                "department",
            ),
            *(
                "through",
                "paused",
                "format",
                "channels",
                "sha256",
                "place",
                "key_period",
                "legal_hold",
            ),
        )
    }
    marks = {
        RecordingMark.ABUSE: row["abuse"],
        RecordingMark.RELAY: row["relay"],
        RecordingMark.COMPLAINT: row["result_kind"] is ResultKind.COMPLAINT,
    }
    bounds = (
        (wanted.first, row["began_at"].__ge__),
        (wanted.before, row["began_at"].__lt__),
        (wanted.seconds_least, row["seconds"].__ge__),
        (wanted.seconds_most, row["seconds"].__le__),
        (wanted.size_least, row["size"].__ge__),
        (wanted.size_most, row["size"].__le__),
        (wanted.ended_from, row["ended_at"].__ge__),
        (wanted.ended_before, row["ended_at"].__lt__),
        (wanted.pauses_least, len(row["pauses"]).__ge__),
        (wanted.segments_least, row["segments"].__ge__),
        (wanted.problem, row["findings"].__contains__),
    )
    return (
        all(value is None or row[name] == value for name, value in same.items())
        and all(bound is None or holds(bound) for bound, holds in bounds)
        and _kept(one, wanted)
        and (wanted.centres is None or row["centre"] in wanted.centres)
        and (wanted.names is None or row["name"] in wanted.names)
        and (wanted.agent is None or wanted.agent in one.agents)
        and (wanted.mark is None or marks[wanted.mark])
        and (
            wanted.pause_ended is None
            or any(p.get("ended") == wanted.pause_ended.value for p in row["pauses"])
        )
        and (wanted.paused_by is None or any(_asked_by(p) is wanted.paused_by for p in row["pauses"]))
        and (wanted.number is None or (one.print in prints and row["side"] is None))
    )


def _kept(one: Kept, wanted: RecordingSearch) -> bool:
    if wanted.kept_before is None and wanted.kept_from is None:
        return True
    row, rule = one.row, RULES.get(one.row["centre"])
    if rule is None or row["place"] is Place.GONE:
        return False
    months = months_of(rule.retention, row["kind"], reported=row["abuse"])
    held, extended = row["legal_hold"], row["keep_until"]
    _, until = kept_until(row["over_at"], months, rule.zone, held=held, extended=extended)
    return (
        until is not None
        and (wanted.kept_before is None or until < wanted.kept_before)
        and (wanted.kept_from is None or until >= wanted.kept_from)
    )


def _asked_by(pause: dict[str, Any]) -> PausedBy | None:
    if "by" not in pause:
        return None
    return PausedBy.KEY if pause["by"] is None else PausedBy.PAGE


def questions(kept: list[Kept]) -> dict[str, tuple[RecordingSearch, tuple[str, ...]]]:
    """One about each thing that is known, and such as people ask; by words that tell them apart."""
    some = next(k for k in kept[len(kept) // 2 :] if k.print is not None and k.row["side"] is None)
    agent = some.agents[0]
    [of_several, *_] = next(k for k in kept if k.row["segments"] > 1).agents

    def asked(**wanted: Any) -> RecordingSearch:
        return RecordingSearch(**wanted)

    alone = {
        "everything": asked(),
        "a centre": asked(centres=[OITA]),
        "a small centre": asked(centres=[SMALL]),
        "two centres": asked(centres=[AGEO, SMALL]),
        "a centre and a day": asked(centres=[OITA], first=MIDDLE, before=Instant(MIDDLE + DAY)),
        "a month long ago": asked(first=FIRST, before=Instant(FIRST + 30 * DAY)),
        "ended on a day": asked(ended_from=MIDDLE, ended_before=Instant(MIDDLE + DAY)),
        "ended lately": asked(ended_from=Instant(FIRST + YEARS_S * SECOND - DAY)),
        "ended long ago, of a small centre": asked(ended_before=Instant(FIRST + 90 * DAY), centres=[SMALL]),
        "ended on a day, an agent's": asked(
            agent=agent, ended_from=MIDDLE, ended_before=Instant(MIDDLE + 20 * DAY)
        ),
        "an agent": asked(agent=agent),
        "an agent and a day": asked(agent=agent, first=MIDDLE, before=Instant(MIDDLE + DAY)),
        "an agent, of a centre that is not his": asked(agent=agent, centres=[SMALL]),
        "an agent who is nobody": asked(agent=AgentId("9999")),
        "a call": asked(call=some.row["call"]),
        "a name": asked(name=some.row["name"]),
        "names": asked(names=[some.row["name"], kept[0].row["name"], "nothing"]),
        "very many names": asked(
            names=[*(k.row["name"] for k in kept[::2]), *(f"node1-{n}.gone" for n in range(100_000))]
        ),
        "a digest": asked(sha256=kept[1].row["sha256"]),
        "a digest that is none": asked(sha256="0" * 64),
        "messages": asked(kind=RecordingKind.MESSAGE),
        "a queue": asked(queue=QueueId("ageo-foreign")),
        "a queue of a centre": asked(centres=[AGEO], queue=QueueId("ageo-foreign")),
        "outgoing": asked(direction=Direction.OUT, centres=[OITA]),
        "a language": asked(language="en"),
        "a rare language of a centre": asked(language="vi", centres=[OITA]),
        "a result": asked(result="苦情"),
        "a result of a small centre": asked(result="案内済み", centres=[SMALL]),
        "a kind of result": asked(result_kind=ResultKind.BOOKING, centres=[OITA]),
        "a department": asked(department=DepartmentId("d7")),
        "a department of a centre": asked(department=DepartmentId("d7"), centres=[OITA]),
        "blind": asked(through=Through.BLIND, centres=[AGEO]),
        "threats": asked(mark=RecordingMark.ABUSE),
        "threats of a centre": asked(mark=RecordingMark.ABUSE, centres=[OITA]),
        "relay": asked(mark=RecordingMark.RELAY),
        "complaints of a small centre": asked(mark=RecordingMark.COMPLAINT, centres=[SMALL]),
        "a problem": asked(problem="missing"),
        "a problem of a centre": asked(problem="missing", centres=[OITA]),
        "a problem that there is not": asked(problem="empty"),
        "a problem that is not the gravest": asked(problem="clipped"),
        "a problem that is not the gravest, of a centre": asked(problem="clipped", centres=[OITA]),
        "a problem that is the gravest of some": asked(problem="short", channels=1),
        "of a call with two recordings": asked(segments_least=2),
        "of a call with three, of a centre": asked(segments_least=3, centres=[AGEO]),
        "of a call with two, clipped": asked(segments_least=2, problem="clipped"),
        "of a call with more than there are": asked(segments_least=9),
        "of a call with two, an agent's": asked(segments_least=2, agent=of_several),
        "of a call with one": asked(segments_least=1, centres=[SMALL]),
        "paused": asked(paused=True),
        "paused of a centre": asked(paused=True, centres=[AGEO]),
        "not paused": asked(paused=False),
        "paused by key": asked(paused_by=PausedBy.KEY),
        "paused by page, of a centre": asked(paused_by=PausedBy.PAGE, centres=[OITA]),
        "paused too long": asked(pause_ended=PauseEnd.TIME),
        "paused by key until the agent left, since a day": asked(
            paused_by=PausedBy.KEY, pause_ended=PauseEnd.TALK_ENDED, first=Instant(FIRST + DAY)
        ),
        "paused twice": asked(pauses_least=2),
        "paused, and it was not": asked(pauses_least=1, paused=False),
        "a format": asked(format="wav"),
        "a format that there is not": asked(format="g722"),
        "two channels": asked(channels=2),
        "two channels of a centre": asked(channels=2, centres=[OITA]),
        "one channel": asked(channels=1),
        "long ones": asked(seconds_least=1800.0),
        "of no length": asked(seconds_most=0.0, centres=[OITA]),
        "large ones": asked(size_least=20_000_000, size_most=30_000_000),
        "in the spool": asked(place=Place.SPOOL),
        "gone": asked(place=Place.GONE),
        "a key's period": asked(key_period="2026-11"),
        "soon to be erased": asked(kept_before=SOON),
        "soon to be erased, of a small centre": asked(kept_before=Instant(SOON + 365 * DAY), centres=[SMALL]),
        "soon to be erased, of two centres": asked(kept_before=SOON, centres=[AGEO, SMALL]),
        "soon to be erased, of a centre that is no more": asked(kept_before=SOON, centres=[CentreId("x")]),
        "soon to be erased, messages": asked(kept_before=SOON, kind=RecordingKind.MESSAGE),
        "soon to be erased, an agent's": asked(kept_before=Instant(SOON + 180 * DAY), agent=agent),
        "soon to be erased, paused": asked(kept_before=SOON, paused=True),
        "soon to be erased, not held, of two channels": asked(
            kept_before=SOON, legal_hold=False, channels=2, centres=[OITA]
        ),
        "soon to be erased, held": asked(kept_before=SOON, legal_hold=True),
        "soon to be erased, threats": asked(kept_before=Instant(SOON + 700 * DAY), mark=RecordingMark.ABUSE),
        "to be kept for long": asked(kept_from=Instant(FIRST + 2 * YEARS_S * SECOND - 30 * DAY)),
        "to be kept for longer than anything": asked(kept_from=Instant(FIRST + 3 * YEARS_S * SECOND)),
        "to be kept from old": asked(kept_from=Instant(0), centres=[SMALL]),
        "to be erased in a week": asked(kept_from=SOON, kept_before=Instant(SOON + 7 * DAY)),
        "to be erased on a day, of a centre": asked(
            kept_from=SOON, kept_before=Instant(SOON + DAY), centres=[OITA]
        ),
        "to be erased in the past": asked(kept_before=FIRST),
        "to be erased ever": asked(kept_before=Instant(253_300_000_000 * SECOND)),
        "held": asked(legal_hold=True),
    }
    whole = {what: (wanted, ()) for what, wanted in alone.items()}
    print_ = some.print or ""
    return {
        **whole,
        "a number": (asked(number="x"), (print_, "f" * 64)),
        "a number of a centre": (asked(number="x", centres=[some.row["centre"]]), (print_,)),
        "a number of nobody": (asked(number="x"), ("f" * 64,)),
    }


async def test_each_question_is_answered_as_by_looking_at_every_row(database: Database) -> None:
    kept = list(made_up(N, often=50))
    await fill(database, iter(kept))
    search = Search(database)
    empty = set()
    for what, (wanted, prints) in questions(kept).items():
        expected = [one for one in reversed(kept) if fits(one, wanted, prints)]
        if not expected:
            empty.add(what)
        found, after = list[dict[str, Any]](), None
        for _ in range(3):
            page = await search.find(wanted, prints, after, 40, RULES)
            found += page
            if len(page) < 40:
                break
            after = page[-1]["began_at"], page[-1]["name"]
        wanted_names = [one.row["name"] for one in expected[:120]]
        assert [row["name"] for row in found] == wanted_names, what
        for row, one in zip(found, expected, strict=False):
            assert {name: row[name] for name in one.row} == one.row, what
            assert row["agents"] == one.agents
    assert empty == {
        *("an agent, of a centre that is not his", "an agent who is nobody", "a digest that is none"),
        *(
            "a problem that there is not",
            "a format that there is not",
            "a key's period",
            "a number of nobody",
            "complaints of a small centre",
            "paused, and it was not",
            "of a call with two, clipped",
            "of a call with more than there are",
            "soon to be erased, of a centre that is no more",
            "soon to be erased, held",
            "to be kept for longer than anything",
            "to be erased in the past",
        ),
    }


async def test_all_recordings_of_a_number_that_has_very_many_are_found(database: Database) -> None:
    """Not among its newest alone: of any centre and any days, whatever else is asked for, page by page."""
    kept = [
        replace(one, print=OFTEN if k % 3 else one.print) for k, one in enumerate(made_up(3 * N, often=50))
    ]
    await fill(database, iter(kept))
    search = Search(database)
    agent, many = next(k.agents[0] for k in kept if k.row["queue"] == "ageo-foreign"), 0
    for wanted in (
        RecordingSearch(number="x"),
        RecordingSearch(number="x", first=FIRST, before=Instant(FIRST + 30 * DAY)),
        RecordingSearch(number="x", before=Instant(MIDDLE - 300 * DAY), centres=[AGEO, SMALL]),
        RecordingSearch(number="x", centres=[SMALL]),
        RecordingSearch(number="x", mark=RecordingMark.ABUSE),
        RecordingSearch(number="x", result="苦情", centres=[OITA]),
        RecordingSearch(number="x", agent=agent, queue=QueueId("ageo-foreign")),
        RecordingSearch(number="x", problem="clipped", first=MIDDLE),
        RecordingSearch(number="x", ended_before=Instant(FIRST + 9 * DAY)),
        RecordingSearch(number="x", kept_before=SOON, kind=RecordingKind.MESSAGE),
        RecordingSearch(number="x", call=next(k.row["call"] for k in kept if k.print == OFTEN)),
        RecordingSearch(number="x", queue=QueueId("nobody")),
    ):
        expected = [one.row["name"] for one in reversed(kept) if fits(one, wanted, (OFTEN,))]
        found, after = list[dict[str, Any]](), None
        while True:
            page = await search.find(wanted, (OFTEN,), after, 500, RULES)
            found += page
            if len(page) < 500:
                break
            after = page[-1]["began_at"], page[-1]["name"]
        assert [row["name"] for row in found] == expected, wanted
        many = max(many, len(expected))
        assert expected or wanted.queue == "nobody"
    assert many > 5 * 1000


async def test_recordings_of_a_number_that_has_very_many_are_gone_through_once(database: Database) -> None:
    """However rare what else is asked for, each by itself, and with little memory for what is found on the way."""
    await fill(database, (replace(one, print=OFTEN) for one in made_up(3 * N)))
    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.execute(text("ANALYZE"))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def told(_c: Any, _d: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:
        if "fingerprint =" in statement:
            asked.append((statement, parameters))

    for wanted in (
        RecordingSearch(number="x"),
        RecordingSearch(number="x", mark=RecordingMark.ABUSE, centres=[SMALL]),
        RecordingSearch(number="x", result="nothing", agent=AgentId("1001"), kept_before=SOON),
    ):
        asked.clear()
        await Search(database).find(wanted, (OFTEN,), None, 50, RULES)
        [(statement, parameters)] = asked
        async with database.reading() as connection:
            if not database.is_sqlite:
                await connection.execute(text("SET LOCAL work_mem = '64kB'"))
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN (ANALYZE, TIMING OFF) "
            rows = await connection.exec_driver_sql(explain + statement, parameters)
            plan = "\n".join(str(row[-1]) for row in rows)
        if database.is_sqlite:
            assert plan.count("SEARCH recordings USING INDEX ix_recordings_call (call=?)") == 1, plan
            assert plan.count("SEARCH recordings USING INDEX ix_recordings_side (side=?)") == 1, plan
        else:
            assert plan.count("Index Scan using ix_recordings_call on recordings") == 1, plan
            assert "Seq Scan on recordings" not in plan and "Bitmap Heap Scan on recordings" not in plan, plan


async def test_reported_ones_are_found_by_the_longer_of_both_months(database: Database) -> None:
    kept = [replace(one, row={**one.row, "abuse": True}) for one in made_up(N // 2, often=50)]
    await fill(database, iter(kept))
    search, found = Search(database), 0
    for days in range(-400, 1200, 200):
        until = Instant(SOON + days * DAY)
        for wanted in (
            RecordingSearch(kept_before=until),
            RecordingSearch(kept_from=until, centres=[AGEO]),
            RecordingSearch(kept_before=until, mark=RecordingMark.ABUSE),
            RecordingSearch(kept_from=Instant(0), kept_before=until, kind=RecordingKind.MESSAGE),
        ):
            expected = [one.row["name"] for one in reversed(kept) if fits(one, wanted, ())]
            rows = await search.find(wanted, (), None, N, RULES)
            assert [row["name"] for row in rows] == expected, wanted
            found += len(rows)
    assert found > N


@pytest.mark.parametrize(
    "wanted",
    [
        RecordingSearch(kept_before=SOON),
        RecordingSearch(kept_from=SOON, centres=[OITA]),
        RecordingSearch(kept_from=SOON, kept_before=Instant(SOON + 7 * DAY), channels=2),
    ],
    ids=["before", "from", "between"],
)
async def test_until_when_they_are_kept_is_asked_of_the_index_of_what_is_there(
    database: Database, wanted: RecordingSearch
) -> None:
    """Each centre and kind by itself, the newest first: no row is looked at that is not kept to then."""
    await fill(database, made_up(4 * N))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(database.engine.sync_engine, "before_cursor_execute")
    def told(_c: Any, _d: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:
        if "over_at" in statement and "UNION ALL" in statement:
            asked.append((statement, parameters))

    if not database.is_sqlite:
        async with database.writing() as connection:
            await connection.execute(text("ANALYZE recordings"))
    assert await Search(database).find(wanted, (), None, 50, RULES)
    [(statement, parameters)] = asked
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN (ANALYZE, TIMING OFF) "
    async with database.reading() as connection:
        plan = "\n".join(
            str(row[-1]) for row in await connection.exec_driver_sql(explain + statement, parameters)
        )
    if database.is_sqlite:
        kinds = sum(
            months_of(RULES[centre].retention, kind, reported=False) > 0
            for centre in wanted.centres or RULES
            for kind in RecordingKind
        )
        assert plan.count("USING INDEX ix_recordings_kept (centre=? AND kind=?") == kinds
        assert plan.count("TEMP B-TREE") <= 1, "of reported ones, which are few"
    else:
        passed_over = sum(int(n) for n in re.findall(r"Rows Removed by Filter: (\d+)", plan))
        assert "Seq Scan" not in plan and passed_over < N // 10, plan


def of_very_many(kept: list[Kept]) -> dict[str, tuple[RecordingSearch, tuple[str, ...]]]:
    """About a number of twenty thousand recordings, with another fingerprint each month."""
    agent = next(k.agents[0] for k in kept if k.row["centre"] == OITA)
    each: dict[str, RecordingSearch] = {
        "": RecordingSearch(number="x"),
        ", of a small centre": RecordingSearch(number="x", centres=[SMALL]),
        ", of a day": RecordingSearch(number="x", first=MIDDLE, before=Instant(MIDDLE + DAY)),
        ", a rare result": RecordingSearch(number="x", result="苦情"),
        ", a result that there is not": RecordingSearch(number="x", result="nothing"),
        ", an agent's": RecordingSearch(number="x", agent=agent),
        ", an agent's who is nobody": RecordingSearch(number="x", agent=AgentId("9999")),
        ", threats of a small centre": RecordingSearch(number="x", mark=RecordingMark.ABUSE, centres=[SMALL]),
        ", paused twice": RecordingSearch(number="x", pauses_least=2),
        ", a problem": RecordingSearch(number="x", problem="clipped"),
        ", long ones": RecordingSearch(number="x", seconds_least=1800.0),
        ", soon to be erased": RecordingSearch(number="x", kept_before=SOON),
        ", to be kept for longer than anything": RecordingSearch(
            number="x", kept_from=Instant(FIRST + 3 * YEARS_S * SECOND)
        ),
    }
    return {f"a number of very many{what}": (wanted, OF_MONTHS) for what, wanted in each.items()}


MILLION = 1_000_000


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_a_page_among_a_million_recordings_is_there_within_a_second(database: Database) -> None:
    """Each question twice, and once more from the middle of what it finds; the longest of all counts."""
    sample: list[Kept] = []

    def seen() -> Iterator[Kept]:
        for n, one in enumerate(made_up(MILLION)):
            if n % 100 == 0:
                sample.append(one)
            often = n % 45 == 1  # of those that have a caller, 20,000
            yield replace(one, print=OF_MONTHS[n * len(OF_MONTHS) // MILLION]) if often else one

    began = time.monotonic()
    await fill(database, seen())
    filled = time.monotonic() - began
    search = Search(database)
    took: dict[str, float] = {}
    for what, (wanted, prints) in (questions(sample) | of_very_many(sample)).items():
        after = None
        for _ in range(3):
            asked = time.monotonic()
            page = await search.find(wanted, prints, after, 50, RULES)
            took[what] = max(took.get(what, 0.0), round(time.monotonic() - asked, 4))
            if len(page) == 50:
                after = page[-1]["began_at"], page[-1]["name"]
    kind = "sqlite" if database.is_sqlite else "postgresql"
    evidence(
        f"search among {MILLION:,} recordings, {kind}",
        {"filled_s": round(filled), "longest_s": max(took.values()), "each_s": took},
    )
    assert max(took.values()) < 1.0, sorted(took.items(), key=lambda item: -item[1])[:8]
