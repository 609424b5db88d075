"""What Prometheus reads: right by its own tools, equal to the measures, and scraped by a real one."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from callcore.audit import Kept
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.board import AgentWord, todays_figures
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, AgentId, CentreId, PhoneId, QueueId
from callcore.domain.stages import Work
from callcore.reconciliation import told_of
from callcore.settings import PROJECT
from callcore.telemetry.prometheus import COUNTED, HELP, OUTCOMES, Exposition
from tests.support.exposition import labels_of, series_of
from tests.support.floors import MONDAY_NOON, Desk, centre, configuration
from tests.support.scraper import prometheus
from tests.support.web import DEADLINE_S, DeskSource, Served, served
from tests.unit.test_core_transfer import Moves

GAUGES = {"engine_timers": 4.0, "sidecar_drain_behind_seconds": 0.25, "made_up_by_nobody": 1.0}


def a_source() -> DeskSource:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(10, "c1")
    desk.pick_up(15, "c1")
    desk.hang_up(60, "c1")
    desk.wait(70, "c2")
    desk.arrive(75, "c3", open=False)
    source = DeskSource(desk)
    source.turn()
    return source


def parsed(text: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


async def scrape(server: Served, accept: str = "text/plain") -> httpx.Response:
    async with httpx.AsyncClient() as client:
        headers = {"accept": accept, **server.machine}
        return await client.get(f"{server.url}/metrics", headers=headers, follow_redirects=False)


async def test_prometheus_own_linter_finds_nothing_in_what_is_served() -> None:
    promtool = shutil.which("promtool")
    assert promtool, "apt install prometheus"
    night = told_of(
        Kept(CentreId("demo"), "2026-11-22", MONDAY_NOON, 9, 0, 0, unsettled=False, complete=True)
    )
    source, gauges = a_source(), lambda: dict(GAUGES)
    async with served(source, gauges=gauges, by_centre=lambda: {CentreId("demo"): night}) as server:
        answer = await scrape(server)
    assert answer.status_code == 200
    process = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(answer.content), DEADLINE_S)
    assert (process.returncode, said.decode()) == (0, "")


async def test_the_scraped_figures_are_the_measures_own() -> None:
    source = a_source()
    async with served(source) as server:
        told = parsed((await scrape(server)).text)
    centre = source.desk.floor.centres[CentreId("demo")]
    figures = todays_figures(source.desk.books, centre, source.now())[1]
    of = (("centre", "demo"),)
    assert told["callcore_today_answer_ratio"][of] == figures.answer_ratio.value == 0.5
    assert told["callcore_today_answer_part"][of] == figures.answer_ratio.part
    assert told["callcore_today_answer_whole"][of] == figures.answer_ratio.whole
    by_outcome = {
        word: told["callcore_today_calls"][("centre", "demo"), ("outcome", word)] for word in OUTCOMES
    }
    assert by_outcome == {word: getattr(figures, word) for word in OUTCOMES}
    assert sum(by_outcome.values()) == told["callcore_today_arrived_calls"][of] == 3
    agents = told["callcore_agents"]
    assert len(agents) == len(AgentWord)
    assert sum(agents.values()) == 3
    assert agents[("centre", "demo"), ("state", "acw")] == 1
    assert told["callcore_waiting_calls"][("centre", "demo"), ("queue", "demo-general")] == 1
    assert told["callcore_longest_wait_seconds"][of] == 5


async def test_waits_talks_hold_and_after_call_work_are_histograms_with_the_contracts_threshold_as_an_edge() -> (
    None
):
    threshold_s = 17
    desk = Desk().begin(configuration(replace(centre(3), service_level_s=threshold_s)))
    desk.sign_in(1, 1)
    desk.wait(10, "in")
    leg = desk.pick_up(10 + threshold_s, "in")
    desk.tell(i.HoldChanged(at=desk.at(40), channel=leg, held=True))
    desk.tell(i.HoldChanged(at=desk.at(75), channel=leg, held=False))
    desk.hang_up(127, "in")
    desk.tell(i.TimerFired(at=desk.at(157), timer=i.Timer(i.TimerKind.WRAP_UP, AgentId("1001"))))
    desk.wait(160, "late")
    desk.pick_up(161 + threshold_s, "late")
    told = series_of(Exposition(DeskSource(desk), dict))

    def buckets(name: str) -> dict[str, float]:
        name = f"callcore_today_{name}_seconds_bucket"
        return {dict(labels)["le"]: n for (each, labels), n in told.items() if each == name}

    of_demo = (("centre", "demo"),)
    wait = buckets("wait")
    assert wait["17.0"] == told["callcore_today_service_level_part", of_demo] == 1
    assert (wait["10.0"], wait["20.0"], wait["+Inf"]) == (0, 2, 2)
    assert told["callcore_today_wait_seconds_sum", of_demo] == 2 * threshold_s + 1
    assert told["callcore_today_talk_seconds_count", of_demo] == 1, "the other one talks still"
    assert told["callcore_today_talk_seconds_sum", of_demo] == 100
    assert (buckets("hold")["30.0"], buckets("hold")["60.0"]) == (0, 1)
    assert told["callcore_today_hold_seconds_sum", of_demo] == 35
    assert told["callcore_today_acw_seconds_sum", of_demo] == 30
    for name in ("wait", "talk", "hold", "acw"):
        counts = [n for _, n in sorted(buckets(name).items(), key=lambda each: float(each[0]))]
        assert counts == sorted(counts)
        assert counts[-1] == told[f"callcore_today_{name}_seconds_count", of_demo]


def test_the_answer_ratio_of_the_last_hour_has_only_its_calls() -> None:
    desk = Desk().begin()
    desk.wait(10, "lost")
    desk.hang_up(40, "lost")
    desk.sign_in(2000, 1)
    desk.wait(3000, "answered")
    desk.pick_up(3005, "answered")
    desk.hang_up(3060, "answered")
    source, of_demo = DeskSource(desk), (("centre", "demo"),)

    def ratio() -> tuple[float, float]:
        told = series_of(Exposition(source, dict))
        return told["callcore_hour_answer_part", of_demo], told["callcore_hour_answer_whole", of_demo]

    assert ratio() == (1, 2)
    source.clock = desk.at(3611)
    assert ratio() == (1, 1)
    source.clock = desk.at(7000)
    assert ratio() == (0, 0)
    assert series_of(Exposition(source, dict))["callcore_today_answer_whole", of_demo] == 2


def test_a_broken_rule_of_the_floor_and_who_is_staffed_are_told() -> None:
    desk = Desk().begin()
    for n in (1, 2, 3):
        desk.sign_in(n, n)
    desk.tell(i.PauseAsked(at=desk.at(5), agent=AgentId("1003"), reason="休憩", by="user:sup"))
    source = DeskSource(desk)

    def told(name: str, *labels: tuple[str, str]) -> float:
        return series_of(Exposition(source, dict))[f"callcore_{name}", labels]

    assert told("invariants_broken") == 0
    assert told("agents_staffed", ("centre", "demo")) == 2
    one = desk.floor.agents[AgentId("1001")]
    desk.floor = replace(
        desk.floor, agents=desk.floor.agents.set(one.id, replace(one, work=Work.WRAPPING_UP))
    )
    assert told("invariants_broken") > 0


async def test_what_became_of_calls_to_departments_is_told_by_centre() -> None:
    moves = Moves().begin()
    moves.answers(20, moves.ask(12))
    moves.passes_on(30)
    async with served(DeskSource(moves.d)) as server:
        told = parsed((await scrape(server)).text)
    asks = {dict(labels)["end"]: n for labels, n in told["callcore_today_department_asks"].items()}
    assert asks == {end.value: float(end is AskEnd.PUT_THROUGH) for end in AskEnd}
    for name in ("median", "p90", "max"):
        assert told[f"callcore_today_department_answer_{name}_seconds"] == {(("centre", "demo"),): 8.0}


async def test_the_last_reconciled_day_of_each_centre_can_raise_an_alarm() -> None:
    night = told_of(
        Kept(CentreId("demo"), "2026-11-22", MONDAY_NOON, 312, 1, 2, unsettled=False, complete=True)
    )
    of_demo = (("centre", "demo"),)
    async with served(a_source(), by_centre=lambda: {CentreId("demo"): night}) as server:
        told = parsed((await scrape(server)).text)
    assert told["callcore_reconciliation_differences"][of_demo] == 1
    assert told["callcore_reconciliation_explained"][of_demo] == 2
    assert told["callcore_reconciliation_calls"][of_demo] == 312
    assert told["callcore_reconciliation_complete"][of_demo] == 1
    assert told["callcore_reconciliation_at_seconds"][of_demo] == MONDAY_NOON / SECOND
    assert set(night) <= set(HELP)


async def test_a_ratio_of_no_calls_is_no_number_and_never_0_or_1() -> None:
    async with served(DeskSource(Desk().begin())) as server:
        told = parsed((await scrape(server)).text)
    of_demo = (("centre", "demo"),)
    assert math.isnan(told["callcore_today_answer_ratio"][of_demo])
    assert told["callcore_today_answer_whole"][of_demo] == 0
    assert math.isnan(told["callcore_month_answer_ratio"][of_demo]), "the database has not been asked yet"
    assert math.isnan(told["callcore_month_answer_whole"][of_demo]), "which is not: nobody called"
    assert math.isnan(told["callcore_engine_trunk_reachable"][()])
    assert math.isnan(told["callcore_sidecar_certificate_seconds_left"][()])


async def test_no_series_of_a_level_comes_or_goes_while_calls_come_and_go() -> None:
    def names(desk: Desk) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        text = Exposition(DeskSource(desk), dict)("text/plain")[0].decode()
        return {(name, labels) for name, samples in parsed(text).items() for labels in samples}

    desk = Desk().begin()
    first = names(desk)
    desk.sign_in(1, 1)
    desk.wait(10, "c1")
    desk.pick_up(15, "c1")
    desk.hang_up(60, "c1")
    assert names(desk) == first
    moves = Moves().begin()
    moves.answers(20, moves.ask(12))
    moves.passes_on(30)
    assert names(moves.d) == first


def test_a_count_of_the_engine_is_not_told_as_nothing_before_the_engine_told_it() -> None:
    text = Exposition(a_source(), dict)("text/plain")[0].decode()
    assert not {f"callcore_{name}" for name in COUNTED} & set(parsed(text))
    assert set(HELP) > COUNTED
    text = Exposition(a_source(), lambda: {"engine_faults": 2.0})("text/plain")[0].decode()
    assert parsed(text)["callcore_engine_faults"][()] == 2.0


def test_five_centres_with_fifty_queues_and_150_agents_are_few_series_whoever_calls() -> None:
    def centre_of(name: str, queues: int) -> Centre:
        made = centre(30)
        more = tuple(replace(made.queues[0], id=QueueId(f"{name}-q{n}")) for n in range(1, queues))
        if name == "demo":
            return replace(made, queues=made.queues + more)
        queue = replace(made.queues[0], id=QueueId(f"{name}-q0"))
        return replace(
            made,
            id=CentreId(name),
            numbers=(),
            queues=(queue, *more),
            agents=tuple(
                replace(a, id=AgentId(f"9{name[1]}{a.id}"), queues=(queue.id,)) for a in made.agents
            ),
            phones=tuple(replace(p, id=PhoneId(f"{name}-{p.id}")) for p in made.phones),
        )

    house = Desk().begin(configuration(*(centre_of(name, 10) for name in ("demo", "z1", "z2", "z3", "z4"))))
    before = size_of(house)
    for n in range(200):
        house.wait(10 + n, f"c{n}")
    for n in range(200):
        house.hang_up(300 + n, f"c{n}")
    assert size_of(house) == before
    assert before < 1000
    assert not re.search(r'"[^"]*(c1\d\d|1001|0975|678)"', text_of(house)), (
        "no call, agent or number in a label"
    )


def text_of(desk: Desk) -> str:
    return Exposition(DeskSource(desk), dict)("text/plain")[0].decode()


def size_of(desk: Desk) -> int:
    return sum(len(samples) for samples in parsed(text_of(desk)).values())


async def test_a_silent_engine_is_seen_by_the_alarm() -> None:
    source = a_source()
    source.stale = 42.0
    async with served(source) as server:
        told = parsed((await scrape(server)).text)
    assert told["callcore_engine_silence_seconds"][()] == 42.0


async def test_gauges_that_fail_or_are_named_wrongly_do_not_hide_the_floor() -> None:
    def broken() -> dict[str, float]:
        raise OSError("no socket")

    async with served(a_source(), gauges=broken) as server:
        told = parsed((await scrape(server)).text)
    assert told["callcore_gauges_up"][()] == 0
    assert told["callcore_today_arrived_calls"][("centre", "demo"),] == 3
    odd = {"Bad-Name": 1.0, "fine": 2.0, "agents": 3.0, "x{evil}": 4.0}
    async with served(a_source(), gauges=lambda: odd) as server:
        told = parsed((await scrape(server)).text)
    assert told["callcore_fine"][()] == 2.0
    assert told["callcore_gauges_refused"][()] == 3
    assert () not in told["callcore_agents"]


@pytest.mark.timeout(60)
async def test_a_real_prometheus_reads_it(tmp_path: Path) -> None:
    value = None
    async with (
        served(a_source()) as server,
        prometheus(tmp_path, server.port, server.machine) as url,
        httpx.AsyncClient() as client,
    ):
        async with asyncio.timeout(30):
            while value is None:
                with contextlib.suppress(httpx.TransportError, ValueError):  # or not ready yet
                    answer = await client.get(
                        f"{url}/api/v1/query", params={"query": "callcore_today_answer_ratio"}
                    )
                    result = answer.json().get("data", {}).get("result", [])
                    value = float(result[0]["value"][1]) if result else None
                await asyncio.sleep(0.1)
    assert value == 0.5


async def test_what_was_refused_is_counted_by_its_reason() -> None:
    source = a_source()
    told = {"device_policy_rejections": {"mac": 2, "emergency": 0}, "phone_files_refused": {"file": 7}}
    found = parsed(Exposition(source, dict, dict, lambda: told)("text/plain")[0].decode())
    rejections = found["callcore_device_policy_rejections_total"]
    assert rejections == {(("reason", "mac"),): 2.0, (("reason", "emergency"),): 0.0}
    assert found["callcore_phone_files_refused_total"][(("reason", "file"),)] == 7.0

    def broken() -> dict[str, dict[str, int]]:
        raise OSError("the engine is away")

    text = Exposition(source, dict, dict, broken)("text/plain")[0].decode()
    assert "callcore_today" in text, "the floor is told all the same"


def test_a_reader_of_the_metrics_page_finds_each_metric_with_the_labels_that_it_has() -> None:
    page = (PROJECT / "docs" / "metrics.md").read_text(encoding="utf-8")
    served, named = labels_of(), []
    for names, labels in re.findall(r"(?m)^\|( `callcore_[^|]*)\|([^|]*)\|", page):
        for name in re.findall(r"`(callcore_\w+)`", names):
            named.append(name)
            assert served[name] == set(re.findall(r"`(\w+)`", labels)), name
    assert len(named) > 50
