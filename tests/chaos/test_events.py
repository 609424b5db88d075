"""Asterisk's events are late, lost or far too many; and a caller of whom callcore was never told.

The engine stands behind a proxy that holds them back, drops or adds whole messages. Answers to actions come as ever:
Asterisk writes them directly, and events from a queue.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import pytest

from callcore.demo.centre import DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import Outcome, Party, Work
from tests.chaos import rig
from tests.support.evidence import evidence
from tests.support.proxy import is_event
from tests.support.station import Station, station, until

FLOOD_PER_S, FLOOD_S = 5000, 20.0
LATENCY_S = 0.5
"""From the waiting line to a ringing phone, at most, on a busy machine; it is 5 ms on an idle one."""
STALL_S = 3.0
"""A moment in which the machine gave the engine no time at all; far below the heartbeat's bound."""
LINK_INBOX_BOUND = 20_000
LATE_S = 3.0
FOUND_WITHIN_S = 14.0
"""A look every 10 s, judged a second or two later, and a busy machine."""


async def gauges(s: Station) -> dict[str, float]:
    found = (await rig.status(s))["gauges"]
    assert isinstance(found, dict)
    return found


async def gauge(s: Station, name: str, value: float, within: float = 10.0) -> None:
    """Await that a gauge of the engine's has this value."""
    end = time.monotonic() + within
    while (now := (await gauges(s))[name]) != value:
        assert time.monotonic() < end, f"{name} is {now}, not {value}\n{s.log('engine')[-2000:]}"
        await asyncio.sleep(0.05)


@pytest.mark.alone
async def test_flood_of_events_delays_no_call_and_fills_no_inbox() -> None:
    """All events of an earlier call, again and again, 5,000 a second, beside the calls of now."""
    async with station(DemoCentre(agents=1, acw_s=1), engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        (desk,) = await rig.staff(s, 1)
        desk.auto_answer_s = 0.2
        proxy.keep = True
        caller = await rig.arrive(s, 1)
        await s.fact(f.CallAnswered)
        await caller.line.hang_up()
        await rig.settled(s, [caller.id])
        proxy.keep = False
        # A phone's state has no name of its own to know it again by: an old one would simply be believed.
        replayed = [m for m in proxy.passed if not is_event(m, "DeviceStateChange")]
        assert len(replayed) > 10
        await rig.available(s, 1)
        before = await gauges(s)
        calls, worst = [caller.id], {"engine_link_inbox_items": 0.0, "engine_inbox_items": 0.0}
        flood = asyncio.create_task(proxy.flood(replayed, FLOOD_PER_S, FLOOD_S))
        try:
            while not flood.done():
                again = await rig.dial_again(s, caller.phone)
                calls.append(again.id)
                for _ in range(10):
                    now = await gauges(s)
                    worst = {name: max(most, now[name]) for name, most in worst.items()}
                await s.fact(f.CallAnswered, lambda x, call=again.id: x.call == call)  # type: ignore[misc]
                await again.line.hang_up()
                await rig.settled(s, calls)
                await rig.available(s, 1)
        finally:
            rate = await flood
        after = await gauges(s)
        held = {x.call: x.at for x in s.told(f.VisitBegan)}
        rang = {x.call: x.at for x in s.told(f.OfferRang)}
        latencies = [(rang[c] - held[c]) / SECOND for c in calls[1:]]
        assert rate > 0.8 * FLOOD_PER_S, "the flood was none"
        assert statistics.median(latencies) < LATENCY_S, latencies
        assert max(latencies) < STALL_S, latencies
        assert max(worst.values()) < LINK_INBOX_BOUND / 4
        assert after["engine_link_overflows"] == 0
        assert after["engine_faults"] == 0
        assert after["engine_event_lag_largest_seconds"] < STALL_S
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        assert not any(rig.record(s, c).by_net or rig.record(s, c).reconstructed for c in calls)
        evidence(
            "flood of events beside calls",
            {
                "events_per_s": round(rate),
                "seconds": FLOOD_S,
                "calls": len(calls) - 1,
                "held_to_ringing_ms_max": round(1000 * max(latencies), 1),
                "lag_ms_max": round(1000 * after["engine_event_lag_largest_seconds"], 1),
                "link_inbox_max": worst["engine_link_inbox_items"],
                "inbox_max": worst["engine_inbox_items"],
                "engine_us_per_event": round(
                    1e6 * (after["engine_cpu_seconds"] - before["engine_cpu_seconds"]) / proxy.added, 1
                ),
            },
        )


async def test_late_events_mark_the_calls_of_then_and_a_look_follows_when_they_are_in_time_again() -> None:
    async with station(DemoCentre(agents=1, acw_s=1), engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        (desk,) = await rig.staff(s, 1)
        proxy.late_s = LATE_S
        await gauge(s, "engine_events_late", 1)
        await s.fact(f.LagBegan)
        caller = await rig.arrive(s, 1)
        talk = await rig.take(desk, 20)
        await rig.both_hear(caller.line, talk, 1)
        await rig.works(s, 1, Work.TALKING)
        assert (await gauges(s))["engine_event_lag_seconds"] > LATE_S - 0.5
        await rig.beats(s)
        proxy.late_s = 0.0
        await gauge(s, "engine_events_late", 0)
        await s.fact(f.LagEnded)
        marked = await s.fact(f.CallMarkedImprecise)
        assert marked.call == caller.id
        await caller.line.hang_up()
        await rig.settled(s, [caller.id])
        await rig.available(s, 1)
        after = await rig.dial_again(s, caller.phone)
        talk = await rig.take(desk)
        # Who puts down in the instant of the answer sends the caller back to the line: first they talk.
        await rig.both_hear(after.line, talk, 1)
        await talk.hang_up()
        await rig.settled(s, [caller.id, after.id])
        rig.accounts(s, dict.fromkeys([caller.id, after.id], Outcome.COMPLETED), idle=[1])
        assert [x.call for x in s.told(f.CallMarkedImprecise)] == [caller.id], "the later call is exact"
        assert s.told(f.Healed) == [], "late is not lost: nothing had to be mended"
        assert s.told(f.LinkLost) == []


async def test_lost_events_are_found_by_the_next_look() -> None:
    """Of three callers the engine is not told that the first is held, that the second was answered, that the third
    is gone; and of a phone not that it is free again."""
    async with station(DemoCentre(agents=3, acw_s=1), engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        one, two = await rig.staff(s, 1, 2)
        second = await rig.arrive(s, 2)
        third = await rig.arrive(s, 3)
        rung = {s.centre.phone(1): await one.incoming(20), s.centre.phone(2): await two.incoming(20)}
        seats = {s.centre.phone(1): 1, s.centre.phone(2): 2}
        await s.fact(f.OfferRang, lambda x: x.call == second.id)
        await s.fact(f.OfferRang, lambda x: x.call == third.id)
        phone = {x.call: x.phone for x in s.told(f.OfferMade)}
        await rung[phone[third.id]].answer()
        await s.fact(f.CallAnswered, lambda x: x.call == third.id)

        own = second.id.encode()
        proxy.lose = lambda m: (
            is_event(m, "CallcoreHeld")
            or (m.startswith((b"Event: BridgeEnter", b"Event: DialEnd")) and own in m)
            or is_event(m, "Hangup", Uniqueid=third.id)
            or is_event(m, "HangupRequest", Uniqueid=third.id)
            or is_event(m, "BridgeLeave", Uniqueid=third.id)
        )
        lost_at = time.monotonic()
        await rung[phone[second.id]].answer()
        await rig.both_hear(second.line, rung[phone[second.id]], seats[phone[second.id]])
        await third.line.hang_up()
        await rig.gone(s, third.id)
        first = await rig.arrive(s, 1)
        await rig.marked(s, first.id, "callcore-held")
        await until(lambda: len(proxy.lost) >= 5, 10, "events are lost")
        # Whoever talked with the third caller is free, and gets the first one as soon as he is found.
        talk = await rig.take(one if seats[phone[third.id]] == 1 else two, FOUND_WITHIN_S + rig.STALE_S)
        assert time.monotonic() - lost_at < 2 * FOUND_WITHIN_S
        proxy.lose = lambda _: False
        await rig.both_hear(first.line, talk, seats[phone[third.id]])
        await rig.works(s, seats[phone[second.id]], Work.TALKING)
        await s.fact(f.CallEnded, lambda x: x.call == third.id)
        answered = rig.answer(s, second.id)
        assert (answered.phone, answered.reconstructed) == (phone[second.id], True)
        await first.line.hang_up()
        await second.line.hang_up()
        calls = [first.id, second.id, third.id]
        await rig.settled(s, calls)
        assert s.told(f.Healed), "what was mended is said"
        assert s.floor().healed == len(s.told(f.Healed))
        assert s.told(f.LinkLost) == []
        assert {x.outcome for x in s.told(f.CallEnded)} == {Outcome.COMPLETED}
        assert s.floor().problems() == []
        s.figures()


@pytest.mark.few
async def test_caller_whom_a_living_engine_forgot_is_found_by_its_own_look() -> None:
    async with station(DemoCentre(agents=1, acw_s=1), engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        (desk,) = await rig.staff(s, 1)
        proxy.lose = lambda m: is_event(m, "CallcoreHeld")
        caller = await rig.arrive(s, 1)
        await rig.marked(s, caller.id, "callcore-held")
        forgotten = time.monotonic()
        talk = await rig.take(desk, FOUND_WITHIN_S + 5)
        found = time.monotonic() - forgotten
        await rig.both_hear(caller.line, talk, 1)
        await caller.line.hang_up()
        await rig.settled(s, [caller.id])
        rig.accounts(s, {caller.id: Outcome.COMPLETED}, idle=[1])
        assert found < FOUND_WITHIN_S
        assert not rig.record(s, caller.id).by_net, "callcore itself found the caller"
        assert rig.marks(s, "callcore-net") == []
        assert any("VisitBegan" in x.what for x in s.told(f.Healed))


async def test_caller_who_is_never_found_leaves_by_the_wait_s_own_end_and_is_served_by_the_net() -> None:
    """Nothing whatever about this caller reaches the engine, not even its own looks."""
    async with station(DemoCentre(agents=1, acw_s=1), engine=False) as s, rig.through_proxy(s) as proxy:
        await s.start_engine()
        (desk,) = await rig.staff(s, 1)
        await rig.console(s, "dialplan set global CALLCORE_LIMIT_demo-general 12")  # longest wait and 30 s
        proxy.lose = lambda m: b"0300000001" in m
        caller = await rig.arrive(s, 1)
        talk = await rig.take(desk, 30)
        await rig.marked(s, caller.id, "callcore-net")
        await rig.both_hear(caller.line, talk, 1)
        assert s.told(f.CallArrived) == [], "callcore knows nothing of it"
        await rig.beats(s)
        entered = float(next(row[2] for row in rig.cel(s) if row[1] == "callcore-held"))
        fell = float(next(row[2] for row in rig.cel(s) if row[1] == "callcore-net"))
        assert 10 < fell - entered < 14
        proxy.lose = lambda _: False
        answered = await s.fact(f.CallAnswered, within=FOUND_WITHIN_S + 5)
        assert (answered.call, answered.by_net, answered.agent) == (caller.id, True, s.centre.agent(1))
        await caller.line.hang_up()
        await rig.settled(s, [caller.id])
        await rig.available(s, 1)
        rig.accounts(s, {caller.id: Outcome.COMPLETED}, idle=[1])
        assert rig.hung_up(s) == {caller.id: Party.CALLER}
