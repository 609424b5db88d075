"""A full house: every agent at work, as many callers waiting again, for minutes; and what became of each call.

Callers come at a fixed rate and stay a while of their own, so the calls that are open at once are the rate times the
mean stay (Little's law), however many agents there are: what an agent does not serve waits. Some callers lose patience
early, some agents hang up first, a few never answer. Every agent who gets free meets a waiting caller, so each offer
but the first ones has the very moment that is to be timed: agent free, caller waiting, redirect.

Two ways to look at the end of it: `judge` where callcore lived all the time (three witnesses, as in the race), and
`account` where it was killed meanwhile (callers' log and Asterisk's own CEL against the journal).
"""

from __future__ import annotations

import asyncio
import random
import resource
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from callcore.demo.centre import DemoCentre
from callcore.domain.ids import SECOND, Instant
from callcore.domain.measures import figures, imbalance
from callcore.domain.stages import ANSWERED, Outcome
from callcore.runtime.offertimes import quantile
from tests.support import load
from tests.support.evidence import progress
from tests.support.race import (
    SETTLE_S,
    Callers,
    Desks,
    Journal,
    Life,
    Race,
    ahead_of_others,
    asterisk_cpu_s,
    compare,
    register_for_long,
    resident_mb,
    ring_up,
    short_prompts,
    signed_in_before,
    status,
    take_seats,
    telling,
)
from tests.support.station import Station, station, until

REST_S = 5
RING_S = 5
"""The shortest that a centre file allows."""
NO_MEDIA_S = 3600
"""SIPp's phones send no sound; after the usual 30 s without it Asterisk holds them for gone, and ends the talk."""
RTP_LAST = 29_999
"""Ports for sound: two for each leg, and a full house has 500 legs."""
FREE_WITHIN_S = 60.0
"""All phones are known to be free so long after the start, at most."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Arrivals at `rate` calls a second for `seconds`, whose stays alone would keep `open_calls` open at once.

    Agents who hang up first make it about a fifth less.
    """

    rate: float
    seconds: float
    open_calls: int

    @property
    def calls(self) -> int:
        return round(self.rate * self.seconds)

    def kinds(self, rng: random.Random) -> tuple[Callers, ...]:
        """Callers whose mean stay is `open_calls / rate`; 1 of 10 gives up early."""
        mean = self.open_calls / self.rate
        factors = ((0.10, 0.20), (0.25, 0.90), (0.30, 1.10), (0.25, 1.30), (0.10, 1.50))
        scale = sum(share * factor for share, factor in factors)
        return tuple(Callers(share, mean * f / scale * rng.uniform(0.97, 1.03)) for share, f in factors)


def desks(rng: random.Random, phase: Phase) -> tuple[Desks, ...]:
    """Most let the caller end the talk; a third hang up first; one in twenty-five never answers."""
    mean = phase.open_calls / phase.rate
    return (
        Desks(0.30, 0.02, mean * rng.uniform(0.25, 0.35)),
        Desks(0.36, rng.uniform(0.2, 0.4), mean * 3),
        Desks(0.30, rng.uniform(0.6, 1.0), mean * 3),
        Desks(0.04, RING_S * 12.0, 1.0),
    )


@asynccontextmanager
async def house(agents: int) -> AsyncIterator[Station]:
    """A station for it, Asterisk running, engine and sidecar not yet."""
    centre = DemoCentre(agents=agents, ring_s=RING_S, acw_s=1, rest_s=REST_S)
    async with station(
        centre,
        engine=False,
        prompts=short_prompts,
        pins=False,
        prepare=register_for_long,
        phone_rtp_timeout_s=NO_MEDIA_S,
        rtp_last=RTP_LAST,
    ) as s:
        ahead_of_others(s)
        yield s


@dataclass(slots=True)
class Meter:
    """CPU seconds of each part so far. SIPp's callers count when their process has ended."""

    s: Station
    desks: Sequence[load.AgentDesk]
    before: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        self.before = self._now()

    def used(self) -> dict[str, float]:
        return {name: value - self.before.get(name, 0.0) for name, value in self._now().items()}

    def _now(self) -> dict[str, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        parts = {name: load.cpu_s(process.pid) for name, process in self.s.processes.items()}
        return {
            **parts,
            "Asterisk": asterisk_cpu_s(self.s),
            "load generator": children.ru_utime + children.ru_stime + sum(d.cpu_s() for d in self.desks),
        }


@dataclass(frozen=True, slots=True)
class House:
    """What a full house showed."""

    race: Race
    most_open: int
    most_waiting: int
    passed: Sequence[str]
    stuck: Sequence[str]
    offer_times: Mapping[str, Sequence[int]]
    cpu_ms: Mapping[str, float]
    """Per call, by part."""
    resident: Mapping[str, float]

    def quantile_ms(self, of: str, share: float) -> float:
        found = quantile(self.offer_times[of], share)
        assert found is not None, "no offer was timed"
        return round(found * 1000, 3)

    def evidence(self) -> dict[str, Any]:
        timed = {
            f"{words}, {name} (ms)": self.quantile_ms(of, share)
            for of, words in (
                ("decided", "agent free and caller waiting to decided and journalled"),
                ("inside", "agent free and caller waiting to redirect, inside callcore"),
                ("whole", "the same from Asterisk's own time stamp"),
            )
            for name, share in (("median", 0.5), ("p99", 0.99), ("longest", 1.0))
        }
        return {
            **self.race.evidence(),
            "most calls open at once": self.most_open,
            "most callers waiting at once": self.most_waiting,
            "offers that passed over somebody waiting longer": len(self.passed),
            "stuck at the end": len(self.stuck),
            **timed,
            **{f"CPU per call, {name} (ms)": round(value, 2) for name, value in self.cpu_ms.items()},
            **{f"memory at the end, {name} (MB)": round(value) for name, value in self.resident.items()},
        }


async def full_house(s: Station, phases: Sequence[Phase], seed: int, *, sidecar: bool = True) -> House:
    """The phases one after another on a station that has no engine yet, and the look at everything afterwards."""
    rng = random.Random(seed)
    server = f"{s.net}.1:{s.settings.sip_port}"
    async with AsyncExitStack() as stack:
        journal, running = await _opened(s, phases, rng, stack, sidecar=sidecar)
        meter = Meter(s, running)
        before = await status(s)
        meter.begin()
        began = time.monotonic()
        async with telling(s, journal):
            heard = await _phases(s, phases, rng, server)
        seconds = time.monotonic() - began
        await until(lambda: journal.read().all_ended(), SETTLE_S, "an end of every call")
        after, used = await status(s), meter.used()
        await until(lambda: journal.read().stuck() == [], SETTLE_S, "everybody at rest")
        resident = {name: resident_mb(process.pid) for name, process in s.processes.items()}
        resident["Asterisk"] = resident_mb(s.asterisk.pid)
        told = [await each.close(SETTLE_S) for each in running]
    race = compare(
        journal,
        heard,
        told,
        seconds=seconds,
        engine=(before["gauges"], after["gauges"]),
        asterisk_s=used["Asterisk"],
        seen=sum(row["context"] == "callcore-in" for row in s.cel("CHAN_START")),
    )
    times = {
        of: [b - a for a, b in zip(before["offer_times"][of], after["offer_times"][of], strict=True)]
        for of in ("decided", "inside", "whole")
    }
    return House(
        race=race,
        most_open=journal.most_open,
        most_waiting=journal.most_waiting,
        passed=journal.passed,
        stuck=journal.stuck(),
        offer_times=times,
        cpu_ms={name: value * 1000 / max(1, race.calls) for name, value in used.items()},
        resident=resident,
    )


async def _opened(
    s: Station, phases: Sequence[Phase], rng: random.Random, stack: AsyncExitStack, *, sidecar: bool
) -> tuple[Journal, list[load.AgentDesk]]:
    """Everybody at the desks, the engine (and sidecar) up, all phones free."""
    journal = Journal(s)
    signed_in_before(s)
    server = f"{s.net}.1:{s.settings.sip_port}"
    running = await take_seats(s, desks(rng, phases[-1]), server, stack)
    await s.start_engine()
    if sidecar:
        s.start("sidecar")
    await until(
        lambda: journal.read().free_phones() == s.centre.agents,
        FREE_WITHIN_S,
        f"{s.centre.agents} free phones",
    )
    return journal, running


async def _phases(
    s: Station, phases: Sequence[Phase], rng: random.Random, server: str
) -> list[load.LoadResult]:
    """Each phase's arrivals begin when the one before has had its time; its last callers may still be there."""
    waits: list[asyncio.Task[list[load.LoadResult]]] = []
    place = 0
    async with asyncio.TaskGroup() as group:
        for number, phase in enumerate(phases):
            kinds = phase.kinds(rng)
            run = ring_up(
                s, kinds, phase.calls, phase.rate, server, at_once=3 * phase.open_calls, first=place
            )
            waits.append(group.create_task(run))
            place += len(kinds)
            if number < len(phases) - 1:
                await asyncio.sleep(phase.seconds)
    return [result for wait in waits for result in wait.result()]


# -- with kills ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill -9 of the engine. Seconds."""

    away_s: float
    """From the kill to the start of the next."""
    up_s: float
    """From that start until it had logged in and beaten the heart."""
    serving_s: float | None
    """From that start to its first offer; None if nobody waited for one."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the callers, Asterisk's CEL and the journal say after kills. The lists name every case; empty is good."""

    calls: int
    kills: Sequence[Kill]
    lost: Sequence[str]
    """Callers who were hung up on though no agent had talked to them, or whose call failed."""
    missing: Sequence[str]
    """Calls in CEL without exactly one end in the journal, or the other way round; answers that CEL does not have."""
    passed: Sequence[str]
    """By an offer, or by a ring in the safety net."""
    stuck: Sequence[str]
    imbalance: str | None
    answered: int
    by_net: int
    reconstructed: int
    outcomes: Mapping[str, int]
    most_open: int
    most_waiting: int
    never_came: int
    faults: int

    def evidence(self) -> dict[str, Any]:
        up = [kill.up_s for kill in self.kills]
        serving = [kill.serving_s for kill in self.kills if kill.serving_s is not None]
        return {
            "calls": self.calls,
            "kills": len(self.kills),
            "engine away by our wish, longest (s)": round(max(kill.away_s for kill in self.kills), 1),
            "calls lost": len(self.lost),
            "order violations": len(self.passed),
            "records missing": len(self.missing),
            "stuck at the end": len(self.stuck),
            "books": self.imbalance or "balance",
            "from the start to linked and beating, median (s)": round(statistics.median(up), 2),
            "from the start to linked and beating, worst (s)": round(max(up), 2),
            "from the start to the first offer, median (s)": round(statistics.median(serving), 2),
            "from the start to the first offer, worst (s)": round(max(serving), 2),
            "answered": self.answered,
            "answered by the safety net": self.by_net,
            "reconstructed": self.reconstructed,
            "outcomes": ", ".join(f"{name} {count}" for name, count in sorted(self.outcomes.items())),
            "most calls open at once": self.most_open,
            "most callers waiting at once": self.most_waiting,
            "INVITEs that never came to Asterisk": self.never_came,
            "engine faults": self.faults,
        }


async def killed_under_load(
    s: Station, phase: Phase, kills: int, seed: int, *, gap_s: tuple[float, float] = (8.0, 16.0)
) -> Account:
    """`kills` kills of the engine at random instants while the phase's callers come; it lasts as long as they take.

    Every second time the next engine starts at once, as the supervisor does it; one of four comes so late that callers
    fall into the safety net.
    """
    rng = random.Random(seed)
    server = f"{s.net}.1:{s.settings.sip_port}"
    async with AsyncExitStack() as stack:
        journal, running = await _opened(s, [phase], rng, stack, sidecar=False)
        callers = asyncio.create_task(_phases(s, [phase], rng, server))
        began: list[tuple[float, float, float, int]] = []
        faults = 0
        try:
            for number in range(kills):
                await asyncio.sleep(rng.uniform(*gap_s))
                faults += int((await status(s))["gauges"]["engine_faults"])
                s.kill("engine")
                away = (0.0, rng.uniform(7.0, 12.0), 0.0, rng.uniform(0.5, 4.0))[number % 4]
                await asyncio.sleep(away)
                at, start = time.time(), time.monotonic()
                await s.start_engine()
                up = time.monotonic() - start
                began.append((away, at, up, int((await status(s))["run"])))
                journal.read()
                progress(
                    f"kill {number + 1}: up in {up:.2f} s, calls {len(journal.lives)}, open {len(journal.open)}"
                )
            heard = await callers
        finally:
            callers.cancel()
            await asyncio.gather(callers, return_exceptions=True)
        await until(lambda: journal.read().all_ended(), SETTLE_S, "an end of every call")
        await until(lambda: journal.read().stuck() == [], SETTLE_S, "everybody at rest")
        faults += int((await status(s))["gauges"]["engine_faults"])
        for each in running:
            await each.close(SETTLE_S)
    made = []
    for away, at, up, run in began:
        offered = journal.first_offer.get(run)
        made.append(Kill(away, up, None if offered is None else offered / 1e6 - at))
    return _account(s, journal, heard, made, faults)


def _account(
    s: Station, journal: Journal, heard: Sequence[load.LoadResult], kills: Sequence[Kill], faults: int
) -> Account:
    came = {row["uniqueid"]: row["caller"] for row in s.cel("CHAN_START") if row["context"] == "callcore-in"}
    bridged = {row["uniqueid"] for row in s.cel("BRIDGE_ENTER")} & came.keys()
    said = {number: what for result in heard for number, what in result.told}
    lives = {str(call): life for call, life in journal.lives.items()}
    lost = [
        f"{life}; caller: {said.get(life.number or '')}; bridged: {call in bridged}"
        for call, life in lives.items()
        if life.outcome is Outcome.FAILED or (said.get(life.number or "") == "far" and call not in bridged)
    ]
    # A caller of whom SIPp knows nothing may have been forgotten by everybody.
    unheard = [life for life in lives.values() if (life.number or "") not in said]
    missing = [f"{call}: in CEL only" for call in came.keys() - lives.keys()]
    missing += [f"{call}: in the journal only" for call in lives.keys() - came.keys()]
    missing += [f"{life}: {life.ends} ends" for life in lives.values() if life.ends != 1]
    missing += [f"{life}: the caller's log does not have it" for life in unheard]
    missing += [
        f"{life}: bridged in CEL: {call in bridged}"
        for call, life in lives.items()
        if _answered(life) != (call in bridged)
    ]
    records = journal.books.records.values()
    now = Instant(round(time.time() * SECOND))
    made = figures(records, at=now, service_level_s=s.centre.service_level_s)
    return Account(
        calls=len(lives),
        kills=kills,
        lost=lost,
        missing=missing,
        passed=[*journal.passed, *passed_in_net(s.cel())],
        stuck=journal.stuck(),
        imbalance=imbalance(made),
        answered=sum(_answered(life) for life in lives.values()),
        by_net=sum(record.by_net for record in records),
        reconstructed=sum(record.reconstructed for record in records),
        outcomes=Counter(life.outcome.value if life.outcome else "open" for life in lives.values()),
        most_open=journal.most_open,
        most_waiting=journal.most_waiting,
        never_came=sum(result.calls for result in heard) - len(came),
        faults=faults,
    )


NET_TURN_S = 2.0
"""app_queue looks for free members once a second, each caller for itself: so close together, two who are due may ring
in either order."""


def passed_in_net(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Whom the safety net rang a phone for while another, who had come to the waiting line earlier, was left there.

    `rows` of CEL in their order. The net's order is by whole seconds of the entry (`QUEUE_PRIO`).
    """
    entered: dict[str, int] = {}
    inside: dict[str, float] = {}
    suspects: list[tuple[float, str, str, float]] = []
    left: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        kind, mark, at = row["eventenum"], row["userdeftype"], float(row["eventtime"])
        call = row["linkedid"]
        if kind == "USER_DEFINED" and mark == "callcore-held":
            entered.setdefault(call, int(at))
        if kind == "USER_DEFINED" and mark == "callcore-net":
            entered.setdefault(call, int(at))
            inside[call] = at
            continue
        rung = kind == "CHAN_START" and call != row["uniqueid"]
        if call not in inside or not (rung or mark == "callcore-held" or kind in ("HANGUP", "CHAN_END")):
            continue
        del inside[call]
        left.setdefault(call, []).append((at, "rung" if rung else mark or kind))
        if rung:
            suspects += [
                (at, call, other, since)
                for other, since in inside.items()
                if entered[other] < entered[call] and since < at - NET_TURN_S
            ]
    passed = []
    for at, call, other, since in suspects:
        gone = next((x for x in left.get(other, ()) if x[0] >= at), None)
        if gone is None or gone[0] > at + NET_TURN_S:
            then = "never left" if gone is None else f"left {gone[0] - at:.2f} s later: {gone[1]}"
            passed.append(f"{call} before {other} at {at}, who was in the net for {at - since:.2f} s, {then}")
    return passed


def _answered(life: Life) -> bool:
    return life.outcome in ANSWERED
