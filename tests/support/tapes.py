"""Days as frames, as the journal holds them: of the simulated Asterisk, and written by hand for a whole month."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Agent, Configuration, Number, Phone, Queue
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    OfferId,
    PhoneId,
    QueueId,
    VisitId,
)
from callcore.domain.personal import Personal
from callcore.domain.stages import Device, Outcome, Party
from callcore.domain.step import Step
from callcore.journal import Codec, Frame, KeyStore, Spool
from tests.support.days import TestFrame
from tests.support.floors import NODE, NUMBER, centre, configuration
from tests.support.sim import Sim
from tests.support.watched import Watched


@dataclass
class Taped(Watched):
    """Keeps each step's facts as one frame."""

    frames: list[TestFrame] = field(default_factory=list)

    def tell(self, told: i.Input) -> Step:
        done = super().tell(told)
        if done.facts:
            last = self.frames[-1] if self.frames else None
            n = last.n + 1 if last is not None and last.run == self.floor.run else 1
            self.frames.append(TestFrame(self.floor.run, n, told.at, done.facts))
        return done


class TapedSim(Sim):
    core: Taped

    def __post_init__(self) -> None:
        super().__post_init__()
        self.core = Taped()


def a_simulated_day(
    seed: int, callers: int, links: list[tuple[str, int, int]], s: float = 240, begin_s: float = 0
) -> TapedSim:
    """Agents come and go, callers come, and the link is lost or the engine killed as told: (how, lasts, then).

    `begin_s`: so many seconds after noon.
    """
    sim = TapedSim(seed)
    sim.now = Instant(sim.now + round(begin_s * SECOND))
    sim.engine_starts()
    sim.run(1)
    for n in (1, 2, 3):
        sim.keys_in(n)
    for _ in range(callers):
        sim.later(
            sim.between(3, 150),
            lambda: sim.comes(sim.between(0.5, 120), open=sim.chance.random() > 0.1) and None,
        )
    for _ in range(6):
        habit = sim.chance.choice((sim.keys_in, sim.keys_out, sim.dials_out, sim.keys_in))
        sim.later(sim.between(5, 200), lambda habit=habit: habit(sim.chance.randint(1, 3)))  # type: ignore[misc]
    at = 3.0
    for how, lasts, then in links:
        at += then
        sim.later(at, sim.engine_killed if how == "killed" else sim.link_lost)
        sim.later(at + lasts, sim.engine_starts if how == "killed" else sim.link_up)
        at += lasts + 0.5
    sim.run(s)
    return sim


def two_centres() -> Configuration:
    """`demo` and `other`. Agent 1001 serves both, 1002 only the first, 1003 only the second, where he belongs."""
    demo = centre(2)
    queues = (QueueId("demo-general"), QueueId("other-general"))
    shared = replace(demo.agents[0], queues=queues)
    other = replace(
        demo,
        id=CentreId("other"),
        name="別のセンター",
        name_en="Other centre",
        numbers=(Number("0975105152", queues[1]),),
        queues=(Queue(queues[1], "総合案内", ring_s=15, acw_s=30),),
        agents=(Agent(AgentId("1003"), "オペレーター03", queues[1:]),),
        phones=(Phone(PhoneId("demo-p3"), "B-1", "generic"),),
    )
    return configuration(replace(demo, agents=(shared, demo.agents[1])), other)


def journaled(frames: Iterable[TestFrame], home: Path) -> None:
    """The frames in a journal of an installation's home; each run is one of the writer."""
    journal = home / "journal"
    with KeyStore.open(journal, home / "keys", write=True) as keys:
        spool: Spool | None = None
        for frame in frames:
            if spool is None or spool.run != frame.run:
                if spool is not None:
                    spool.close()
                spool = Spool.open(journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
            spool.append(Frame(frame.run, frame.n, frame.at, frame.facts))
        if spool is not None:
            spool.close()


FIRST_OF_NOVEMBER = Instant(1_793_458_800 * SECOND)
"""2026-11-01 00:00 Asia/Tokyo, a Sunday."""
DAY = 86_400 * SECOND


def a_month(calls: int, *, agents: int = 6, days: int = 30, seed: int = 1) -> list[TestFrame]:
    """November of a centre that is open 08:30–18:00: the facts as an engine tells them, but for legs and devices'
    small changes. Each caller gets the agent who is free first, or hangs up."""
    chance = random.Random(seed)
    told = Tapewriter(agents)
    told.tell(
        FIRST_OF_NOVEMBER,
        f.RunStarted(at=FIRST_OF_NOVEMBER, run=1, software="test"),
        f.Configured(at=FIRST_OF_NOVEMBER, configuration=told.config),
        f.LinkGained(at=FIRST_OF_NOVEMBER, node=NODE),
    )
    for day in range(days):
        begin = Instant(FIRST_OF_NOVEMBER + day * DAY)
        told.staff(Instant(begin + 8 * 3600 * SECOND + 1_500 * SECOND))
        arrivals = sorted(chance.uniform(8.5, 18) for _ in range(calls // days))
        for hour in arrivals:
            told.call(Instant(begin + round(hour * 3600 * SECOND)), chance)
        told.home(Instant(begin + 19 * 3600 * SECOND))
    return told.frames()


class Tapewriter:
    def __init__(self, agents: int) -> None:
        whole_day = tuple((Window(8 * 3600 + 1800, 18 * 3600),) for _ in range(7))
        made = replace(centre(agents), calendar=Calendar("Asia/Tokyo", whole_day))
        self.config = configuration(made)
        self.agents = [(a.id, p.id) for a, p in zip(made.agents, made.phones, strict=True)]
        self.free = dict.fromkeys((name for name, _ in self.agents), Instant(0))
        self.n = 0
        self._told: list[tuple[Instant, int, tuple[f.Fact, ...]]] = []

    def tell(self, at: Instant, *facts: f.Fact) -> None:
        self._told.append((at, len(self._told), facts))

    def frames(self) -> list[TestFrame]:
        return [
            TestFrame(1, n, at, facts)
            for n, (at, _, facts) in enumerate(sorted(self._told, key=lambda t: t[:2]), 1)
        ]

    def staff(self, at: Instant) -> None:
        for name, phone in self.agents:
            self.tell(at, f.AgentSignedIn(at=at, agent=name, phone=phone))
            self.tell(at, f.DeviceChanged(at=at, phone=phone, device=Device.FREE))
            self.free[name] = at

    def home(self, at: Instant) -> None:
        for name, _ in self.agents:
            self.tell(at, f.AgentSignedOut(at=at, agent=name, reason="*12"))

    def call(self, at: Instant, chance: random.Random) -> None:
        self.n += 1
        call, offer = CallId(f"node1-1.{self.n}"), OfferId(f"1.{self.n}")
        visit, leg = VisitId(f"{call}/1"), ChannelId(f"leg-{self.n}")
        queue, demo = QueueId("demo-general"), CentreId("demo")
        entered = Instant(at + 12 * SECOND)
        self.tell(
            at,
            f.CallArrived(
                at=at,
                call=call,
                node=NODE,
                channel_name=f"PJSIP/trunk-{self.n}",
                centre=demo,
                number=NUMBER,
                queue=queue,
                caller=Personal(call, demo, at, f"09{self.n:08}"),
            ),
            f.CallAdmitted(at=at, call=call, reason="営業時間内 / within opening hours (pushed)"),
        )
        self.tell(
            entered, f.VisitBegan(at=entered, call=call, visit=visit, queue=queue, priority=5, since=entered)
        )
        name, phone = min(self.agents, key=lambda a: (self.free[a[0]], a[0]))
        made = Instant(max(entered, self.free[name] + 1))
        patience = round(chance.expovariate(1 / 90) * SECOND)
        if made - entered > patience:
            gone = Instant(entered + patience)
            self.end(call, gone, Outcome.ABANDONED, Party.CALLER)
            return
        picked = Instant(made + round(chance.uniform(2, 9) * SECOND))
        over = Instant(picked + round(chance.expovariate(1 / 280) * SECOND))
        free = Instant(over + 30 * SECOND)
        self.free[name] = free
        self.tell(
            made,
            f.OfferMade(
                at=made,
                offer=offer,
                call=call,
                visit=visit,
                agent=name,
                phone=phone,
                ring_s=15,
                reasons=("待機が最長 / longest idle",),
            ),
        )
        rang = Instant(made + SECOND // 2)
        self.tell(
            rang,
            f.LegBegan(at=rang, call=call, channel=leg, phone=phone, agent=name, offer=offer),
            f.OfferRang(at=rang, offer=offer, call=call, channel=leg),
        )
        self.tell(
            picked,
            f.LegJoined(at=picked, call=call, channel=leg, bridge=f"b{self.n}"),
            f.CallAnswered(at=picked, call=call, agent=name, phone=phone, offer=offer, channel=leg),
        )
        self.tell(over, f.LegLeft(at=over, call=call, channel=leg))
        self.tell(over, f.TalkEnded(at=over, call=call, agent=name, wrap_up_until=free))
        self.tell(over, f.LegEnded(at=over, call=call, channel=leg, cause=16))
        self.end(call, over, Outcome.COMPLETED, Party.AGENT)
        self.tell(free, f.WrapUpEnded(at=free, agent=name))

    def end(self, call: CallId, at: Instant, outcome: Outcome, by: Party) -> None:
        self.tell(at, f.CallEnded(at=at, call=call, outcome=outcome, hung_up_by=by, reason=outcome.value))
