"""Stored calls are looked for in both databases, and each one's facts are read from a real journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.db import Database, Projection, Queries
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome
from callcore.journal import KeyStore, period_of
from callcore.runtime.detail import CallSearch, VisitSearch
from callcore.settings import Settings
from callcore.stored import Stored
from tests.support.days import a_day
from tests.support.tapes import journaled

pytestmark = pytest.mark.timeout(240)

DEMO = CentreId("demo")


async def test_a_call_is_found_by_number_agent_outcome_and_time_and_its_facts_are_those_of_the_journal(
    database_url: str, tmp_path: Path
) -> None:
    verbs = ("come", "pick_up", "caller_ends", "closed", "come", "finish_wrap_up")
    day = a_day([(verb, 0) for verb in verbs] * 6)
    settings = Settings(home=tmp_path, database_url=database_url)
    journaled(day.frames, tmp_path)
    database = Database(database_url)
    with KeyStore.open(settings.journal, settings.keys) as keys:

        def seal(value: Personal) -> tuple[bytes, str | None, str] | None:
            assert value.text is not None
            sealed = keys.seal(value.call, value.centre, value.at, value.text)
            assert sealed is not None
            return sealed, keys.fingerprint(value.centre, value.at, value.text), period_of(value.at)

        try:
            await Projection(database, seal).apply(day.frames)
            stored = Stored(settings, Queries(database), keys, lambda: (DEMO,), lambda: day.floor.at)
            records = sorted(day.books.records.values(), key=lambda r: (r.arrived_at, r.call), reverse=True)
            numbers = {
                fact.call: fact.caller.text
                for frame in day.frames
                for fact in frame.facts
                if isinstance(fact, f.CallArrived)
            }

            async def found(wanted: CallSearch) -> list[CallId]:
                page = await stored.find(wanted, None, 500)
                assert all(
                    each.caller is None or each.caller.text == numbers[each.record.call]
                    for each in page.calls
                )
                return [each.record.call for each in page.calls]

            one = next(r for r in records if r.agent is not None and numbers[r.call] is not None)
            number, middle = numbers[one.call], records[len(records) // 2].arrived_at
            assert number is not None
            for wanted, fits in (
                (CallSearch(), lambda r: True),
                (CallSearch(centres=[DEMO]), lambda r: True),
                (CallSearch(centres=[CentreId("other")]), lambda r: False),
                (CallSearch(first=middle), lambda r: r.arrived_at >= middle),
                (CallSearch(before=middle), lambda r: r.arrived_at < middle),
                (CallSearch(number=number), lambda r: numbers[r.call] == number),
                (CallSearch(number=f"+81{number[1:]}"), lambda r: numbers[r.call] == number),
                (CallSearch(number="0000"), lambda r: False),
                (CallSearch(agent=one.agent), lambda r: r.agent == one.agent),
                (CallSearch(agent=AgentId("9999")), lambda r: False),
                (CallSearch(outcomes=[Outcome.CLOSED]), lambda r: r.outcome is Outcome.CLOSED),
                (CallSearch(open=True), lambda r: r.ended_at is None),
                (CallSearch(open=False), lambda r: r.ended_at is not None),
            ):
                assert await found(wanted) == [r.call for r in records if fits(r)], wanted
            page = await stored.find(CallSearch(), None, 5)
            rest = await stored.find(CallSearch(), page.after, 500)
            assert [c.record.call for c in page.calls + rest.calls] == [r.call for r in records]

            entered = [r.call for r in records if r.entered_at is not None]
            stays = await stored.visits(VisitSearch(centres=[DEMO]), None, 3)
            older = await stored.visits(VisitSearch(centres=[DEMO]), stays.after, 500)
            assert sorted({each.call for each in stays.visits + older.visits}) == sorted(entered)
            assert (len(stays.visits), older.after) == (3, None)
            [of_one] = (await stored.visits(VisitSearch(call=one.call), None, 500)).visits
            detail = await stored.call(one.call)
            assert detail is not None and (of_one.visit,) == detail.visits
            assert (of_one.centre, of_one.visit.outcome) == (DEMO, "answered")

            seq, kept = await stored.day(DEMO, Instant(0), Instant(4_000_000_000 * SECOND))
            assert (tuple(seq), sorted(r.call for r in kept)) == (
                (day.frames[-1].run, day.frames[-1].n),
                sorted(r.call for r in records),
            )
            for record in (records[0], one, records[-1]):
                told = await stored.journal(record)
                of_call = [
                    ((frame.run, frame.n), fact)
                    for frame in day.frames
                    for fact in frame.facts
                    if getattr(fact, "call", None) == record.call
                ]
                assert [(tuple(each.seq), each.fact) for each in told] == of_call
                assert of_call
        finally:
            await database.close()
