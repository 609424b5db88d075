"""What it takes to record 150 talks at once, and how soon each is encrypted, hashed and found in the index.

    PYTHONPATH=src:. python -m bench.recording [--calls 150] [--seconds 40] [--evidence docs/evidence]

Method. A real Asterisk, engine and sidecar; SIPp's callers and agents send G.711 both ways, the callers a tone of 500
Hz, the agents one of 1000 Hz. All calls come within 15 s, stay so many seconds and go. The same load is put on twice,
first with the recording taken out of the dialplan, then as it is; CPU of Asterisk is told for both, and their ratio,
which says more than either on a machine that has other work.

- Gaps: in each recording, from second 2 of its sound to half a second before its end, every 20 ms are looked at: where
  either tone has less than a quarter of its usual power is a gap. What SIPp sent too late is one as well.
- Disk: bytes of the recording while it is plain, and of the sealed file.
- From the call's end to the recording's row in the database that says it lies sealed in the store: the row is asked for
  four times a second. `CALLCORE_RECORDINGS_PLAIN_S` (here 5, the least there is) is part of it and told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
import wave
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tests.support import load
from tests.support.full_house import house
from tests.support.race import Journal, asterisk_cpu_s, signed_in_before
from tests.support.sip import tone
from tests.support.station import Station, until

from bench.report import Report, Row
from callcore.demo.centre import NUMBER
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, PhoneId
from callcore.installation import recordings_of
from callcore.recordings.signing import PUBLIC, public_keys
from callcore.recordings.verify import verify

CALLER_HZ, AGENT_HZ = 500, 1000
ARRIVE_S = 15.0
PLAIN_S = 5
RATE, BLOCK = 8000, 160
SKIP_S, TAIL_S = 2.0, 0.5
LEAST = 0.25
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
        sound=tone(CALLER_HZ) * 10,
    )
    return Step(asterisk_cpu_s(s) - before, heard.answered * seconds, heard.answered)


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


def gaps(sound: np.ndarray) -> tuple[int, int]:
    """Packets of 20 ms that were looked at, and those in which one of the tones is missing."""
    part = sound[round(SKIP_S * RATE) : len(sound) - round(TAIL_S * RATE)]
    blocks = part[: len(part) // BLOCK * BLOCK].reshape(-1, BLOCK)
    if not len(blocks):
        return 0, 0
    lost = np.zeros(len(blocks), bool)
    for hz in (CALLER_HZ, AGENT_HZ):
        turn = np.exp(-2j * np.pi * hz * np.arange(BLOCK) / RATE)
        power = np.abs(blocks @ turn) ** 2
        lost |= power < LEAST * np.median(power)
    return len(blocks), int(lost.sum())


def _heard(s: Station, name: str) -> tuple[float, int, int, int]:
    """Seconds, packets and gaps of a kept recording, and the bytes of its sealed file."""
    recordings = recordings_of(s.settings)
    path = recordings.find(name)
    assert path is not None
    with recordings.opened(path) as file, wave.open(file) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (RATE, 1, 2)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(float)
    return len(samples) / RATE, *gaps(samples), path.stat().st_size


async def measure(calls: int, seconds: float) -> Report:
    async with house(calls) as s, AsyncExitStack() as stack:
        s.env_more["CALLCORE_RECORDINGS_PLAIN_S"] = str(PLAIN_S)
        signed_in_before(s)
        server = f"{s.net}.1:{s.settings.sip_port}"
        users = {s.centre.phone(n): s.secrets.phones[PhoneId(s.centre.phone(n))] for n in range(1, calls + 1)}
        address = f"{s.net}.20"
        done = await load.register_agents(users, server=server, address=address, port=5060, rate=100)
        assert done.failed == 0, done.complaints
        await stack.enter_async_context(
            load.agents(server=server, address=address, port=5060, sound=tone(AGENT_HZ) * 10)
        )
        await s.start_engine()
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
        recorded = await _load(s, calls, seconds, 1)
        async with asyncio.timeout(SETTLE_S):
            await watching
        sidecar_s = load.cpu_s(s.processes["sidecar"].pid) - idle
        ended = {fact.call: fact.at / SECOND for fact in s.told(f.CallEnded)}
        looked = [await asyncio.to_thread(_heard, s, name) for name in seen]
        verdict = await asyncio.to_thread(
            verify, s.settings.store, public_keys([s.settings.recordings_keys / PUBLIC])
        )
        version = s.toolchain.version
    assert not verdict.found, verdict.found
    lengths, packets, lost, sizes = (list(each) for each in zip(*looked, strict=True))
    return Report(
        name="recording",
        title="150 talks recorded at once",
        circumstances={
            "Asterisk": version,
            "calls at once": f"{calls}, each of {seconds:g} s, answered {without.answered} and {recorded.answered}",
            "gaps": f"{sum(lost)} of {sum(packets):,} packets of 20 ms, in {sum(map(bool, lost))} of {len(lost)} files",
            "verified": f"{verdict.files} sealed files, {len(verdict.found)} faults",
            "Asterisk's CPU per second of talk, without and with recording": _ratio(
                without.asterisk_s / without.talk_s, recorded.asterisk_s / recorded.talk_s
            ),
            "sidecar's CPU per call, recorded, sealed and in the index": f"{sidecar_s / calls * 1000:.1f} ms",
            "disk per minute, plain and sealed": f"{RATE * 2 * 60 / 1e6:.2f} MB and "
            f"{sum(sizes) / sum(lengths) * 60 / 1e6:.2f} MB",
        },
        rows=[
            Row.of("length of a recording", lengths, "s"),
            Row.of(
                f"call's end to sealed, hashed and in the index (of it {PLAIN_S} s plain by setting)",
                [seen[name] - ended[name] for name in seen if name in ended],  # type: ignore[index]
                "s",
            ),
        ],
        notes=(
            "Phones, callers and the machine's other work ran on the same cores; SIPp's own lateness counts as a gap. "
            "How it is measured stands at the head of `bench/recording.py`.",
        ),
    )


def _ratio(before: float, after: float) -> str:
    return f"{before * 1000:.1f} and {after * 1000:.1f} ms: {after / before:.2f} times"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=150)
    parser.add_argument("--seconds", type=float, default=40, help="that each call stays")
    parser.add_argument("--evidence", type=Path, help="folder for the page and the JSON file")
    asked = parser.parse_args()
    report = asyncio.run(measure(asked.calls, asked.seconds))
    print(report.table())
    if asked.evidence is not None:
        print(report.write(asked.evidence))


if __name__ == "__main__":
    main()
