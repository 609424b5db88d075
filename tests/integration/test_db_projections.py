"""What the tables hold after the journal was drained into them, once, twice, or with a kill in between."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from callcore.db import Database, Projection, Queries
from callcore.db.tables import calls, facts_noted, metadata, visits
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, NodeId, QueueId, VisitId
from callcore.domain.measures import figures, imbalance
from callcore.domain.personal import Personal
from callcore.domain.stages import OfferStage, Outcome, Party
from callcore.runtime.detail import CallSearch
from callcore.runtime.ports import Seq
from tests.support.days import ORDINARY, VERBS, Choice, TestFrame, a_day, books, seal
from tests.support.floors import MONDAY_NOON

DEMO = CentreId("demo")
DAY = (Instant(MONDAY_NOON - 43_200 * SECOND), Instant(MONDAY_NOON + 43_200 * SECOND))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def everything(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables."""
    async with database.reading() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


async def drained(database: Database, frames: Sequence[TestFrame], batch: int = 7) -> None:
    sink = Projection(database, seal)
    for first in range(0, len(frames), batch):
        await sink.apply(frames[first : first + batch])


async def test_draining_the_same_journal_twice_gives_the_same_rows(database: Database) -> None:
    frames = a_day(ORDINARY).frames
    await drained(database, frames)
    once = await everything(database)
    assert len(once["calls"]) == 8 and len(once["recordings"]) == 3 and len(once["agent_sessions"]) == 3
    await drained(database, frames, batch=11)
    assert await everything(database) == once
    assert await Projection(database, seal).position() == Seq(frames[-1].run, frames[-1].n)


async def test_a_batch_from_further_back_adds_only_what_is_new(database: Database) -> None:
    frames = a_day(ORDINARY).frames
    sink = Projection(database, seal)
    assert await sink.position() is None
    await sink.apply(frames[:30])
    at_thirty = await everything(database)
    await sink.apply(frames[10:25])
    assert await everything(database) == at_thirty
    await sink.apply([*frames[12:40], *frames[38:40]])
    by_overlap = await everything(database)
    assert await sink.position() == Seq(frames[39].run, frames[39].n)
    await sink.apply(frames[:40])
    assert await everything(database) == by_overlap


async def test_a_step_of_the_wall_clock_in_a_talk_leaves_table_and_board_with_the_same_lengths(
    database: Database,
) -> None:
    day = a_day([("come", 0), ("pick_up", 0), ("come", 1), ("come", 2)])
    day.tell(i.ClockJumped(at=day.at(day.s - 3590), by=-3600 * SECOND))
    day.s -= 3580
    day.live([("agent_ends", 0), ("pick_up", 0), ("caller_ends", 0)])
    await drained(database, day.frames, batch=2)
    told = {r.call: r for r in await Queries(database).records(DEMO, *DAY)}
    assert told == dict(books(day.frames).records)
    assert all(0 < r.talk < 60 * SECOND for r in told.values() if r.talk)
    assert any(r.talk for r in told.values())


async def test_a_new_run_of_the_engine_begins_counting_again_and_its_frames_are_taken(
    database: Database,
) -> None:
    day = a_day(ORDINARY)
    second = TestFrame(2, 1, day.at(900), (f.RunStarted(at=day.at(900), run=2, software="next"),))
    await drained(database, [*day.frames, second])
    assert await Projection(database, seal).position() == Seq(2, 1)
    async with database.reading() as connection:
        asked = (
            select(facts_noted.c.detail).where(facts_noted.c.kind == "RunStarted").order_by(facts_noted.c.run)
        )
        runs = list((await connection.execute(asked)).scalars())
    assert [(each["run"], each["software"]) for each in runs] == [(1, "test"), (2, "next")]


async def test_two_drains_at_once_write_everything_once(database: Database) -> None:
    frames = a_day(ORDINARY).frames
    sink = Projection(database, seal)
    await sink.apply(frames[:5])
    await asyncio.gather(
        *(Projection(database, seal).apply(frames[:end]) for end in (20, 40, 60, len(frames)))
    )
    found = await everything(database)
    other = [r.call for r in await Queries(database).records(DEMO, *DAY)]
    assert sorted(row[0] for row in found["calls"]) == sorted(other) and len(other) == 8
    assert await sink.position() == Seq(frames[-1].run, frames[-1].n)


async def test_every_record_comes_back_as_it_was_folded(database: Database) -> None:
    frames = a_day(ORDINARY).frames
    await drained(database, frames, batch=1)
    wanted = sorted(books(frames).of(DEMO, *DAY), key=lambda r: (r.arrived_at, r.call))
    assert await Queries(database).records(DEMO, *DAY) == wanted


choices = st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 99)), min_size=5, max_size=60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lived=choices, batch=st.integers(1, 50), cut=st.integers(5, 150))
def test_figures_from_the_tables_are_the_live_figures(
    database_url: str, lived: list[Choice], batch: int, cut: int
) -> None:
    frames = a_day(lived).frames[:cut]

    async def compare() -> None:
        database = Database(database_url)
        try:
            async with database.writing() as connection:
                for table in reversed(metadata.sorted_tables):
                    await connection.execute(table.delete())
            await drained(database, frames, batch)
            seq, records = await Queries(database).records_at(DEMO, *DAY)
            assert seq == Seq(frames[-1].run, frames[-1].n)
            live = books(frames).of(DEMO, *DAY)
            at = Instant(frames[-1].at + 3 * SECOND)
            from_tables = figures(records, at=at, service_level_s=20)
            assert from_tables == figures(live, at=at, service_level_s=20)
            assert imbalance(from_tables) is None
        finally:
            await database.close()

    asyncio.run(compare())


async def test_a_call_can_be_followed_from_its_visits_to_its_recording(database: Database) -> None:
    day = a_day()
    day.live([("come", 0), ("ring_out", 0), ("pick_up", 0), ("hold", 0), ("agent_ends", 0), ("record", 0)])
    await drained(database, day.frames)
    queries = Queries(database)
    found = await queries.call(CallId("node1-1.1"))
    assert found is not None
    record = found.call.record
    assert (record.outcome, record.hung_up_by, record.agent) == (Outcome.COMPLETED, Party.AGENT, "1002")
    assert record.hold > 0 and record.talk > record.hold and found.call.node == "node1"
    assert found.call.admission is not None and "pushed" in found.call.admission
    [visit] = found.visits
    assert (visit.queue, visit.outcome, visit.in_net) == ("demo-general", "answered", False)
    assert visit.ended_at == record.answered_at and visit.entered_at == record.entered_at
    rang_out, answered = found.offers
    assert (rang_out.agent, rang_out.result) == ("1001", OfferStage.NO_ANSWER)
    assert rang_out.rest_until == Instant((rang_out.ended_at or 0) + 20 * SECOND)
    assert rang_out.reason is not None and "応答なし" in rang_out.reason
    assert (answered.agent, answered.result) == ("1002", OfferStage.ANSWERED)
    assert answered.reasons[0].startswith("最長待機") and answered.rang_at is not None
    assert found.recording is not None and found.recording.size == 16_044
    assert found.caller is not None and found.caller.sealed == b"8765432130"
    assert found.caller.period == "2026-11"
    assert await queries.call(CallId("node1-9.9")) is None


async def test_a_caller_s_number_stands_in_no_table_in_the_clear(database: Database) -> None:
    await drained(database, a_day(ORDINARY).frames)
    assert "0312345678" not in repr(await everything(database))


async def test_a_withheld_number_and_one_whose_key_is_gone_leave_no_caller_and_change_no_figure(
    database: Database,
) -> None:
    day = a_day([("closed", 0), ("closed", 1), ("come", 0)])
    frames = [
        replace(
            frame,
            facts=tuple(
                replace(fact, caller=Personal(fact.call, fact.centre, fact.at, None))
                if isinstance(fact, f.CallArrived) and fact.call == "node1-1.1"
                else fact
                for fact in frame.facts
            ),
        )
        for frame in day.frames
    ]
    destroyed = Projection(database, lambda value: None if value.call == "node1-3.3" else seal(value))
    await destroyed.apply(frames)
    queries = Queries(database)
    for call in ("node1-1.1", "node1-2.2", "node1-3.3"):
        found = await queries.call(CallId(call))
        assert found is not None and found.caller is None
    wanted = sorted(books(day.frames).of(DEMO, *DAY), key=lambda r: r.arrived_at)
    assert await queries.records(DEMO, *DAY) == wanted


async def test_a_seal_that_fails_writes_nothing_and_is_not_taken_for_a_missing_database(
    database: Database,
) -> None:
    def lost(value: Personal) -> tuple[bytes, str | None, str]:
        raise OSError("the key file is not there")

    frames = a_day(ORDINARY).frames
    with pytest.raises(OSError, match="key file"):
        await Projection(database, lost).apply(frames)
    assert await Projection(database, seal).position() is None


async def test_facts_of_a_call_that_nobody_saw_arrive_make_no_row_and_are_written_down(
    database: Database,
) -> None:
    frames = a_day([("come", 0), ("pick_up", 0), ("agent_ends", 0), ("record", 0)]).frames
    without = [x for x in frames if not any(isinstance(fact, f.CallArrived) for fact in x.facts)]
    await drained(database, without)
    found = await everything(database)
    assert found["calls"] == found["visits"] == found["offers"] == found["recordings"] == []
    assert found["recording_agents"] == []
    async with database.reading() as connection:
        asked = select(facts_noted.c.detail).where(facts_noted.c.kind == "CallUnknown")
        told = {row["fact"] for row in (await connection.execute(asked)).scalars()}
    assert {"VisitBegan", "OfferMade", "CallAnswered", "CallEnded", "RecordingFiled"} <= told


async def test_gaps_in_the_watch_and_differences_can_be_looked_up(database: Database) -> None:
    await drained(database, a_day(ORDINARY).frames)
    async with database.reading() as connection:
        asked = select(facts_noted.c.kind, facts_noted.c.call, facts_noted.c.detail).order_by(facts_noted.c.n)
        rows = (await connection.execute(asked)).all()
    kinds = [row.kind for row in rows]
    assert kinds[:3] == ["RunStarted", "Configured", "LinkGained"]
    assert kinds.count("LinkLost") == 1 and kinds.count("LinkGained") == 2
    [differed, _] = [row for row in rows if row.kind == "AdmissionDiffered"]
    assert differed.call == "node1-3.3" and differed.detail["told_open"] is False


async def test_who_listed_a_caller_and_took_him_off_can_be_looked_up_without_the_number(
    database: Database,
) -> None:
    entry, at = CallId("blocked-1"), Instant(MONDAY_NOON)
    facts: tuple[f.Fact, ...] = (
        f.CallerListed(
            at=at,
            entry=entry,
            centre=DEMO,
            number=Personal(entry, DEMO, at, "09012345678"),
            reason="暴言",
            until=Instant(at + SECOND),
            by="user:sato",
        ),
        f.CallerUnlisted(at=Instant(at + SECOND), entry=entry, centre=DEMO),
    )
    await drained(database, [TestFrame(1, 1, at, facts)])
    found = await everything(database)
    assert "09012345678" not in str(found)
    async with database.reading() as connection:
        asked = select(facts_noted.c.kind, facts_noted.c.detail).order_by(facts_noted.c.n, facts_noted.c.kind)
        rows = (await connection.execute(asked)).all()
    assert [row.kind for row in rows] == ["CallerListed", "CallerUnlisted"]
    listed, over = (row.detail for row in rows)
    assert (listed["entry"], listed["reason"], listed["by"]) == (entry, "暴言", "user:sato")
    assert over["by"] is None


async def test_who_was_signed_in_when_and_why_not_any_more(database: Database) -> None:
    day = a_day([("sign_out", 0), ("sign_in", 0)])
    await drained(database, day.frames)
    rows = (await everything(database))["agent_sessions"]
    mine = sorted(row[3:] for row in rows if row[3] == "1001")
    assert len(mine) == 2
    (_, phone, signed_in, signed_out, why), (*_, again, still, none) = mine
    assert phone == "demo-p1" and signed_in < signed_out < again and "本人" in why
    assert still is None and none is None


async def test_a_list_of_calls_is_paged_newest_first_without_gap_or_double(database: Database) -> None:
    day = a_day([("come", 0), ("closed", 0)] * 12)
    await drained(database, day.frames)
    queries = Queries(database)
    seen, after = list[str](), None
    while True:
        page = await queries.calls(CallSearch(centres=[DEMO]), limit=5, after=after)
        seen += [row.record.call for row, _ in page.calls]
        after = page.after
        if after is None:
            break
    newest_first = sorted(books(day.frames).of(DEMO, *DAY), key=lambda r: r.arrived_at, reverse=True)
    assert seen == [r.call for r in newest_first] and len(seen) == 24
    nobody = await queries.calls(CallSearch(centres=[CentreId("other")]))
    assert nobody.calls == () and nobody.after is None
    some = await queries.calls(CallSearch(first=day.at(0), before=newest_first[3].arrived_at), limit=500)
    assert len(some.calls) == 20
    waiting_end = await queries.calls(CallSearch(outcomes=[Outcome.ABANDONED]))
    assert waiting_end.calls == ()


async def test_calls_of_another_centre_never_come_with_mine(database: Database) -> None:
    arrived = Instant(MONDAY_NOON)

    def comes(n: int, centre: str) -> TestFrame:
        call = CallId(f"node1-{n}")
        fact = f.CallArrived(
            at=arrived,
            call=call,
            node="node1",  # type: ignore[arg-type]
            channel_name="x",
            centre=CentreId(centre),
            number="1",
            queue=QueueId(f"{centre}-q"),
            caller=Personal(call, CentreId(centre), arrived, None),
        )
        return TestFrame(1, n, arrived, (fact,))

    await drained(database, [comes(1, "demo"), comes(2, "oita")])
    queries = Queries(database)
    assert [r.call for r in await queries.records(CentreId("oita"), *DAY)] == ["node1-2"]
    assert await queries.records(CentreId("oita"), DAY[0], arrived) == []
    assert len(await queries.records(CentreId("oita"), arrived, Instant(arrived + 1))) == 1


async def test_a_kill_in_the_middle_of_a_transaction_leaves_position_and_rows_agreeing(
    database: Database, database_url: str
) -> None:
    frames = a_day(ORDINARY).frames
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.drain_child", database_url, "30"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(("src", "."))},
    )
    try:
        assert child.stdout is not None
        said = await asyncio.wait_for(child.stdout.readline(), 30)
        assert said == b"about to move the position\n"
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()
    sink = Projection(database, seal)
    position = await sink.position()
    assert position == Seq(frames[29].run, frames[29].n)
    killed = await everything(database)
    async with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
    await drained(database, frames[:30])
    assert await everything(database) == killed
    await drained(database, frames)
    assert sorted(r.call for r in await Queries(database).records(DEMO, *DAY)) == sorted(
        books(frames).records
    )


async def test_a_call_s_rows_go_with_the_call_and_what_is_known_of_its_sound_stays_as_long_as_that(
    database: Database,
) -> None:
    await drained(database, a_day(ORDINARY).frames)
    async with database.writing() as connection:
        await connection.execute(calls.delete())
    found = await everything(database)
    assert found["visits"] == found["offers"] == found["callers"] == []
    assert len(found["recordings"]) == 3


@pytest.mark.parametrize("batch", [1, 3, 100])
async def test_a_stepped_clock_makes_no_wait_and_no_talk_longer(database: Database, batch: int) -> None:
    """One caller talks, one waits, one is gone, when the clock is set an hour back; then the two end their calls."""
    hour = -3600 * SECOND
    frames: list[TestFrame] = []
    for s, kind, call in (
        (0, "gone", "c0"),
        (0, "talks", "c1"),
        (5, "waits", "c2"),
    ):
        frames += _begun(len(frames), s, kind, CallId(call))
    at = Instant(MONDAY_NOON + 60 * SECOND + hour)
    frames.append(TestFrame(1, len(frames) + 1, at, (f.ClockStepped(at=at, by=hour),)))
    for call, outcome in (("c1", Outcome.COMPLETED), ("c2", Outcome.ABANDONED)):
        over = Instant(at + 10 * SECOND)
        told: tuple[f.Fact, ...] = (
            f.CallEnded(at=over, call=CallId(call), outcome=outcome, hung_up_by=Party.CALLER, reason="-"),
        )
        if call == "c1":
            told = (f.TalkEnded(at=over, call=CallId(call), agent=None, wrap_up_until=None), *told)
        frames.append(TestFrame(1, len(frames) + 1, over, told))
    await drained(database, frames, batch)
    found = {r.call: r for r in await Queries(database).records(DEMO, *DAY)}
    assert found == dict(books(frames).records)
    gone, talked, waited = (found[CallId(c)] for c in ("c0", "c1", "c2"))
    assert gone.waited(at) == 3 * SECOND
    assert (talked.waited(at), talked.talk) == (3 * SECOND, (60 - 3 + 10) * SECOND)
    assert waited.waited(at) == (60 - 5 + 10) * SECOND
    async with database.reading() as connection:
        rows = (await connection.execute(select(visits).order_by(visits.c.call))).mappings().all()
    assert [(row["ended_at"] - row["entered_at"]) // SECOND for row in rows] == [3, 3, 65]


def _begun(before: int, s: float, kind: str, call: CallId) -> list[TestFrame]:
    def at(seconds: float) -> Instant:
        return Instant(MONDAY_NOON + round((s + seconds) * SECOND))

    told: list[f.Fact] = [
        f.CallArrived(
            at=at(0),
            call=call,
            node=NodeId("node1"),
            channel_name=f"PJSIP/trunk-{call}",
            centre=DEMO,
            number="0975105151",
            queue=QueueId("demo-general"),
            caller=Personal(call, DEMO, at(0), None, None),
        ),
        f.VisitBegan(
            at=at(0),
            call=call,
            visit=VisitId(f"{call}/1"),
            queue=QueueId("demo-general"),
            priority=5,
            since=at(0),
        ),
    ]
    if kind != "waits":
        told.append(
            f.CallAnswered(at=at(3), call=call, agent=None, phone=None, offer=None, by_net=True, channel=None)
        )
    if kind == "gone":
        told.append(f.TalkEnded(at=at(30), call=call, agent=None, wrap_up_until=None))
        told.append(
            f.CallEnded(at=at(30), call=call, outcome=Outcome.COMPLETED, hung_up_by=Party.CALLER, reason="-")
        )
    return [TestFrame(1, before + n + 1, fact.at, (fact,)) for n, fact in enumerate(told)]
