"""A day on which one recording after the other goes wrong, on a real Asterisk; each is named within a minute."""

from __future__ import annotations

import asyncio
import resource
import subprocess
from pathlib import Path

import numpy as np
import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.findings import Finding
from callcore.domain.ids import CallId
from callcore.domain.recording import RecordingKind
from callcore.domain.stages import Device, Outcome
from callcore.installation import recordings_of
from callcore.recordings.verify import digest
from tests.chaos.rig import console
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.e2e.test_reconciliation import settled
from tests.integration.test_dialplan_call import until_hears
from tests.support.people import read_page
from tests.support.prompts import brief_welcome
from tests.support.sip import RATE, Agent, Call, comes_true, encoded, loudness, sip_agent, tone
from tests.support.station import Station, sealed_soon, station, until

CITIZEN_HZ, AGENT_HZ = 400, 600
SILENCE = b"\xff" * RATE
SHOUTED = encoded(np.clip(6 * np.sin(2 * np.pi * 300 * np.arange(RATE) / RATE), -1, 1))


class Day:
    """One agent, and one citizen who calls again and again. While they talk nothing else is done here: the sound that
    they send is this process's own work."""

    def __init__(self, s: Station, desk: Agent, citizen: Agent) -> None:
        self.s, self.desk, self.citizen = s, desk, citizen
        self.wanted: dict[CallId, set[Finding]] = {}

    async def begins(
        self, said: bytes | None = None, answered: bytes | None = None
    ) -> tuple[Call, Call, CallId]:
        """The citizen and the agent talk, with what each says."""
        await self.desk.register()  # for two minutes, as a phone does again and again
        await self.s.available(1)
        call = await self.citizen.call(NUMBER, tone(CITIZEN_HZ) if said is None else said)
        leg = await self.desk.rings(len(self.wanted) + 1)
        leg.sound = tone(AGENT_HZ) if answered is None else answered
        leg.answer()
        await call.hears(1)
        name = self.s.told(f.CallArrived)[-1].call
        await comes_true(self.spool(name).exists, "the recording has begun")
        self.wanted[name] = set()
        return call, leg, name

    def spool(self, name: CallId) -> Path:
        return self.s.settings.recordings / f"{name}.wav"

    async def ends(self, leg: Call, name: CallId, *findings: Finding) -> None:
        leg.hang_up()
        await self.s.fact(f.CallEnded, lambda told: told.call == name, 30)
        await self.s.device(1, Device.FREE)
        self.wanted[name] = set(findings)


async def deleted(day: Day) -> CallId:
    _, leg, name = await day.begins()
    day.spool(name).unlink()
    await day.ends(leg, name, Finding.MISSING)
    return name


async def replaced(day: Day) -> None:
    """By something else, while it is written."""
    _, leg, name = await day.begins()
    day.spool(name).unlink()
    day.spool(name).write_bytes(b"RIFF\0\0\0\0nothing that is sound")
    await day.ends(leg, name, Finding.UNREADABLE)


async def as_it_should_be(day: Day) -> CallId:
    """With a hold."""
    call, leg, name = await day.begins()
    await leg.hears(1)
    await leg.hold()
    await call.hears(2)
    await leg.resume()
    await leg.hears(2)
    await day.ends(leg, name)
    return name


async def shouted_and_cut(day: Day) -> CallId:
    """The caller shouts into the microphone, and two seconds and a half are not recorded."""
    _, leg, name = await day.begins(SHOUTED)
    channel = day.s.floor().calls[name].channel_name
    await leg.hears(2)
    await console(day.s, f"mixmonitor stop {channel}")
    await leg.hears(2.5)
    await console(day.s, f"mixmonitor start {channel} {day.spool(name)},ab")
    await leg.hears(2)
    await day.ends(leg, name, Finding.SHORT, Finding.CLIPPED)
    return name


async def mute(day: Day) -> None:
    """Neither says a word, and for some seconds nothing is sent at all."""
    call, leg, name = await day.begins(SILENCE, SILENCE)
    await leg.hears(5.5)
    day.citizen.speaks = day.desk.speaks = False
    await asyncio.sleep(5)  # what is awaited is that nothing comes
    day.citizen.speaks = day.desk.speaks = True
    await call.hears(0.5)
    await day.ends(leg, name, Finding.SILENT, Finding.NO_MEDIA)


async def one_way_on_a_full_disk(day: Day) -> None:
    """Of the caller nothing arrives, and the disk takes no more: the caller hears the agent to the end."""
    day.citizen.speaks = False
    call, leg, name = await day.begins()
    pid = day.s.asterisk.pid
    assert pid is not None
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    await comes_true(lambda: day.spool(name).stat().st_size > 8_000, "a part is written")
    full = day.spool(name).stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, before[1]))
    await call.hears(6)
    await until_hears(call, AGENT_HZ)
    assert day.spool(name).stat().st_size <= full, "the disk is full"
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await day.ends(leg, name, Finding.SHORT, Finding.SILENT_CALLER)
    day.citizen.speaks = True


def samples(s: Station, name: CallId) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What a player hears of a kept recording."""
    with recordings_of(s.settings).open(name) as file:
        kept = file.read()
    decode = ("ffmpeg", "-loglevel", "error", "-i", "pipe:0", "-ar", str(RATE), "-f", "s16le", "pipe:1")
    decoded = subprocess.run(decode, input=kept, capture_output=True, check=True).stdout
    return np.frombuffer(decoded, np.int16) / 32768.0


@pytest.mark.timeout(420)
async def test_each_recording_that_goes_wrong_is_named_and_the_calls_go_on() -> None:
    def in_opus(made: Station) -> None:
        sealed_soon(made)
        file = made.settings.centres / "demo.toml"
        file.write_text(
            file.read_text(encoding="utf-8") + '\n[recording]\nformat = "opus"\n', encoding="utf-8"
        )

    async with station(
        DemoCentre(agents=1, acw_s=1), sidecar=True, prepare=in_opus, prompts=brief_welcome
    ) as s:
        desk = await phone(s)
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        await signs_in(desk)
        day = Day(s, desk, citizen)
        gone = await deleted(day)
        await replaced(day)
        fine = await as_it_should_be(day)
        short = await shouted_and_cut(day)
        await mute(day)
        await one_way_on_a_full_disk(day)
        wanted = day.wanted

        await until(lambda: len(s.told(f.RecordingFiled)) == len(wanted), 90, "every recording is filed")
        filed = {fact.call: fact for fact in s.told(f.RecordingFiled)}
        assert {call: set(fact.findings) for call, fact in filed.items()} == wanted, filed
        ended = {fact.call: fact for fact in s.told(f.CallEnded)}
        assert all(fact.outcome is Outcome.COMPLETED for fact in ended.values())
        assert all(fact.received is not None for fact in ended.values())
        whole = filed[fine]
        assert whole.talk is not None and whole.sent is not None
        assert abs(whole.seconds - whole.talk) <= 1 and whole.sent <= whole.talk + 0.1

        # What was kept is told, and found by its hash; the figures and the books say what is wrong.
        await until(
            lambda: {fact.call for fact in s.told(f.RecordingKept)} == wanted.keys() - {gone},
            90,
            "all are kept",
        )
        kept = next(fact for fact in s.told(f.RecordingKept) if fact.call == fine)
        file = recordings_of(s.settings).find(fine)
        assert file is not None and digest(file).sha256 == kept.stored_sha256
        assert (kept.kind, kept.captured_sha256) == (RecordingKind.CALL, whole.sha256)
        assert (kept.format, kept.captured_size) == ("opus", whole.size) and kept.size < whole.size / 3
        heard = await asyncio.to_thread(samples, s, fine)
        assert abs(len(heard) / RATE - whole.seconds) < 0.1
        for hz in (CITIZEN_HZ, AGENT_HZ):
            assert loudness(encoded(heard[-RATE:]), hz) > 0.2, "both are heard to the end"
        shown = read_page(s.settings, "/metrics")[1]
        for result, times in (
            ("ok", 1),
            ("missing", 1),
            ("short", 2),
            ("silent", 1),
            ("clipped", 1),
            ("no_media", 1),
        ):
            assert f'callcore_recordings_total{{result="{result}"}} {times}.0' in shown, shown
        assert "/ something is wrong with a recording" in s.log("sidecar")
        told = {(call, kind) for call, kind, source, _ in (await settled(s, len(wanted))).named}
        kinds = {
            Finding.MISSING: "recording_missing",
            Finding.UNREADABLE: "recording_unreadable",
            Finding.SHORT: "recording_short",
            Finding.SILENT: "recording_silent",
            Finding.CLIPPED: "recording_clipped",
            Finding.SILENT_CALLER: "recording_one_sided",
            Finding.NO_MEDIA: "recording_no_media",
        }
        assert {(call, kinds[each]) for call, found in wanted.items() for each in found} <= told
        assert not [kind for call, kind in told if call == fine]

        async def listed() -> str:
            status, said = await callcore(s, "recordings", "find", "--problem", "short", "--json")
            assert status == 0, said
            return said

        async with asyncio.timeout(30):
            while short not in (said := await listed()) or kept.folder not in said:
                await asyncio.sleep(1)
