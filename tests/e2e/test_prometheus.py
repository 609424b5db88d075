"""A real Prometheus beside real calls: what it has kept of each scrape is what the journal says at the same `seq`."""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from callcore.demo.centre import CENTRE, DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.measures import Books
from callcore.domain.stages import Outcome
from callcore.reports import Tape, day_report
from callcore.reports.tape import facts_of
from callcore.runtime.commands import CommandClient
from callcore.runtime.ports import Seq, View
from callcore.telemetry.prometheus import COUNTERS, HELP, Exposition
from tests.support.evidence import evidence
from tests.support.exposition import series_of
from tests.support.full_house import Phase, full_house, house
from tests.support.people import machine
from tests.support.scraper import Scrape, Series, prometheus, scrape_seconds, scrapes
from tests.support.station import Station, station, until

OF_DEMO = (("centre", CENTRE),)
NOT_OF_THE_JOURNAL = {
    *(f"callcore_{name}" for name in HELP),
    *(f"callcore_{name}_total" for name in COUNTERS),
    "callcore_engine_silence_seconds",
    "callcore_gauges_up",
    "callcore_gauges_refused",
}
"""What the processes tell of themselves."""


@dataclass(frozen=True, slots=True)
class Still:
    """A live source that stands at one place of the journal, at one instant."""

    shown: View
    at: Instant

    def view(self) -> View:
        return self.shown

    def now(self) -> Instant:
        return self.at

    def stale_s(self) -> float | None:
        return None

    async def changed(self, after: Seq) -> View:
        raise NotImplementedError


@dataclass(slots=True)
class ByHand:
    """What a patient reader counts in the journal of a centre that is always open; no formula of ours."""

    arrived: int = 0
    entered: dict[CallId, Instant] = field(default_factory=dict)
    waits: dict[CallId, int] = field(default_factory=dict)
    ended: Counter[Outcome] = field(default_factory=Counter)
    signed_in: int = 0

    def take(self, fact: f.Fact) -> None:
        match fact:
            case f.CallArrived():
                self.arrived += 1
            case f.VisitBegan():
                self.entered.setdefault(fact.call, fact.at)
            case f.CallAnswered():
                self.waits[fact.call] = fact.at - self.entered[fact.call]
            case f.CallEnded():
                self.ended[fact.outcome] += 1
            case f.AgentSignedIn():
                self.signed_in += 1

    def told(self, agents: int) -> Mapping[Series, float]:
        waits = sorted(self.waits.values())
        lost = self.ended[Outcome.ABANDONED]
        short = self.ended[Outcome.ABANDONED_SHORT]
        return {
            ("callcore_today_arrived_calls", OF_DEMO): self.arrived,
            ("callcore_today_open_calls", OF_DEMO): self.arrived - self.ended.total(),
            ("callcore_today_answer_part", OF_DEMO): len(waits),
            ("callcore_today_abandon_part", OF_DEMO): lost + short,
            ("callcore_today_calls", (*OF_DEMO, ("outcome", "abandoned"))): lost,
            ("callcore_today_calls", (*OF_DEMO, ("outcome", "abandoned_short"))): short,
            ("callcore_today_service_level_part", OF_DEMO): sum(wait <= 20 * SECOND for wait in waits),
            ("callcore_today_wait_max_seconds", OF_DEMO): waits[-1] / SECOND if waits else math.nan,
            ("callcore_agents", (*OF_DEMO, ("state", "signed_out"))): agents - self.signed_in,
        }


def differences(s: Station, kept: Sequence[Scrape]) -> list[str]:
    """Series by series, of every scrape: Prometheus against the journal folded anew, both ways, and counted by hand.

    To the last bit: both are what Python and Go write of the same double.
    """
    found: list[str] = []
    wanted: dict[Seq, list[Scrape]] = {}
    for scrape in kept:
        wanted.setdefault(scrape.seq, []).append(scrape)
    floor, books, by_hand = Floor(), Books(), ByHand()
    with Tape(s.settings.journal, s.settings.keys) as tape:
        for frame in tape.frames():
            for fact in facts_of(frame):
                floor, books = evolve(floor, fact), books.after(fact)
                by_hand.take(fact)
            seq = Seq(frame.run, frame.n)
            for scrape in wanted.pop(seq, ()):
                view = View(seq, floor, books)
                made = series_of(Exposition(Still(view, scrape.judged_at), dict))
                found += _unlike(scrape, _of_the_journal(made), _of_the_journal(scrape.values))
                counted = by_hand.told(s.centre.agents)
                found += _unlike(scrape, counted, {each: scrape.values[each] for each in counted})
    return [*found, *(f"no {seq} in the journal" for seq in wanted)]


def _of_the_journal(values: Mapping[Series, float]) -> Mapping[Series, float]:
    return {each: value for each, value in values.items() if each[0] not in NOT_OF_THE_JOURNAL}


def _unlike(scrape: Scrape, journal: Mapping[Series, float], kept: Mapping[Series, float]) -> list[str]:
    return [
        f"{scrape.seq}: {each}: journal {journal.get(each)}, Prometheus {kept.get(each)}"
        for each in {*journal, *kept}
        if not _same(journal.get(each), kept.get(each))
    ]


def _same(one: float | None, other: float | None) -> bool:
    both = one is not None and other is not None
    return one == other or (both and math.isnan(one or 0) and math.isnan(other or 0))


async def with_centre(url: str, back_s: int) -> list[Scrape]:
    """Scrapes of a sidecar that has read the journal's beginning."""
    return [
        each
        for each in await scrapes(url, back_s)
        if ("callcore_today_arrived_calls", OF_DEMO) in each.values
    ]


async def callers_come_and_go(s: Station, desks: list[SimPhone], seconds: float) -> None:
    """Two are answered, the third gives up, soon or late, and an agent is away for a moment; until the time is over."""
    callers = [await s.caller(n) for n in (1, 2, 3)]
    end = asyncio.get_running_loop().time() + seconds
    engine = CommandClient(s.settings.engine_socket)
    for turn in itertools.count():
        served = [await s.dial_in(caller) for caller in callers[:2]]
        for desk in desks:
            await (await desk.incoming(30)).answer()
        await until(lambda n=turn: len(s.told(f.CallAnswered)) == 2 * n + 2, what="two talk")  # type: ignore[misc]
        waits = await s.dial_in(callers[2])
        await until(lambda n=turn: len(s.told(f.VisitBegan)) == 3 * n + 3, what="the third waits")  # type: ignore[misc]
        await asyncio.sleep(1 if turn % 2 else 6)  # how long it waits
        await waits.hang_up()
        await engine.ask("agent_pause", agent=s.centre.agent(1), reason="研修")
        for call in served:
            await call.hang_up()
        await s.ended(3 * (turn + 1))
        await engine.ask("agent_ready", agent=s.centre.agent(1))
        for n in (1, 2):
            await s.available(n)
        if asyncio.get_running_loop().time() > end:
            break
    await engine.close()


@pytest.mark.timeout(240)
async def test_every_scrape_of_a_real_prometheus_says_what_the_journal_says_at_its_seq(
    tmp_path: Path,
) -> None:
    async with station(DemoCentre(agents=2, acw_s=1, rest_s=5), sidecar=True) as s:
        async with prometheus(tmp_path, s.settings.web_port, machine(s.settings.home)) as url:
            desks = await s.staff(1, 2)
            async with asyncio.timeout(60):
                while not await with_centre(url, 60):
                    await asyncio.sleep(0.5)
            await callers_come_and_go(s, desks, 30)
            ends = len(s.told(f.CallEnded))
            async with asyncio.timeout(60):  # the last end is scraped, too
                while (kept := await with_centre(url, 240))[-1].values[
                    "callcore_today_open_calls", OF_DEMO
                ] or kept[-1].values["callcore_today_arrived_calls", OF_DEMO] != ends:
                    await asyncio.sleep(0.5)
        assert differences(s, kept) == []
        last = kept[-1].values
        with Tape(s.settings.journal, s.settings.keys) as tape:
            report = day_report(tape.frames(), CentreId(CENTRE), None)
    assert last["callcore_today_answer_ratio", OF_DEMO] == report.total.figures.answer_ratio.value
    assert last["callcore_today_wait_mean_seconds", OF_DEMO] == report.total.figures.wait_mean_s
    assert len({each.seq for each in kept}) >= 10, "too little happened between the scrapes"
    assert ends >= 6 and last["callcore_today_answer_part", OF_DEMO] >= 4
    for moved in ("callcore_waiting_calls", "callcore_open_calls", "callcore_agents"):
        seen = {each.values[series] for each in kept for series in each.values if series[0] == moved}
        assert len(seen) > 1, f"{moved} never moved"


@pytest.mark.soak
async def test_five_minutes_of_prometheus_beside_a_busy_centre_agree_with_the_journal(tmp_path: Path) -> None:
    phases = [Phase(rate=3, seconds=300, open_calls=45)]
    async with house(30) as s:
        async with prometheus(tmp_path, s.settings.web_port, machine(s.settings.home)) as url:
            found = await full_house(s, phases, 20261129)
            kept = await with_centre(url, 600)
            took = await scrape_seconds(url, 600)
        wrong = differences(s, kept)
    late = [b.taken_at - a.taken_at for a, b in itertools.pairwise(kept)]
    evidence(
        "Prometheus for five minutes beside a busy centre",
        {
            "calls": found.race.calls,
            "scrapes": len(kept),
            "places of the journal that were scraped": len({each.seq for each in kept}),
            "series in a scrape": len(kept[-1].values),
            "values that differ from the journal at the same seq": len(wrong),
            "longest gap between two scrapes (s)": round(max(late), 2),
            "a scrape took, median (ms)": round(statistics.median(took) * 1000, 1),
            "a scrape took, longest (ms)": round(took[-1] * 1000, 1),
            "most calls open at once": found.most_open,
        },
    )
    assert wrong == []
    assert len(kept) >= 290 and max(late) < 5
