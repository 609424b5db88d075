"""The sidecar stands still, and the database is away: no call notices, and afterwards everything is there once."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time

import pytest

from callcore.db import Database, Queries, migrate
from callcore.demo.centre import DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Record
from callcore.domain.stages import Outcome
from tests.chaos import alarms, rig
from tests.support.evidence import evidence
from tests.support.postgres import Postgres
from tests.support.station import Station, station, until

STALL_S = 30.0
LATENCY_S = 0.5
"""From the waiting line to a ringing phone, at most, on a busy machine; it is 5 ms on an idle one."""


async def one_call(s: Station, caller: SimPhone) -> rig.Caller:
    """A citizen calls, is answered (the desks do so by themselves), talks for a moment and hangs up."""
    call = await rig.dial_again(s, caller)
    await s.fact(f.CallAnswered, lambda x: x.call == call.id, 30)
    await call.line.hang_up()
    await rig.gone(s, call.id)
    return call


async def a_round(s: Station, callers: list[SimPhone]) -> list[CallId]:
    """One call each, one after the other so that a free agent is always there."""
    for n in range(len(callers)):
        await rig.available(s, n + 1)
    return [(await one_call(s, caller)).id for caller in callers]


def latencies(s: Station, calls: list[CallId]) -> list[float]:
    """Seconds from the caller's coming to the waiting line to the phone's ringing."""
    held = {x.call: x.at for x in s.told(f.VisitBegan)}
    rang = {x.call: x.at for x in s.told(f.OfferRang)}
    return [(rang[c] - held[c]) / SECOND for c in calls]


async def in_database(s: Station, url: str) -> dict[CallId, Record]:
    database = Database(url)
    try:
        until_then = Instant(round(time.time() * SECOND) + SECOND)
        found = await Queries(database).records(CentreId("demo"), Instant(0), until_then)
        assert len({r.call for r in found}) == len(found), "each call once"
        return {r.call: r for r in found}
    finally:
        await database.close()


async def caught_up(s: Station, url: str, within: float = 30.0) -> None:
    """The database holds every call of the journal exactly once, and as the journal tells it."""
    wanted = dict(s.books().records)
    end = time.monotonic() + within
    while (found := await in_database(s, url)) != wanted:
        assert time.monotonic() < end, f"journal {wanted}\ndatabase {found}\n{s.log('sidecar')[-2000:]}"
        await asyncio.sleep(0.2)


@pytest.mark.few
async def test_stalled_sidecar_delays_no_call_and_catches_up() -> None:
    async with station(DemoCentre(agents=1, acw_s=1)) as s:
        url = s.settings.database
        await migrate.upgrade(url)
        s.start("sidecar")
        (desk,) = await rig.staff(s, 1)
        desk.auto_answer_s = 0.2
        callers = [await s.caller(1, hz=rig.CALLER_HZ)]
        calm = await a_round(s, callers)
        await alarms.readiness(s, "database", True)
        pid = s.processes["sidecar"].pid
        await rig.stopped(pid)
        stalled_at = time.monotonic()
        stalled: list[CallId] = []
        try:
            while not stalled or time.monotonic() - stalled_at < STALL_S:
                stalled += await a_round(s, callers)
        finally:
            os.kill(pid, signal.SIGCONT)
        before, under = latencies(s, calm), latencies(s, stalled)
        assert max(under) < LATENCY_S, (before, under)
        calls = [*calm, *stalled]
        await rig.settled(s, calls)
        await until(lambda: len(s.told(f.RecordingFiled)) == len(calls), 20, "recordings filed")
        await caught_up(s, url)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        evidence(
            "sidecar stalled under calls",
            {
                "stall_s": STALL_S,
                "calls": len(stalled),
                "held_to_ringing_ms_before": round(1000 * statistics.median(before), 1),
                "held_to_ringing_ms_stalled": round(1000 * statistics.median(under), 1),
                "held_to_ringing_ms_stalled_max": round(1000 * max(under), 1),
            },
        )


async def database_away(away_s: float, own_postgres: Postgres) -> dict[str, object]:
    """Calls before, while PostgreSQL is stopped, and after; then everything is in the tables once."""
    async with station(DemoCentre(agents=1, acw_s=1)) as s:
        url = own_postgres.new_database()
        await migrate.upgrade(url)
        s.settings = s.settings.model_copy(update={"database_url": url})
        s.start("sidecar")
        (desk,) = await rig.staff(s, 1)
        desk.auto_answer_s = 0.2
        callers = [await s.caller(1, hz=rig.CALLER_HZ)]
        await alarms.readiness(s, "database", True)
        calls = await a_round(s, callers)
        own_postgres.stop()
        stopped_at = time.monotonic()
        told = await alarms.readiness(s, "database", False)
        assert told["engine"], "only the database is named"
        assert told["asterisk"]
        away: list[CallId] = []
        behind = 0.0
        while not away or time.monotonic() - stopped_at < away_s:
            away += await a_round(s, callers)
            behind = max(
                behind, (await asyncio.to_thread(alarms.metrics, s))["callcore_sidecar_drain_behind_frames"]
            )
        assert behind > 0, "the alarm's gauge shows it"
        shown = await asyncio.to_thread(alarms.metrics, s)
        assert shown["callcore_sidecar_database_away_seconds"] > 0
        await rig.settled(s, [*calls, *away])
        assert max(latencies(s, away)) < LATENCY_S
        own_postgres.start()
        back_at = time.monotonic()
        await alarms.readiness(s, "database", True)
        await caught_up(s, url)
        took = time.monotonic() - back_at
        calls += away
        calls += await a_round(s, callers)
        await rig.settled(s, calls)
        await caught_up(s, url)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        assert s.processes["sidecar"].poll() is None
        return {
            "away_s": round(back_at - stopped_at),
            "calls meanwhile": len(away),
            "calls in all": len(calls),
            "frames behind at most": behind,
            "caught up after s": round(took, 1),
            "held_to_ringing_ms_max": round(1000 * max(latencies(s, away)), 1),
            "calls missing or doubled in the database": 0,
        }


@pytest.mark.few
async def test_database_away_costs_no_call_and_afterwards_holds_each_once(own_postgres: Postgres) -> None:
    await database_away(20.0, own_postgres)


@pytest.mark.soak
async def test_database_away_for_ten_minutes_costs_no_call_and_loses_nothing(own_postgres: Postgres) -> None:
    away_s = float(os.environ.get("CALLCORE_SOAK_AWAY_S", "600"))
    evidence("database away under calls", await database_away(away_s, own_postgres))
