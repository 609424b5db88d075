"""The routing race: many callers, many agents, everybody moving at once, and what became of each caller.

Real Asterisk, the real engine, SIPp at both ends. Callers who hang up do so where it hurts most: while they are being
redirected, while a phone rings for them, as it is answered. Agents answer at once, later, or never. Afterwards three
witnesses are held against each other call by call: the callers' own log, the agents' own log, and the journal.

Agents are signed in by the journal of a run before, which is what the engine finds after any restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callcore.demo.centre import CENTRE, NUMBER, TEXTS, DemoCentre
from callcore.domain import facts as f
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, PhoneId
from callcore.domain.measures import Books, figures, imbalance
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Presence, Work
from callcore.journal import Codec, KeyStore, Seq, Spool, read_all
from callcore.prompts.shelf import RATE
from callcore.runtime.commands import CommandClient, CommandFailed
from tests.support import ahead, load
from tests.support.evidence import progress
from tests.support.prompts import put_prompt, shipped_prompts
from tests.support.station import Station, until

SHORT_WORD_S = 0.02
REGISTERED_S = 7200
SETTLE_S = 20.0
"""Within this the last call must have left Asterisk and its facts stand in the journal."""


# -- a centre for a load -------------------------------------------------------------------------------------


def load_centre(agents: int) -> DemoCentre:
    """A centre whose agents are ready again at once: the shortest times that a centre file allows."""
    return DemoCentre(agents=agents, ring_s=5, acw_s=1, rest_s=5)


def short_prompts(home: Path) -> Path:
    """The prompts as shipped, but nobody says anything for longer than one packet: routing is tried, not patience."""
    folder = shipped_prompts(home)
    for kind, text in TEXTS.items():
        put_prompt(folder, f"{CENTRE}/ja/{kind}", text, b"\xff" * round(RATE * SHORT_WORD_S))
    return folder


def register_for_long(s: Station) -> None:
    """SIPp's agents cannot register again while they take calls. Before Asterisk reads its configuration."""
    path = s.pbx.etc_dir / "pjsip.conf"
    text = path.read_text(encoding="utf-8")
    assert "maximum_expiration = 300" in text
    path.write_text(
        text.replace("maximum_expiration = 300", f"maximum_expiration = {REGISTERED_S}"), encoding="utf-8"
    )


def slow_to_the_line(s: Station) -> None:
    """A dialplan with thousands of steps between "on the waiting line" and the waiting itself.

    A redirect between two steps sets the caller's place, and then the running line steps on from there. With the two
    steps of the real line that takes thousands of calls to be seen; here every redirect that does not look first
    comes between two steps.
    """
    register_for_long(s)
    plan = s.pbx.etc_dir / "callcore.conf"
    text = plan.read_text("utf-8")
    [line] = [each for each in text.splitlines(keepends=True) if "UserEvent(CallcoreHeld," in each]
    plan.write_text(text.replace(line, line + " same => n,NoOp()\n" * STEPS), encoding="utf-8")


def signed_in_before(s: Station) -> None:
    """The journal of an earlier run, in which every agent signed in at the phone of the same number."""
    at = Instant(round(time.time() * SECOND))
    with KeyStore.open(s.settings.journal, s.settings.keys, write=True) as keys:
        spool = Spool.open(s.settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
        told: list[f.Fact] = [
            f.RunStarted(at=at, run=spool.run, software="test"),
            f.Configured(at=at, configuration=s.configuration),
        ]
        for n in range(1, s.centre.agents + 1):
            agent, phone = AgentId(s.centre.agent(n)), PhoneId(s.centre.phone(n))
            told.append(f.AgentSignedIn(at=at, agent=agent, phone=phone))
        spool.append(spool.frame(at, tuple(told)))
        spool.flush()
        spool.close()


# -- who takes part ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desks:
    """Agents of one habit. Seconds."""

    share: float
    ring_s: float
    talk_s: float


@dataclass(frozen=True, slots=True)
class Callers:
    """Callers of one habit: how long they stay from the moment the line is opened; None: until the agent ends it."""

    share: float
    stay_s: float | None


STEPS = 3000
NEVER_S = 60.0
LINE_OPENS_S = 0.55
"""Callers without sound: half a second of `Answer()` and the short prompts, then the waiting line."""


# Talks are not shorter than that: on a machine that stalls for a fifth of a second, a phone that is put down sooner has
# not been joined with its caller yet, and the caller is rightly offered to the next agent.


def desks(rng: random.Random) -> tuple[Desks, ...]:
    return (
        Desks(0.30, 0.02, rng.uniform(0.8, 1.0)),
        Desks(0.40, rng.uniform(0.15, 0.3), rng.uniform(0.8, 1.2)),
        Desks(0.26, rng.uniform(0.5, 0.9), rng.uniform(1.3, 1.8)),
        Desks(0.04, NEVER_S, 1.0),
    )


def callers(rng: random.Random) -> tuple[Callers, ...]:
    near = LINE_OPENS_S
    return (
        Callers(0.55, None),
        Callers(0.08, near + rng.uniform(-0.04, 0.02)),  # while being redirected
        Callers(0.08, near + rng.uniform(0.02, 0.08)),  # as the quick ones answer
        Callers(0.08, near + rng.uniform(0.15, 0.35)),  # as the usual ones answer
        Callers(0.08, near + rng.uniform(0.5, 1.0)),
        Callers(0.13, near + rng.uniform(1.0, 1.7)),
    )


# -- what became of it ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Life:
    """One call as the journal tells it."""

    call: CallId
    number: str | None
    visits: int = 0
    offers: int = 0
    rang: int = 0
    answered: int = 0
    failed: list[tuple[Instant, OfferStage, str]] = field(default_factory=list)
    net: bool = False
    """Fell into the safety net, or was answered by a phone that no offer of ours had rung."""
    ends: int = 0
    outcome: Outcome | None = None
    by: Party | None = None
    ended_at: Instant = Instant(0)
    waiting_since: Instant | None = None
    """While on the waiting line, to be offered next: since when the caller waits."""
    in_net: bool = False
    channel: ChannelId = ChannelId("")


@dataclass(slots=True)
class Journal:
    """The journal read on and on: every fact once."""

    s: Station
    lives: dict[CallId, Life] = field(default_factory=dict)
    books: Books = field(default_factory=Books)
    devices: dict[PhoneId, Device] = field(default_factory=dict)
    healed: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    open: dict[CallId, Life] = field(default_factory=dict)
    most_open: int = 0
    most_waiting: int = 0
    passed: list[str] = field(default_factory=list)
    """Offers for somebody while another, who stood on the line for longer, was left standing."""
    first_offer: dict[int, Instant] = field(default_factory=dict)
    """Of each run: when it made its first."""
    floor: Floor = field(default_factory=Floor)
    _after: Seq | None = None

    def read(self) -> Journal:
        with KeyStore.open(self.s.settings.journal, self.s.settings.keys) as keys:
            codec = Codec(f.KINDS, {}, keys)
            for frame in read_all(self.s.settings.journal, codec, after=self._after):
                for fact in frame.facts:
                    assert isinstance(fact, f.Fact)
                    self._take(fact)
                self._after = frame.seq
        return self

    def _take(self, fact: f.Fact) -> None:
        self.books = self.books.after(fact)
        self.floor = evolve(self.floor, fact)
        self.counts[type(fact).__name__] += 1
        self._line(fact)
        match fact:
            case f.CallArrived():
                life = Life(fact.call, fact.caller.text, channel=ChannelId(fact.call))
                self.lives[fact.call] = self.open[fact.call] = life
                self.most_open = max(self.most_open, len(self.open))
            case f.VisitBegan():
                self.lives[fact.call].visits += 1
            case f.OfferMade():
                self.lives[fact.call].offers += 1
                self.first_offer.setdefault(int(fact.offer.partition(".")[0]), fact.at)
            case f.OfferRang():
                self.lives[fact.call].rang += 1
            case f.OfferFailed():
                self.lives[fact.call].failed.append((fact.at, fact.result, fact.reason))
            case f.CallAnswered():
                self.lives[fact.call].answered += 1
                self.lives[fact.call].net |= fact.by_net
            case f.NetEntered():
                self.lives[fact.call].net = True
            case f.CallEnded():
                life = self.lives[fact.call]
                life.ends += 1
                life.outcome, life.by, life.ended_at = fact.outcome, fact.hung_up_by, fact.at
                self.open.pop(fact.call, None)
            case f.DeviceChanged():
                self.devices[fact.phone] = fact.device
            case f.Healed():
                self.healed.append(fact.what)

    def _line(self, fact: f.Fact) -> None:
        """Who stands on the waiting line, and whether an offer passes somebody over."""
        match fact:
            case f.VisitBegan():
                self.lives[fact.call].waiting_since = fact.since
                waiting = sum(life.waiting_since is not None for life in self.open.values())
                self.most_waiting = max(self.most_waiting, waiting)
            case f.OfferMade():
                mine = self.lives[fact.call].waiting_since
                self.lives[fact.call].waiting_since = None
                before = [
                    life.call
                    for life in self.open.values()
                    if life.waiting_since is not None and not life.in_net and (mine or 0) > life.waiting_since
                ]
                if before:
                    self.passed.append(f"{fact.offer} for {fact.call} before {before[:3]}")
            case f.OfferFailed() if fact.call in self.open:
                call = self.floor.calls[fact.call]
                if call.visit is not None and not call.caller_put_down:
                    self.lives[fact.call].waiting_since = call.visit.since
            case f.HangupAsked() if fact.call in self.open and fact.channel == self.open[fact.call].channel:
                self.lives[fact.call].waiting_since = None
            case f.NetEntered() | f.NetLeft():
                self.lives[fact.call].in_net = isinstance(fact, f.NetEntered)
            case f.CallAnswered() | f.CallEnded():
                self.lives[fact.call].waiting_since = None

    def all_ended(self) -> bool:
        return not self.open

    def stuck(self) -> list[str]:
        """What is not at rest although everybody has gone; by name."""
        found = self.floor.problems()
        found += [f"call {call} is open" for call in self.floor.calls]
        found += [f"offer {offer} is open" for offer in self.floor.offers]
        found += [
            f"agent {agent.id} is {agent.work.value}"
            for agent in self.floor.agents.values()
            if agent.presence is Presence.READY and agent.work is not Work.IDLE
        ]
        return found

    def free_phones(self) -> int:
        return sum(device is Device.FREE for device in self.devices.values())


@dataclass(frozen=True, slots=True)
class Race:
    """What three witnesses say of the same calls. The lists name every case; empty is good."""

    calls: int
    answered: int
    abandoned: int
    offers: int
    failed_offers: Mapping[str, int]
    outcomes: Mapping[str, int]
    cut: Sequence[str]
    """Callers whom the centre hung up on before an agent had answered, or out of a talk that nobody had ended."""
    bounced: Sequence[str]
    """Callers who were thrown back: a talk that went back to waiting, an offer that was not placed or was withdrawn
    although the caller stayed, a fall into the safety net."""
    unequal: Sequence[str]
    """Callers of whom callers' log, agents' log and journal say different things, or with other than one outcome."""
    imbalance: str | None
    healed: Sequence[str]
    sipp_failures: Mapping[str, int]
    complaints: str
    """SIPp's own words about them."""
    never_came: int
    """Calls that the load generator gave up with no answer to their INVITE, and that Asterisk never saw."""
    answered_too_late: int
    """Phones that were picked up in the instant in which the caller hung up."""
    wait_median_s: float | None
    wait_p90_s: float | None
    wait_max_s: float | None
    seconds: float
    engine_faults: int
    engine_ms_per_call: float
    asterisk_ms_per_call: float
    slowest_step_ms: float
    event_lag_largest_ms: float

    def evidence(self) -> dict[str, Any]:
        """The figures, for a page."""
        return {
            "calls": self.calls,
            "calls per second": round(self.calls / self.seconds, 1),
            "answered by an agent": self.answered,
            "abandoned by the caller": self.abandoned,
            "cut": len(self.cut),
            "bounced": len(self.bounced),
            "unequal between callers' log, agents' log and journal": len(self.unequal),
            "outcomes": _listed(self.outcomes),
            "offers made": self.offers,
            "offers that failed": _listed(self.failed_offers),
            "INVITEs that never came to Asterisk": self.never_came,
            "picked up as the caller hung up": self.answered_too_late,
            "SIPp failures": _listed(self.sipp_failures) or "none",
            "books": self.imbalance or "balance",
            "healed by the watchdog": len(self.healed),
            "engine faults": self.engine_faults,
            "wait, median (s)": self.wait_median_s,
            "wait, P90 (s)": self.wait_p90_s,
            "wait, longest (s)": self.wait_max_s,
            "CPU of the engine per call (ms)": round(self.engine_ms_per_call, 2),
            "CPU of Asterisk per call (ms)": round(self.asterisk_ms_per_call, 2),
            "slowest step (ms)": round(self.slowest_step_ms, 1),
            "largest event lag (ms)": round(self.event_lag_largest_ms, 1),
            "seconds": round(self.seconds),
        }


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


async def run_race(
    s: Station, *, calls: int, rate: float, seed: int, kinds: Sequence[Callers] | None = None
) -> Race:
    """`calls` calls at `rate` a second on a station that has Asterisk running and no engine yet.

    `kinds` of callers are drawn from the seed unless they are given.
    """
    rng = random.Random(seed)
    server = f"{s.net}.1:{s.settings.sip_port}"
    journal = Journal(s)
    signed_in_before(s)
    async with AsyncExitStack() as stack:
        running = await take_seats(s, desks(rng), server, stack)
        await s.start_engine()
        await until(
            lambda: journal.read().free_phones() == s.centre.agents,
            40,
            f"{s.centre.agents} free phones",
        )
        before = await status(s)
        asterisk_before = asterisk_cpu_s(s)
        began = time.monotonic()
        async with telling(s, journal):
            heard = await ring_up(s, kinds or callers(rng), calls, rate, server)
        seconds = time.monotonic() - began
        desks_told = [await each.close(SETTLE_S) for each in running]
        await until(lambda: journal.read().all_ended(), SETTLE_S, "an end of every call")
        after, asterisk_after = await status(s), asterisk_cpu_s(s)
    return compare(
        journal,
        heard,
        desks_told,
        seconds=seconds,
        engine=(before["gauges"], after["gauges"]),
        asterisk_s=asterisk_after - asterisk_before,
        seen=sum(row["context"] == "callcore-in" for row in s.cel("CHAN_START")),
    )


async def take_seats(
    s: Station, kinds: Sequence[Desks], server: str, stack: AsyncExitStack
) -> list[load.AgentDesk]:
    """Register every phone where its kind of agent will answer, then let them answer."""
    first, running = 1, []
    for place, kind in enumerate(kinds):
        last = (
            s.centre.agents
            if kind is kinds[-1]
            else min(s.centre.agents, first + round(kind.share * s.centre.agents) - 1)
        )
        users = {
            s.centre.phone(n): s.secrets.phones[PhoneId(s.centre.phone(n))] for n in range(first, last + 1)
        }
        first = last + 1
        if not users:
            continue
        address = f"{s.net}.{20 + place}"
        done = await load.register_agents(
            users, server=server, address=address, port=5060, rate=100, expires_s=REGISTERED_S
        )
        assert done.failed == 0, done.complaints
        desk = load.agents(server=server, address=address, port=5060, ring_s=kind.ring_s, talk_s=kind.talk_s)
        running.append(await stack.enter_async_context(desk))
    return running


async def ring_up(
    s: Station,
    kinds: Sequence[Callers],
    calls: int,
    rate: float,
    server: str,
    *,
    at_once: int = 200,
    first: int = 0,
    number: str = NUMBER,
) -> list[load.LoadResult]:
    """`calls` calls at `rate` a second, from one trunk address for each kind.

    `first`: the place of the first kind among the trunk's addresses and callers' numbers; runs beside one another need
    places of their own.
    """
    runs = []
    for place, kind in enumerate(kinds, first):
        count = round(kind.share * calls)
        runs.append(
            load.run_callers(
                count,
                kind.share * rate,
                number=number,
                server=server,
                address=f"{s.net}.{131 + place}",
                caller_prefix=f"09{place:02}",
                stay_s=kind.stay_s,
                at_once=max(5, round(at_once * kind.share)),
            )
        )
    return await asyncio.gather(*runs)


@asynccontextmanager
async def telling(s: Station, journal: Journal, every_s: float = 30.0) -> AsyncIterator[None]:
    """While a long run lasts, say how far it has come.

    The journal is read along in small pieces, so that neither a large one nor the end takes the cores for seconds.
    """

    async def tell() -> None:
        for turn in itertools.count(1):
            await asyncio.sleep(READ_EVERY_S)
            journal.read()
            if turn % round(every_s / READ_EVERY_S):
                continue
            line = f"calls {len(journal.lives)}, open {len(journal.open)}, passed over {len(journal.passed)}"
            with contextlib.suppress(CommandFailed):
                gauges = (await status(s))["gauges"]
                told = ("engine_offer_p99_seconds", "engine_event_lag_largest_seconds", "engine_cpu_seconds")
                line += "".join(f", {name} {gauges.get(name, 0):.4g}" for name in (*told, "engine_faults"))
            progress(f"{line}, Asterisk {resident_mb(s.asterisk.pid):.0f} MB")

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


READ_EVERY_S = 2.0


def ahead_of_others(s: Station) -> bool:
    """If that was asked for: sessions of this process and of Asterisk first, Asterisk before all else."""
    for pid in (os.getpid(), s.asterisk.pid):
        assert pid is not None
        ahead.session(pid)
    ahead.first(s.asterisk.pid)
    return ahead.asked()


def resident_mb(pid: int | None) -> float:
    """Resident memory of a living process, in MB (10^6 bytes): the second field of /proc/<pid>/statm, in pages."""
    assert pid is not None
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def status(s: Station) -> dict[str, Any]:
    client = CommandClient(s.settings.engine_socket)
    told: dict[str, Any] = await client.ask("status")
    await client.close()
    return told


def asterisk_cpu_s(s: Station) -> float:
    """CPU seconds that Asterisk has used."""
    pid = s.asterisk.pid
    assert pid is not None
    return load.cpu_s(pid)


def compare(
    journal: Journal,
    heard: Sequence[load.LoadResult],
    desks_told: Sequence[load.LoadResult],
    *,
    seconds: float,
    engine: tuple[Mapping[str, float], Mapping[str, float]],
    asterisk_s: float,
    seen: int,
) -> Race:
    caller_said = {number: what for result in heard for number, what in result.told}
    desk_said: dict[str, Counter[str]] = {}
    for result in desks_told:
        for number, what in result.told:
            desk_said.setdefault(number, Counter())[what] += 1
    by_number = {life.number or "": life for life in journal.lives.values()}
    cut: list[str] = []
    bounced: list[str] = []
    unequal: list[str] = []
    too_late = 0
    for number, life in by_number.items():
        said, desk = caller_said.get(number), desk_said.get(number, Counter())
        mine = f"{life}; caller: {said}; agents: {dict(desk)}"
        good_end = life.outcome in (Outcome.COMPLETED, Outcome.ABANDONED, Outcome.ABANDONED_SHORT)
        if not good_end or (life.answered == 0 and said in ("far", None)):
            cut.append(mine)
        stayed = [what for at, what, _ in life.failed if _threw_back(what, at, life)]
        if life.visits > 1 or life.answered > 1 or life.net or stayed:
            bounced.append(mine)
        if not _agree(life, said, desk):
            unequal.append(mine)
        too_late += desk["answered"] - life.answered
    unequal += [
        f"{number}: the journal does not know this caller" for number in caller_said.keys() - by_number.keys()
    ]
    # Asterisk's own CEL is the witness of what came: only what it does not know either never came.
    if seen != len(by_number):
        unequal.append(f"{seen} callers in CEL, {len(by_number)} in the journal")
    missing = sum(result.calls for result in heard) - len(by_number)
    never_came = sum(result.failures.get("MaxUDPRetrans", 0) for result in heard)
    never_came = missing if 0 < missing <= never_came else 0
    if missing != never_came:
        unequal.append(f"{sum(result.calls for result in heard)} calls made, {len(by_number)} in the journal")
    made = figures(
        journal.books.records.values(), at=Instant(round(time.time() * SECOND)), service_level_s=20
    )
    lives = journal.lives.values()
    calls = max(1, len(journal.lives))
    before, after = engine
    return Race(
        calls=len(journal.lives),
        answered=made.answered,
        abandoned=made.abandoned + made.abandoned_short,
        offers=sum(life.offers for life in lives),
        failed_offers=Counter(what.value for life in lives for _, what, _ in life.failed),
        outcomes=Counter(life.outcome.value if life.outcome else "open" for life in lives),
        cut=cut,
        bounced=bounced,
        unequal=unequal,
        imbalance=imbalance(made),
        healed=journal.healed,
        sipp_failures=sum((Counter(result.failures) for result in (*heard, *desks_told)), Counter()),
        complaints="\n".join(result.complaints for result in (*heard, *desks_told)),
        never_came=never_came,
        answered_too_late=too_late,
        wait_median_s=made.wait_median_s,
        wait_p90_s=made.wait_p90_s,
        wait_max_s=made.wait_max_s,
        seconds=seconds,
        engine_faults=int(after["engine_faults"]),
        engine_ms_per_call=(after["engine_cpu_seconds"] - before["engine_cpu_seconds"]) * 1000 / calls,
        asterisk_ms_per_call=asterisk_s * 1000 / calls,
        slowest_step_ms=after["engine_slowest_step_seconds"] * 1000,
        event_lag_largest_ms=after["engine_event_lag_largest_seconds"] * 1000,
    )


def _threw_back(what: OfferStage, at: Instant, life: Life) -> bool:
    """Whether an offer ended for a reason of ours while the caller went on waiting. A silent agent is no such reason;
    a caller who hangs up in the same half second is none either."""
    ours = what in (OfferStage.WITHDRAWN, OfferStage.UNREACHABLE, OfferStage.BUSY, OfferStage.REJECTED)
    return ours and not (life.by is Party.CALLER and life.ended_at - at < SECOND // 2)


def _agree(life: Life, said: str | None, desk: Counter[str]) -> bool:
    """Whether callers' log, agents' log and journal tell the same of one call."""
    if life.ends != 1 or said is None:
        return False
    parties = {"far": {Party.AGENT}, "both": {Party.AGENT, Party.CALLER}}.get(said, {Party.CALLER})
    if desk["here"] or desk["both"]:
        parties = parties | {
            Party.AGENT
        }  # both hung up within the same moment; Asterisk saw one of them first
    if life.by not in parties:
        return False
    # A phone may be picked up for a caller who goes in that instant; never the other way round.
    picked_up = desk["answered"]
    return life.rang == desk["rung"] and life.answered <= picked_up <= life.answered + (said != "far")
