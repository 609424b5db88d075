"""How long a caller waits for the machinery, measured on the wire of a real Asterisk with the real engine.

    PYTHONPATH=src:. python -m bench.latency [--calls 200] [--every 0.6] [--evidence docs/evidence]

Method. Small SIP user agents (`tests/support/sip.py`) are the callers and the desk phones, each with G.711 sound of its
own: the callers a tone of 500 Hz, the phones one of 1000 Hz. `dumpcap` writes every packet of this run's own loopback
addresses with the kernel's time, and all times below are differences between packets in that file, so that no user
agent's own slowness counts unless it stands between the two packets. One time comes from the journal: "on the waiting
line" is the `Timestamp` that Asterisk gave to the dialplan's event, by the same clock of the same machine.

- INVITE to ringing: the caller's INVITE to the phone's 180. The prompts as shipped are heard in between; their own
  length (frames of the two wav files) is taken off.
- waiting line to INVITE: from the dialplan's "on the waiting line" to the INVITE at the phone: event, decision,
  journal, a look at the channel, redirect, dial.
- answer to two-way sound: the phone's 200 to the later of two packets: the first at the phone in which the callers'
  tone is heard, and the first at the caller in which the phones' tone is heard (until then it is the music). Sound
  comes in packets of 20 ms, so up to 20 ms of it is the wait for the next packet.

`dumpcap` (Debian's `tshark` brings it) must be allowed to capture on `lo`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import re
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.race import signed_in_before
from tests.support.sip import Agent, loudness, sip_agent, tone
from tests.support.station import PROJECT, Station, station, until

from bench.report import Report, Row
from callcore.demo.centre import CENTRE, NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import PhoneId
from callcore.domain.stages import Device
from callcore.prompts import shelf
from callcore.runtime.commands import CommandClient

AGENTS = 16
CALLER_HZ, AGENT_HZ = 500, 1000
HEARD = 0.8
"""Share of a packet's power at the tone's pitch from which the tone is held to be heard; music has less than half."""
RING_S, TALK_S = 0.3, 0.8
CAPTURE_BYTES = 1200


@dataclass(slots=True)
class Seen:
    """Times of one call on the wire, in seconds since the epoch."""

    invite: float
    media: tuple[str, int]
    phone_invite: float | None = None
    ringing: float | None = None
    answer: float | None = None
    phone_media: tuple[str, int] | None = None
    phone_hears: float | None = None
    caller_hears: float | None = None
    held: float | None = None


@dataclass(slots=True)
class Wire:
    """A capture, read call by call. A call is known by the number that the caller shows."""

    net: str
    sip_port: int
    calls: dict[str, Seen] = field(default_factory=dict)
    _legs: dict[str, str] = field(default_factory=dict)
    """Call-ID of a phone's leg: the caller's number."""
    _ears: dict[tuple[str, int], tuple[str, bool]] = field(default_factory=dict)
    """Who listens there: the caller's number, and whether it is the phone."""

    def read(self, capture: Path) -> None:
        for at, source, target, payload in packets(capture):
            if self.sip_port in (source[1], target[1]):
                self._sip(at, source, payload.decode("utf-8", "replace"))
            elif target in self._ears:
                self._sound(at, target, payload)

    def _sip(self, at: float, source: tuple[str, int], text: str) -> None:
        head, _, body = text.partition("\r\n\r\n")
        ident = _header(head, "Call-ID")
        from_server = source[1] == self.sip_port
        if head.startswith("INVITE"):
            number = re.search(r"sip:([^@>]*)@", _header(head, "From"))
            if number is None:
                return
            if not from_server and number[1] not in self.calls:
                self.calls[number[1]] = Seen(at, media := _media(body))
                self._ears[media] = (number[1], False)
            elif from_server and number[1] in self.calls and self.calls[number[1]].phone_invite is None:
                self.calls[number[1]].phone_invite = at
                self._legs[ident] = number[1]
        elif not from_server and ident in self._legs and "INVITE" in _header(head, "CSeq"):
            call = self.calls[self._legs[ident]]
            if head.startswith("SIP/2.0 180") and call.ringing is None:
                call.ringing = at
            elif head.startswith("SIP/2.0 200") and call.answer is None:
                call.answer, call.phone_media = at, _media(body)
                self._ears[call.phone_media] = (self._legs[ident], True)

    def _sound(self, at: float, target: tuple[str, int], payload: bytes) -> None:
        number, phone = self._ears[target]
        call = self.calls[number]
        if call.answer is None or at < call.answer or len(payload) < 172 or payload[1] & 127:
            return
        if phone and call.phone_hears is None and loudness(payload[12:172], CALLER_HZ) > HEARD:
            call.phone_hears = at
        elif not phone and call.caller_hears is None and loudness(payload[12:172], AGENT_HZ) > HEARD:
            call.caller_hears = at


def _header(head: str, name: str) -> str:
    found = re.search(rf"^{name}: *(.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else ""


def _media(body: str) -> tuple[str, int]:
    host = re.search(r"^c=IN IP4 (\S+?)\r?$", body, re.MULTILINE)
    port = re.search(r"^m=audio (\d+)", body, re.MULTILINE)
    return (host[1], int(port[1])) if host and port else ("", 0)


def packets(capture: Path) -> Iterator[tuple[float, tuple[str, int], tuple[str, int], bytes]]:
    """(time, source, target, payload) of each UDP packet over IPv4. The classic pcap format with Ethernet frames."""
    data = capture.read_bytes()
    magic = data[:4]
    fraction = {b"\xd4\xc3\xb2\xa1": 1e-6, b"\x4d\x3c\xb2\xa1": 1e-9}[magic]
    place = 24
    while place + 16 <= len(data):
        second, part, kept, _ = struct.unpack_from("<IIII", data, place)
        frame = data[place + 16 : place + 16 + kept]
        place += 16 + kept
        if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = 14 + (frame[14] & 15) * 4
        source, target = struct.unpack_from(">HH", frame, udp)
        yield (
            second + part * fraction,
            (".".join(map(str, frame[26:30])), source),
            (".".join(map(str, frame[30:34])), target),
            frame[udp + 8 :],
        )


@asynccontextmanager
async def capturing(net: str, path: Path) -> AsyncIterator[None]:
    dumpcap = shutil.which("dumpcap")
    if dumpcap is None:
        raise SystemExit(
            "dumpcap がありません: apt-get install tshark / dumpcap is missing: apt-get install tshark"
        )
    process = await asyncio.create_subprocess_exec(
        *(dumpcap, "-i", "lo", "-P", "-q", "-s", str(CAPTURE_BYTES), "-B", "64"),
        *("-f", f"udp and net {net}.0/24", "-w", str(path)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(10):
            # It names its file once it listens.
            while b"File:" not in (line := await process.stderr.readline()):
                if not line:
                    raise SystemExit("dumpcap は lo を記録できません / dumpcap may not capture on lo")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def _at_the_desk(agent: Agent) -> None:
    """Let each call ring, answer it, talk, hang up."""
    for n in itertools.count():
        async with agent.news:
            while len(incoming := [c for c in agent.calls if c.incoming]) <= n:
                await agent.news.wait()
        call = incoming[n]
        call.sound = tone(AGENT_HZ)
        await asyncio.sleep(RING_S)
        if not call.over:
            call.answer()
            await asyncio.sleep(TALK_S)
        if not call.over:
            call.hang_up()


async def _one_call(s: Station, n: int, pbx: tuple[str, int]) -> None:
    async with sip_agent(f"{s.net}.{130 + n % 100}", f"03{n:08}", pbx) as citizen:
        call = await citizen.call(NUMBER, tone(CALLER_HZ))
        await until(lambda: call.over, 60, f"the end of call {n}")


async def measure(calls: int, every_s: float) -> Report:
    async with AsyncExitStack() as stack:
        s = await stack.enter_async_context(
            station(DemoCentre(agents=AGENTS, ring_s=15, acw_s=1), engine=False, pins=False)
        )
        pbx = (f"{s.net}.1", s.settings.sip_port)
        signed_in_before(s)
        desks = []
        for n in range(1, AGENTS + 1):
            name = s.centre.phone(n)
            agent = await stack.enter_async_context(
                sip_agent(f"{s.net}.{20 + n}", name, pbx, s.secrets.phones[PhoneId(name)])
            )
            await agent.register(300)
            desks.append(asyncio.create_task(_at_the_desk(agent)))
        await s.start_engine()
        await until(
            lambda: sum(x.device is Device.FREE for x in s.told(f.DeviceChanged)) >= AGENTS, 30, "free phones"
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wire-")))
        before = await _engine_cpu_s(s)
        async with capturing(s.net, folder / "wire.pcap"):
            async with asyncio.TaskGroup() as group:
                for n in range(calls):
                    group.create_task(_one_call(s, n, pbx))
                    await asyncio.sleep(every_s)
            await s.ended(calls, 30)
        after = await _engine_cpu_s(s)
        for desk in desks:
            desk.cancel()
        await asyncio.gather(*desks, return_exceptions=True)
        wire = Wire(s.net, s.settings.sip_port)
        wire.read(folder / "wire.pcap")
        numbers = {x.call: x.caller.text for x in s.told(f.CallArrived)}
        for visit in s.told(f.VisitBegan):
            wire.calls[numbers[visit.call] or ""].held = visit.at / 1e6
        offers = len(s.told(f.OfferMade))
        version = s.toolchain.version
    return _report(wire, calls, every_s, offers, (after - before) * 1000 / calls, version)


async def _engine_cpu_s(s: Station) -> float:
    client = CommandClient(s.settings.engine_socket)
    told = await client.ask("status")
    await client.close()
    return float(told["gauges"]["engine_cpu_seconds"])


def prompts_s() -> float:
    """How long the notice and the greeting are."""
    total = 0.0
    for kind in ("recording_notice", "greeting"):
        sound = shelf.ulaw_of(PROJECT / "ivr_prompts", shelf.sound(CENTRE, "ja", kind))
        total += sound.stat().st_size / shelf.RATE
    return total


def _report(wire: Wire, calls: int, every_s: float, offers: int, engine_ms: float, asterisk: str) -> Report:
    said = prompts_s()
    times: dict[str, list[float]] = {}

    def add(what: str, begin: float | None, end: float | None, less: float = 0.0) -> None:
        if begin is not None and end is not None:
            times.setdefault(what, []).append((end - begin - less) * 1000)

    for call in wire.calls.values():
        add("caller's INVITE to INVITE at the phone, less the prompts", call.invite, call.phone_invite, said)
        add("caller's INVITE to the phone's 180, less the prompts", call.invite, call.ringing, said)
        add("on the waiting line to INVITE at the phone", call.held, call.phone_invite)
        add("INVITE at the phone to its 180", call.phone_invite, call.ringing)
        add("phone's 200 to the caller heard at the phone", call.answer, call.phone_hears)
        add("phone's 200 to the agent heard at the caller", call.answer, call.caller_hears)
        if call.phone_hears is not None and call.caller_hears is not None:
            add("phone's 200 to sound both ways", call.answer, max(call.phone_hears, call.caller_hears))
    return Report(
        name="latency",
        title="From INVITE to ringing, from answer to sound both ways",
        circumstances={
            "Asterisk": asterisk,
            "calls": f"{calls}, one each {every_s} s, {AGENTS} agents, each call offered once: {offers == calls}",
            "prompts": f"as shipped with the demo's centre, {said:.3f} s together",
            "engine's CPU per call": f"{engine_ms:.1f} ms (all it did in that time, its beat included)",
        },
        rows=[Row.of(what, values) for what, values in times.items()],
        notes=(
            "Phones, callers, capture and other work ran on the same cores. How it is measured stands at the head of "
            "`bench/latency.py`.",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--every", type=float, default=0.6, help="seconds between two calls")
    parser.add_argument("--evidence", type=Path, help="folder for the page and the JSON file")
    asked = parser.parse_args()
    report = asyncio.run(measure(asked.calls, asked.every))
    print(report.table())
    if asked.evidence is not None:
        print(report.write(asked.evidence))


if __name__ == "__main__":
    main()
