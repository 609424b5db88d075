"""The engine and its journal: a long one is read back quickly, and on a full disk nothing is decided."""

from __future__ import annotations

import asyncio
import resource
import time

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome, Party, Work
from callcore.journal import Codec, KeyStore, Spool
from tests.chaos import alarms, rig
from tests.support.evidence import evidence
from tests.support.station import Station, station

START_WITHIN_S = 5.0
"""Of the process's own time, so that a machine that is busy with other things does not decide."""


def a_past_day(s: Station, calls: int) -> list[tuple[f.Fact, ...]]:
    """Frames of a day on which one agent answered so many calls, one after the other."""
    phone, agent = PhoneId(s.centre.phone(1)), AgentId(s.centre.agent(1))
    centre, queue = CentreId("demo"), QueueId("demo-general")
    now = round(time.time()) * SECOND - (calls + 10) * 30 * SECOND
    frames: list[tuple[f.Fact, ...]] = [
        (
            f.RunStarted(at=Instant(now), run=1, software="test"),
            f.Configured(at=Instant(now), configuration=s.configuration),
        ),
        (f.LinkGained(at=Instant(now), node=NodeId("test1")),),
        (f.AgentSignedIn(at=Instant(now), agent=agent, phone=phone),),
    ]
    for n in range(calls):
        at = now + n * 30 * SECOND
        call = CallId(f"test1-{at // SECOND}.{n}")
        leg, offer, visit = ChannelId(f"{call}-leg"), OfferId(f"1.{n + 1}"), VisitId(f"{call}/1")

        def later(seconds: int, start: int = at) -> Instant:
            return Instant(start + seconds * SECOND)

        frames += [
            (
                f.CallArrived(
                    at=later(0),
                    call=call,
                    node=NodeId("test1"),
                    channel_name=f"PJSIP/trunk-{n:08x}",
                    centre=centre,
                    number=NUMBER,
                    queue=queue,
                    caller=Personal(call, centre, later(0), f"03{n:08}"),
                ),
            ),
            (f.CallAdmitted(at=later(0), call=call, reason="pushed"),),
            (
                f.VisitBegan(at=later(5), call=call, visit=visit, queue=queue, priority=5, since=later(5)),
                f.OfferMade(
                    at=later(5),
                    offer=offer,
                    call=call,
                    visit=visit,
                    agent=agent,
                    phone=phone,
                    ring_s=15,
                    reasons=("最長待機 / longest idle",),
                ),
            ),
            (
                f.LegBegan(at=later(5), call=call, channel=leg, phone=phone, agent=agent, offer=offer),
                f.OfferRang(at=later(5), offer=offer, call=call, channel=leg),
            ),
            (f.CallAnswered(at=later(7), call=call, agent=agent, phone=phone, offer=offer, channel=leg),),
            (f.TalkEnded(at=later(20), call=call, agent=agent, wrap_up_until=None),),
            (
                f.CallEnded(
                    at=later(20), call=call, outcome=Outcome.COMPLETED, hung_up_by=Party.CALLER, reason="-"
                ),
            ),
        ]
    return frames


async def test_engine_is_back_within_seconds_on_a_journal_of_ten_thousand_facts() -> None:
    async with station(DemoCentre(agents=1), engine=False) as s:
        frames = a_past_day(s, 1_150)
        facts = sum(map(len, frames))
        assert facts > 10_000
        with KeyStore.open(s.settings.journal, s.settings.keys, write=True) as keys:
            spool = Spool.open(s.settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
            for frame in frames:
                spool.append(spool.frame(frame[-1].at, frame))
            spool.flush()
            spool.close()
        began = time.monotonic()
        await s.start_engine()
        took = time.monotonic() - began
        gauges = (await rig.status(s))["gauges"]
        assert isinstance(gauges, dict)
        assert gauges["engine_cpu_seconds"] < START_WITHIN_S
        assert took < 4 * START_WITHIN_S
        await s.fact(f.LinkGained, lambda x: x.at > frames[-1][-1].at)
        floor = s.floor()
        assert floor.run == 2
        assert floor.agents[AgentId(s.centre.agent(1))].phone == s.centre.phone(1)
        assert s.figures().answered == 1_150
        assert f"PJSIP/{s.centre.phone(1)}" in await rig.console(s, "queue show demo-general")
        evidence(
            "restart on a long journal",
            {
                "facts": facts,
                "seconds": round(took, 2),
                "cpu_seconds": round(gauges["engine_cpu_seconds"], 2),
            },
        )


async def test_full_disk_stops_deciding_callers_go_to_the_net_and_nothing_is_lost() -> None:
    """The journal may not grow by a byte from the middle of a talk on; then there is room again."""
    async with station(DemoCentre(agents=1, acw_s=2), sidecar=True) as s:
        (desk,) = await rig.staff(s, 1)
        assert (await alarms.readiness(s, "journal", True))["engine"]
        first = await rig.arrive(s, 1)
        talk = await rig.take(desk)
        await s.fact(f.CallAnswered)
        pid = s.processes["engine"].pid
        segment = max(s.settings.journal.glob("*.journal"))
        written = segment.stat().st_size
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (written, before[1]))
        second = await rig.arrive(s, 2)
        await rig.marked(s, second.id, "callcore-net", 8 + rig.NET_WITHIN_S)
        assert segment.stat().st_size == written, "nothing of a frame stays behind"
        assert s.told(f.CallArrived)[-1].call == first.id
        told = await rig.status(s)
        assert isinstance(told["beat_age_s"], float)
        assert told["beat_age_s"] > rig.STALE_S - 1
        assert "disk" in s.log("engine")
        await alarms.readiness(s, "journal", False)
        shown = await asyncio.to_thread(alarms.metrics, s)
        assert shown["callcore_engine_journal_stuck_seconds"] > rig.STALE_S
        assert shown["callcore_engine_journal_write_failures"] > 0
        await talk.hang_up()
        talk = await rig.take(desk)  # the net's doing
        await rig.both_hear(second.line, talk, 1)
        third = await rig.arrive(s, 3)
        await rig.marked(s, third.id, "callcore-net")

        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        await rig.works(s, 1, Work.TALKING)
        await rig.beats(s)
        await rig.taken_back(s, third.id)
        await talk.hang_up()
        talk = await rig.take(desk)
        await rig.both_hear(third.line, talk, 1)
        await third.line.hang_up()
        calls = [first.id, second.id, third.id]
        await rig.settled(s, calls)
        await rig.available(s, 1)
        rig.accounts(s, dict.fromkeys(calls, Outcome.COMPLETED), idle=[1])
        assert [rig.record(s, c).by_net for c in calls] == [False, True, False]
        assert len(s.told(f.RunStarted)) == 1, "the same engine went on"
        assert (await alarms.readiness(s, "journal", True))["engine"]
        shown = await asyncio.to_thread(alarms.metrics, s)
        assert shown["callcore_engine_journal_stuck_seconds"] == 0
