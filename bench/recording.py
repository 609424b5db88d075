"""What it takes to record 150 talks at once, and how soon each is encrypted, hashed and found in the index.

    PYTHONPATH=src:. python -m bench.recording [--calls 150] [--seconds 60] [--evidence docs/evidence]

Method. A real Asterisk, engine and sidecar; SIPp makes and takes the calls, `bench.speakers` sends G.711 both ways, on
time. All calls come within 30 s, stay so many seconds and go. The same load is put on twice, first with the recording
taken out of the dialplan, then as it is; CPU of Asterisk is told for both, and their ratio, which says more than either
on a machine that has other work. Wants root, for the packets on the wire and for the speakers' class.

- Gaps: each packet bears a tone that says which one it is. In each recording, from second 2 of its sound to half a
  second before its end, every 20 ms of either side must hold the packet that comes next. What does not is held against
  the packets as they came to Asterisk, and as it sent them on to the other leg (`bench.wire`, `bench.gaps`): a fault is
  the sender's (late by so much that Asterisk cannot wait), Asterisk's, or that of the mixing.
- Disk: bytes of the recording while it is plain, and of the sealed file.
- From the call's end to the recording's row in the database that says it lies sealed in the store: the row is asked for
  four times a second. `CALLCORE_RECORDINGS_PLAIN_S` (here 5, the least there is) is part of it and told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import sqlite3
import sys
import time
import wave
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.support import load
from tests.support.full_house import house
from tests.support.race import Journal, asterisk_cpu_s, signed_in_before
from tests.support.station import Station, until

from bench import gaps, wire
from bench.report import Report, Row
from callcore.demo.centre import NUMBER
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, PhoneId
from callcore.installation import recordings_of
from callcore.recordings.signing import PUBLIC, public_keys
from callcore.recordings.verify import verify

ARRIVE_S = 30.0
PLAIN_S = 5
_NICE = -20
"""Of Asterisk's session: sessions get equal shares of the cores (sched(7)); a service's processes have one share."""
SKIP_S, TAIL_S = 2.0, 0.5
SETTLE_S = 180.0
ASK_EVERY_S = 0.25
MIX = (
    " same => n,MixMonitor(${CALLCORE_RECORDINGS}/${CALLCORE_CALL}.wav,bi(CALLCORE_TAPE)${CALLCORE_APART})\n"
)


@dataclass(frozen=True, slots=True)
class Step:
    """CPU seconds of Asterisk while the load lasted, and of talk."""

    asterisk_s: float
    talk_s: float
    answered: int


async def _load(s: Station, calls: int, seconds: float, place: int) -> Step:
    server = f"{s.net}.1:{s.settings.sip_port}"
    before = asterisk_cpu_s(s)
    heard = await load.run_callers(
        calls,
        calls / ARRIVE_S,
        number=NUMBER,
        server=server,
        address=f"{s.net}.{131 + place}",
        caller_prefix=f"09{place:02}",
        stay_s=seconds,
        at_once=calls,
    )
    return Step(asterisk_cpu_s(s) - before, heard.answered * seconds, heard.answered)


@asynccontextmanager
async def _speaking(server: str, callers: str, agents: str) -> AsyncIterator[None]:
    """`bench.speakers`."""
    host, _, port = server.partition(":")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.speakers", host, port, callers, agents), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), SETTLE_S) == b"listening\n"
        yield
        assert process.returncode is None, "it spoke to the end"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _put_first(pid: int | None) -> None:
    with contextlib.suppress(OSError):  # a kernel that does not share by sessions
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))


def _sealed(s: Station) -> set[str]:
    database = sqlite3.connect(f"file:{s.settings.home}/callcore.db?mode=ro", uri=True)
    try:
        return {name for (name,) in database.execute("SELECT name FROM recordings WHERE place = 'store'")}
    finally:
        database.close()


async def _watched(s: Station, wanted: int, seen: dict[str, float]) -> None:
    """Notes when each recording's row says that it lies in the store."""
    while len(seen) < wanted:
        at = time.time()
        for name in await asyncio.to_thread(_sealed, s):
            seen.setdefault(name, at)
        await asyncio.sleep(ASK_EVERY_S)


@dataclass(frozen=True, slots=True)
class Heard:
    """A kept recording."""

    sound: NDArray[np.float64]
    sealed: int
    """Bytes of its file."""

    @property
    def seconds(self) -> float:
        return len(self.sound) / wire.RATE


def _heard(s: Station, name: str) -> Heard:
    recordings = recordings_of(s.settings)
    path = recordings.find(name)
    assert path is not None
    with recordings.opened(path) as file, wave.open(file) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (wire.RATE, 1, 2)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(float)
    return Heard(samples, path.stat().st_size)


@dataclass(slots=True)
class Looked:
    """What the recordings hold of what was sent."""

    packets: int = 0
    faults: dict[str, list[gaps.Fault]] = field(default_factory=dict)
    """By recording."""
    apart: list[NDArray[np.float64]] = field(default_factory=list)
    """Seconds between two packets of one side as they came to Asterisk."""
    through: list[NDArray[np.float64]] = field(default_factory=list)
    """Seconds from there until Asterisk sent them on."""
    ahead: list[float] = field(default_factory=list)
    """Seconds by which the caller's packet came sooner than the agent's with which it is mixed, of each recording."""

    def told(self, *kinds: gaps.Kind) -> str:
        """How many packets' worth, in how many files, and why."""
        of = [[each for each in faults if each.kind in kinds] for faults in self.faults.values()]
        whole = [sum(each.packets for each in faults) for faults in of]
        if not any(whole):
            return "0"
        why: Counter[str] = Counter()
        for each in itertools.chain.from_iterable(of):
            why[f"{each.side}'s {each.cause.value}"] += each.packets
        causes = ", ".join(f"{n} {cause}" for cause, n in why.most_common())
        return f"{sum(whole)} in {sum(map(bool, whole))} files, at most {max(whole)} in one: {causes}"


def _looked(
    passed: wire.Wire, recordings: dict[str, tuple[Heard, str, float, float]], ends: tuple[str, str]
) -> Looked:
    """`recordings`: each with its caller's number and the talk's begin and end. `ends`: of callers, of agents."""
    found = Looked()
    for name, (heard, number, began, ended) in recordings.items():
        legs = [(end, passed.ports[number, end]) for end in ends]
        came = [passed.to_asterisk[leg].between(began - 1, ended + 1) for leg in legs]
        sent = [passed.from_asterisk[leg].between(began - 1, ended + 1) for leg in reversed(legs)]
        sides = tuple(
            gaps.Side(side, gaps.tones(heard.sound, low), flow, gaps.passed_on(flow, on))
            for side, low, flow, on in zip(
                ("caller", "agent"), (wire.LOW, wire.HIGH), came, sent, strict=True
            )
        )
        first, last = round(SKIP_S / wire.PACKET_S), round((heard.seconds - TAIL_S) / wire.PACKET_S)
        found.faults[name] = list(gaps.faults((sides[0], sides[1]), began=began, first=first, last=last))
        found.packets += 2 * (last - first)
        found.ahead.append(gaps.ahead_s((sides[0], sides[1]), began=began, first=first, last=last))
        for side in sides:
            inside = (side.came.at > began + SKIP_S) & (side.came.at < ended - TAIL_S)
            found.apart.append(np.diff(side.came.at[inside]))
            through = side.done[inside] - side.came.at[inside]
            found.through.append(through[~np.isnan(through)])
    return found


async def measure(calls: int, seconds: float) -> Report:
    async with house(calls) as s, AsyncExitStack() as stack:
        s.env_more["CALLCORE_RECORDINGS_PLAIN_S"] = str(PLAIN_S)
        signed_in_before(s)
        server = f"{s.net}.1:{s.settings.sip_port}"
        users = {s.centre.phone(n): s.secrets.phones[PhoneId(s.centre.phone(n))] for n in range(1, calls + 1)}
        address = f"{s.net}.20"
        done = await load.register_agents(users, server=server, address=address, port=5060, rate=100)
        assert done.failed == 0, done.complaints
        await stack.enter_async_context(load.agents(server=server, address=address, port=5060))
        callers = ",".join(f"{s.net}.{131 + place}" for place in (0, 1))
        await stack.enter_async_context(_speaking(server, callers, address))
        await s.start_engine()
        _put_first(s.asterisk.pid)
        s.start("sidecar")
        journal = Journal(s)
        await until(lambda: journal.read().free_phones() == calls, SETTLE_S, "free phones")

        menu = s.pbx.etc_dir / "menu.conf"
        text = menu.read_text("utf-8")
        assert MIX in text
        menu.write_text(text.replace(MIX, " same => n,NoOp()\n"), encoding="utf-8")
        await s.asterisk.command("dialplan reload")
        without = await _load(s, calls, seconds, 0)
        await until(lambda: journal.read().all_ended() and journal.free_phones() == calls, SETTLE_S, "rest")
        menu.write_text(text, encoding="utf-8")
        await s.asterisk.command("dialplan reload")

        seen: dict[str, float] = {}
        watching = asyncio.create_task(_watched(s, calls, seen))
        idle = load.cpu_s(s.processes["sidecar"].pid)
        room = round(calls * (seconds + ARRIVE_S) / wire.PACKET_S * 4)
        with wire.tapped(
            f"{s.net}.1", sip_port=s.settings.sip_port, rtp_first=s.settings.rtp_first, packets=room
        ) as tap:
            recorded = await _load(s, calls, seconds, 1)
            passed = await asyncio.to_thread(tap.read)
        async with asyncio.timeout(SETTLE_S):
            await watching
        sidecar_s = load.cpu_s(s.processes["sidecar"].pid) - idle
        ended = {fact.call: fact.at / SECOND for fact in s.told(f.CallEnded)}
        await until(lambda: journal.read().all_ended(), SETTLE_S, "an end of every call")
        answered = {fact.call: fact.at / SECOND for fact in s.told(f.CallAnswered)}
        recordings = {
            name: (
                await asyncio.to_thread(_heard, s, name),
                str(journal.lives[name].number),
                answered[name],
                ended[name],
            )
            for name in seen
        }
        found = await asyncio.to_thread(_looked, passed, recordings, (f"{s.net}.132", address))
        verdict = await asyncio.to_thread(
            verify, s.settings.store, public_keys([s.settings.recordings_keys / PUBLIC])
        )
        version = s.toolchain.version
    assert not verdict.found, verdict.found
    lengths = [heard.seconds for heard, *_ in recordings.values()]
    sizes = [heard.sealed for heard, *_ in recordings.values()]
    return Report(
        name="recording",
        title="150 talks recorded at once",
        circumstances={
            "Asterisk": version,
            "calls at once": f"{calls}, each of {seconds:g} s, answered {without.answered} and {recorded.answered}",
            "packets of 20 ms looked at, of both sides": f"{found.packets:,}",
            "of them not in the recordings": found.told(gaps.Kind.LOST, gaps.Kind.TWICE),
            "gaps, of 20 ms of silence": found.told(gaps.Kind.SILENCE),
            "verified": f"{verdict.files} sealed files, {len(verdict.found)} faults",
            "Asterisk's CPU per second of talk, without and with recording": _ratio(
                without.asterisk_s / without.talk_s, recorded.asterisk_s / recorded.talk_s
            ),
            "sidecar's CPU per call, recorded, sealed and in the index": f"{sidecar_s / calls * 1000:.1f} ms",
            "disk per call, plain and sealed": f"{wire.RATE * 2 * sum(lengths) / calls / 1e6:.2f} MB and "
            f"{sum(sizes) / calls / 1e6:.2f} MB",
            "disk per minute, plain and sealed": f"{wire.RATE * 2 * 60 / 1e6:.2f} MB and "
            f"{sum(sizes) / sum(lengths) * 60 / 1e6:.2f} MB",
        },
        rows=[
            Row.of("length of a recording", lengths, "s"),
            Row.of(
                "between two packets of one side, as they came to Asterisk",
                (np.concatenate(found.apart) * 1000).tolist(),
            ),
            Row.of(
                "the caller's packet came before the agent's with which it is mixed",
                [seconds * 1000 for seconds in found.ahead],
            ),
            Row.of(
                "from a packet's coming to Asterisk until it went on",
                (np.concatenate(found.through) * 1000).tolist(),
            ),
            Row.of(
                f"call's end to sealed, hashed and in the index (of it {PLAIN_S} s plain by setting)",
                [seen[name] - ended[name] for name in seen if name in ended],  # type: ignore[index]
                "s",
            ),
        ],
        notes=(
            "Phones, callers and the machine's other work ran on the same cores. How it is measured, and what a gap "
            "is, stands at the heads of `bench/recording.py` and `bench/gaps.py`.",
        ),
    )


def _ratio(before: float, after: float) -> str:
    return f"{before * 1000:.1f} and {after * 1000:.1f} ms: {after / before:.2f} times"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=60, help="that each call stays")
    parser.add_argument("--evidence", type=Path, help="folder for the page and the JSON file")
    asked = parser.parse_args()
    report = asyncio.run(measure(asked.calls, asked.seconds))
    print(report.table())
    if asked.evidence is not None:
        print(report.write(asked.evidence))


if __name__ == "__main__":
    main()
