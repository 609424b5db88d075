"""How many calls a second callcore and a plain `app_queue` carry: same Asterisk, same phones, same callers, same run.

    PYTHONPATH=src:. python -m bench.against_app_queue [--agents 150] [--seconds 20] [--first 40] [--step 20]
        [--strategy leastrecent] [--no-sidecar] [--evidence docs/evidence]

Method. One Asterisk process runs all the time, with one set of registered phones (SIPp: they answer almost at once,
talk for half a second and hang up) and one kind of caller (SIPp, no media). Callers come from one of two trunks:

- *callcore*: the dialplan as rendered, the engine and the sidecar beside it (journal, database, metrics and all).
- *app_queue*: answer, recording, the same two prompts, `Queue()` with the given strategy, `ringinuse=no`, autofill. No
  opening hours, no events to anybody; engine and sidecar are stopped, and nobody is logged in to AMI.

The agents are members of the one that is measured only, since a queue costs Asterisk something for each change of a
member's phone. After-call time is 0 on both sides. CEL and CDR are written for both. `Answer()` waits half a second for
a caller without media, on both sides.

A step is one rate for so many seconds on one side. The sides take turns, and change who is first with each rate, so
that the machine's other work meets both. A rate holds if, by Asterisk's CEL and SIPp's own counts:

- 99.9 % of the calls were answered by an agent and SIPp saw no more than 0.1 % failures;
- 95 % of the answers came within 1.5 s of the INVITE's channel, and the last third of the calls did not wait 0.2 s
  longer than the first (by their medians): no backlog grows;
- SIPp retransmitted in no more than 1 % of the calls, on either end;
- the arrivals came at the rate that was asked for, to 3 %.

What fails is tried once more; the highest rate that held is the side's figure, and after the steps one half a step
above it is tried. CPU is told by part; the load generator's is told apart and counts for neither. The
sidecar stands back as it does under the supervisor, in a session of its own: what it leaves for later is told too.

With `CALLCORE_TEST_AHEAD=1` (as root, under `setsid -w`) the machine's other work stands back.

First of all SIPp calls SIPp without any Asterisk between, at a rate beyond all that is tried later: so much it can do
itself.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import re
import resource
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.rig import manager
from tests.support import load
from tests.support.people import read_page
from tests.support.race import (
    Callers,
    Desks,
    ahead_of_others,
    asterisk_cpu_s,
    register_for_long,
    ring_up,
    short_prompts,
    signed_in_before,
    status,
    take_seats,
)
from tests.support.station import Station, station, until

from bench.report import Report, Row
from callcore.demo.centre import CENTRE, NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.stages import Device
from callcore.pbx.render import CEL_FIELDS, CEL_FILE
from callcore.runtime.offertimes import quantile

CALLCORE, APP_QUEUE = "callcore", "app_queue"
ARRIVALS = {CALLCORE: "callcore-in", APP_QUEUE: "plain-in"}
QUEUE = {CALLCORE: f"{CENTRE}-general", APP_QUEUE: "plain"}
FIRST_PLACE = {CALLCORE: 0, APP_QUEUE: 64}
"""Among the trunk's addresses: the upper half of them is the plain trunk's."""
RING_S, TALK_S = 0.02, 0.5
STREAMS = 2
"""SIPp processes for the callers."""
ANSWERED_SHARE = 0.999
FAILED_SHARE = 0.001
RETRANSMITTED_SHARE = 0.01
ANSWER_P95_S = 1.5
GROWTH_S = 0.2
ARRIVAL_SHARE = 0.97
ALONE_RATE = 400.0
ALONE_S = 5.0
RTP_LAST = 29_999
"""Ports for sound: two for each leg; a backlog must not run out of them."""
PAUSE_S = 2.0
"""Between two steps, so that what one has begun (records, looks, syncs) doesn't burden the next."""

PLAIN_DIALPLAN = f"""
[plain-in]
exten => {NUMBER},1,Answer()
 same => n,MixMonitor(${{CALLCORE_RECORDINGS}}/${{UNIQUEID}}.wav,b)
 same => n,Playback(${{CALLCORE_SOUND_{CENTRE}_recording_notice}}&${{CALLCORE_SOUND_{CENTRE}_greeting}})
 same => n,Queue(plain)
 same => n,Hangup()
"""
PLAIN_QUEUE = f"""
[plain]
strategy = @STRATEGY@
musicclass = callcore-{CENTRE}
timeout = 5
retry = 1
wrapuptime = 0
ringinuse = no
autofill = yes
autopause = no
joinempty = yes
leavewhenempty = no
"""
PLAIN_TRUNK = """
[plain](callcore-endpoint)
context = plain-in
identify_by = ip
allow_subscribe = no
from_user = plain

[plain-identify]
type = identify
endpoint = plain
match = @NET@.192/26
"""


def prepare(s: Station, strategy: str) -> None:
    """Put the plain set-up beside callcore's, on the disk, before Asterisk reads it."""
    register_for_long(s)
    etc = s.pbx.etc_dir
    pjsip = etc / "pjsip.conf"
    text = pjsip.read_text("utf-8")
    mine = f"match = {s.net}.128/25"
    assert mine in text
    text = text.replace(mine, f"match = {s.net}.128/26") + PLAIN_TRUNK.replace("@NET@", s.net)
    pjsip.write_text(text, encoding="utf-8")
    for name, more in (
        ("extensions.conf", PLAIN_DIALPLAN),
        ("queues.conf", PLAIN_QUEUE.replace("@STRATEGY@", strategy)),
    ):
        with (etc / name).open("a", encoding="utf-8") as file:
            file.write(more)


@dataclass(frozen=True, slots=True)
class Step:
    """One rate on one side. Waits in seconds from the arriving channel to the bridge, in the order of arrival."""

    side: str
    rate: float
    calls: int
    arrived: int
    waits: Sequence[float]
    failures: int
    retransmissions: int
    came_at: float
    """Calls a second, from the first to the last."""
    cpu_ms: dict[str, float]
    """Per call, by part."""
    idle: float
    """Share of the machine's time in which nobody wanted it."""
    offers_p99_ms: float | None = None
    """Agent free and caller waiting to redirect, inside callcore."""
    behind_s: float | None = None
    """How far the sidecar's database was behind the journal as the last call ended."""

    def complaints(self) -> list[str]:
        """Why the rate did not hold, in words."""
        found = []
        if len(self.waits) < ANSWERED_SHARE * self.calls:
            found.append(f"{self.calls - len(self.waits)} of {self.calls} calls without an answer")
        if self.failures > FAILED_SHARE * self.calls:
            found.append(f"{self.failures} failures")
        if self.retransmissions > RETRANSMITTED_SHARE * self.calls:
            found.append(f"{self.retransmissions} retransmissions")
        if self.came_at < ARRIVAL_SHARE * self.rate:
            found.append(f"arrivals came at {self.came_at:.0f}/s")
        if len(self.waits) >= 20:
            if (late := statistics.quantiles(self.waits, n=20)[-1]) > ANSWER_P95_S:
                found.append(f"P95 of the answers after {late:.1f} s")
            third = len(self.waits) // 3
            grown = statistics.median(self.waits[-third:]) - statistics.median(self.waits[:third])
            if grown > GROWTH_S:
                found.append(f"the last third waited {grown:.1f} s longer than the first")
        return found

    def line(self) -> str:
        parts = ", ".join(f"{name} {ms:.2f}" for name, ms in sorted(self.cpu_ms.items()))
        offers = "" if self.offers_p99_ms is None else f"; offers p99 {self.offers_p99_ms:.1f} ms"
        offers += "" if self.behind_s is None else f"; database {self.behind_s:.1f} s behind"
        words = "; ".join(self.complaints()) or "holds"
        median = statistics.median(self.waits) if self.waits else 0.0
        return (
            f"{self.side} {self.rate:.0f}/s: {words}; answer after {median:.2f} s (median); "
            f"CPU per call (ms): {parts}; machine idle {self.idle:.0%}{offers}"
        )


@dataclass(slots=True)
class Bench:
    s: Station
    desks: Sequence[load.AgentDesk]
    seconds: float
    sidecar: bool
    _cel_at: int = 0
    steps: list[Step] = field(default_factory=list)

    @property
    def server(self) -> str:
        return f"{self.s.net}.1:{self.s.settings.sip_port}"

    async def step(self, side: str, rate: float) -> Step:
        """Measure one rate on one side."""
        async with self._side(side):
            await asyncio.sleep(PAUSE_S)
            self._cel()
            calls = round(rate * self.seconds)
            before, offers = self._cpu_s(), await self._offers(side)
            idle, began = _idle_s(), time.monotonic()
            repeated = sum(desk.retransmissions() for desk in self.desks)
            kinds = [Callers(1 / STREAMS, None)] * STREAMS
            heard = await ring_up(
                self.s, kinds, calls, rate, self.server, at_once=20_000, first=FIRST_PLACE[side]
            )
            lasted = time.monotonic() - began
            idle_share = (_idle_s() - idle) / lasted / _cores()
            used = {name: value - before.get(name, 0.0) for name, value in self._cpu_s().items()}
            repeated = sum(desk.retransmissions() for desk in self.desks) - repeated
            after = await self._offers(side)
            behind = await asyncio.to_thread(self._behind_s, side)
        made = sum(result.calls for result in heard)
        starts, waits = self._waits(side)
        span = starts[-1] - starts[0] if len(starts) > 1 else 0.0
        step = Step(
            side=side,
            rate=rate,
            calls=made,
            arrived=len(starts),
            waits=waits,
            failures=sum(result.failed for result in heard),
            retransmissions=repeated + sum(result.retransmissions for result in heard),
            came_at=(len(starts) - 1) / span if span else 0.0,
            cpu_ms={name: value * 1000 / max(1, made) for name, value in used.items()},
            idle=idle_share,
            offers_p99_ms=None
            if after is None or offers is None
            else (quantile([b - a for a, b in zip(offers, after, strict=True)], 0.99) or 0.0) * 1000,
            behind_s=behind,
        )
        self.steps.append(step)
        print(step.line(), flush=True)
        return step

    @asynccontextmanager
    async def _side(self, side: str) -> AsyncIterator[None]:
        """The one that is measured is there, the other is not."""
        if side == CALLCORE:
            await self.s.start_engine()
            if self.sidecar:
                self.s.start("sidecar", own_session=True)
            yield
            for name in list(self.s.processes):
                await self.s.stop(name)
        else:
            await self._members(QUEUE[CALLCORE], "QueueRemove")
            await self._members(QUEUE[APP_QUEUE], "QueueAdd")
            yield
            await self._members(QUEUE[APP_QUEUE], "QueueRemove")
            await self._members(QUEUE[CALLCORE], "QueueAdd")

    async def _members(self, queue: str, action: str) -> None:
        actions = []
        for n in range(1, self.s.centre.agents + 1):
            interface = f"PJSIP/{self.s.centre.phone(n)}"
            fields = {"Action": action, "Queue": queue, "Interface": interface}
            if action == "QueueAdd":
                fields |= {"MemberName": self.s.centre.agent(n), "StateInterface": interface}
            actions.append(fields)
        await manager(self.s, *actions)

    async def _offers(self, side: str) -> list[int] | None:
        if side != CALLCORE:
            return None
        counts: list[int] = (await status(self.s))["offer_times"]["inside"]
        return counts

    def _behind_s(self, side: str) -> float | None:
        if side != CALLCORE or not self.sidecar:
            return None
        _, text = read_page(self.s.settings, "/metrics", timeout=10)
        found = re.search(r"(?m)^callcore_sidecar_drain_behind_seconds (\S+)$", text)
        return None if found is None else float(found[1])

    def _cpu_s(self) -> dict[str, float]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        parts = {name: load.cpu_s(process.pid) for name, process in self.s.processes.items()}
        generator = children.ru_utime + children.ru_stime + sum(desk.cpu_s() for desk in self.desks)
        return {**parts, "Asterisk": asterisk_cpu_s(self.s), "load generator": generator}

    def _cel(self) -> list[dict[str, str]]:
        """What was added to CEL since the last look."""
        path = self.s.pbx.log_dir / CEL_FILE
        if not path.exists():
            return []
        with path.open("rb") as file:
            file.seek(self._cel_at)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._cel_at += len(whole)
        rows = csv.reader(whole.decode("utf-8", "replace").splitlines())
        return [dict(zip(CEL_FIELDS, row, strict=False)) for row in rows]

    def _waits(self, side: str) -> tuple[list[float], list[float]]:
        """Instants of arrival in order (epoch seconds), and the waits of those who were answered, in that order."""
        came: dict[str, float] = {}
        waits: dict[str, float] = {}
        for row in self._cel():
            call, kind = row["uniqueid"], row["eventenum"]
            if kind == "CHAN_START" and row["context"] == ARRIVALS[side]:
                came[call] = float(row["eventtime"])
            elif kind == "BRIDGE_ENTER" and call in came and call not in waits:
                waits[call] = float(row["eventtime"]) - came[call]
        return list(came.values()), [waits[call] for call in came if call in waits]


def _idle_s() -> float:
    """Seconds in which a core was idle, all cores together, since the boot: /proc/stat in ticks of 10 ms (proc(5))."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / 100


def _cores() -> int:
    return sum(
        line[:4] != "cpu " for line in Path("/proc/stat").read_text().splitlines() if line[:3] == "cpu"
    )


async def alone(s: Station, desks: str) -> str:
    """What the load generator can do without anybody between its two ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = await load.run_callers(
        round(ALONE_RATE * ALONE_S), ALONE_RATE, number="1", server=f"{desks}:5060", address=f"{s.net}.250"
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (
        f"{found.calls} calls at {ALONE_RATE:.0f}/s to its own other end: {found.failed} failed, "
        f"{found.retransmissions} retransmissions, {used * 1000 / found.calls:.2f} ms CPU per call at the callers' end"
    )


async def search(bench: Bench, first: float, step: float, last: float) -> dict[str, float]:
    """The highest rate that held, of each side; 0 if none did."""
    best = {CALLCORE: 0.0, APP_QUEUE: 0.0}
    searching = {CALLCORE, APP_QUEUE}
    rate, turn = first, 0
    while searching and rate <= last:
        sides = [CALLCORE, APP_QUEUE] if turn % 2 == 0 else [APP_QUEUE, CALLCORE]
        for side in [each for each in sides if each in searching]:
            if await _holds(bench, side, rate):
                best[side] = rate
            else:
                searching.discard(side)
        rate, turn = rate + step, turn + 1
    for side, held in list(best.items()):
        if held and held + step / 2 < last and await _holds(bench, side, held + step / 2):
            best[side] = held + step / 2
    return best


async def _holds(bench: Bench, side: str, rate: float) -> bool:
    """At the first try or the second."""
    return not (await bench.step(side, rate)).complaints() or not (await bench.step(side, rate)).complaints()


async def measure(
    agents: int, seconds: float, first: float, step: float, last: float, strategy: str, *, sidecar: bool
) -> Report:
    async with AsyncExitStack() as stack:
        centre = DemoCentre(agents=agents, ring_s=5, acw_s=0, rest_s=5)
        s = await stack.enter_async_context(
            station(
                centre,
                engine=False,
                prompts=short_prompts,
                pins=False,
                prepare=lambda made: prepare(made, strategy),
                rtp_last=RTP_LAST,
            )
        )
        ahead = ahead_of_others(s)
        signed_in_before(s)
        kinds = [Desks(0.5, RING_S, TALK_S), Desks(0.5, RING_S, TALK_S)]
        desks = await take_seats(s, kinds, f"{s.net}.1:{s.settings.sip_port}", stack)
        generator = await alone(s, f"{s.net}.20")
        print(f"load generator: {generator}", flush=True)
        await s.start_engine()
        await until(
            lambda: sum(x.device is Device.FREE for x in s.told(f.DeviceChanged)) >= agents, 60, "free phones"
        )
        await s.stop("engine")
        bench = Bench(s, desks, seconds, sidecar)
        best = await search(bench, first, step, last)
        version = s.toolchain.version
    return _report(bench, best, agents, strategy, generator, version, ahead=ahead)


def _report(
    bench: Bench,
    best: dict[str, float],
    agents: int,
    strategy: str,
    generator: str,
    asterisk: str,
    *,
    ahead: bool,
) -> Report:
    mine, plain = best[CALLCORE], best[APP_QUEUE]
    ratio = "none of app_queue's rates held" if not plain else f"{mine / plain:.2f}"
    common = [
        (a, b)
        for a in bench.steps
        for b in bench.steps
        if a.side == CALLCORE
        and b.side == APP_QUEUE
        and a.rate == b.rate
        and not a.complaints() + b.complaints()
    ]
    circumstances = {
        "Asterisk": asterisk,
        "phones": f"{agents} signed-in agents, ring {RING_S} s, talk {TALK_S} s, after-call time 0",
        "the side of app_queue": f"strategy {strategy}, ringinuse=no, autofill, no AMI client",
        "the side of callcore": "engine, journal and sidecar"
        if bench.sidecar
        else "engine and journal, no sidecar",
        "a step": f"{bench.seconds:.0f} s of arrivals",
        "put before the machine's other work": "yes" if ahead else "no",
        "load generator alone": generator,
        "highest sustained rate, callcore": f"{mine:.0f} calls/s",
        "highest sustained rate, app_queue": f"{plain:.0f} calls/s",
        "callcore ÷ app_queue": ratio,
    }
    for a, b in common[-1:]:
        own = sum(ms for name, ms in a.cpu_ms.items() if name != "load generator")
        circumstances[f"CPU per call at {a.rate:.0f}/s, callcore"] = _parts(a)
        circumstances[f"CPU per call at {a.rate:.0f}/s, app_queue"] = _parts(b)
        circumstances[f"Asterisk's CPU at {a.rate:.0f}/s, callcore ÷ app_queue"] = (
            f"{a.cpu_ms['Asterisk'] / b.cpu_ms['Asterisk']:.2f}; with all of callcore's own "
            f"{own / b.cpu_ms['Asterisk']:.2f}"
        )
    return Report(
        name="against-app-queue",
        title="Calls a second: callcore and a plain app_queue",
        circumstances=circumstances,
        rows=[
            Row.of(f"INVITE to answer, {step.side}, {step.rate:.0f}/s", [w * 1000 for w in step.waits])
            for step in bench.steps
            if step.waits
        ],
        notes=(
            *(step.line() for step in bench.steps),
            "How it is measured, and when a rate holds, stands at the head of `bench/against_app_queue.py`.",
        ),
    )


def _parts(step: Step) -> str:
    return ", ".join(f"{name} {ms:.2f} ms" for name, ms in sorted(step.cpu_ms.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--agents", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=20, help="arrivals of one step")
    parser.add_argument("--first", type=float, default=40, help="calls/s of the first step")
    parser.add_argument("--step", type=float, default=20, help="calls/s between two steps")
    parser.add_argument("--last", type=float, default=260, help="calls/s beyond which nothing is tried")
    parser.add_argument("--strategy", default="leastrecent", choices=("leastrecent", "rrmemory"))
    parser.add_argument("--no-sidecar", action="store_true")
    parser.add_argument("--evidence", type=Path, help="folder for the page and the JSON file")
    asked = parser.parse_args()
    report = asyncio.run(
        measure(
            asked.agents,
            asked.seconds,
            asked.first,
            asked.step,
            asked.last,
            asked.strategy,
            sidecar=not asked.no_sidecar,
        )
    )
    print(report.table())
    if asked.evidence is not None:
        print(report.write(asked.evidence))


if __name__ == "__main__":
    main()
