"""In what a centre's recordings are kept, end to end: two channels through hold, pause, transfer and callcore's death,
and the formats that are its own, each changed while callcore runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable

import numpy as np
import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.findings import Finding
from callcore.domain.ids import CallId
from callcore.domain.recording import Channels, RecordingKind, SoundFormat
from callcore.installation import recording_of, recordings_of
from callcore.recordings import played
from callcore.recordings.sides import sides_of
from callcore.recordings.signing import public_keys
from callcore.recordings.verify import verify
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.e2e.test_reconciliation import settled
from tests.e2e.test_transfers import (
    AGENT_HZ,
    CITIZEN_HZ,
    CITY,
    CITY_HZ,
    Day,
    day_puts_down,
    together,
)
from tests.integration.test_dialplan_call import until_hears
from tests.support.people import read_page
from tests.support.sip import RATE, encoded, loudness, sip_agent, tone
from tests.support.station import Station, sealed_soon, station, until

TONES = (CITIZEN_HZ, AGENT_HZ, CITY_HZ)
FILED_S = 90
HOLE_S = 3
RULE = '[recording]\nchannels = "stereo"\nformat = "wav"\npause = "gap"\n'


async def changes(s: Station, *edits: tuple[str, str]) -> None:
    file = s.settings.centres / "demo.toml"
    source = file.read_text(encoding="utf-8")
    for old, new in edits:
        assert old in source
        source = source.replace(old, new)
    file.write_text(source, encoding="utf-8")
    status, said = await callcore(s, "apply", "--yes")
    assert status == 0, said


async def kept(s: Station, call: CallId) -> f.RecordingKept:
    told = await s.fact(f.RecordingKept, lambda told: told.call == call, FILED_S)
    # Told from the chain's line, which comes before the plain one goes; as long as that is there, it is what is read.
    await until(lambda: not recording_of(s.settings, call).exists(), FILED_S, "the plain one is gone")
    return told


def heard(s: Station, name: str, channels: int, *, on_the_page: bool = False) -> list[dict[int, float]]:
    """Seconds of each tone, by channel, as a player of files hears a kept recording, or as the page plays it."""
    if on_the_page:
        sound = played(*recordings_of(s.settings).sound(name))
        data = sound.read_at(0, sound.size)
        sound.close()
    else:
        with recordings_of(s.settings).open(name) as file:
            data = file.read()
    decode = ("-i", "pipe:0", "-ar", str(RATE), "-f", "s16le", "pipe:1")
    done = subprocess.run(
        ["ffmpeg", "-loglevel", "error", *decode], input=data, capture_output=True, check=True
    )
    frames = np.frombuffer(done.stdout, np.int16).reshape(-1, channels) / 32768.0
    found = []
    for side in frames.T:
        parts = [encoded(side[at : at + 2000]) for at in range(0, len(side) - 1999, 2000)]
        found.append({hz: 0.25 * sum(loudness(part, hz) > 0.2 for part in parts) for hz in TONES})
    return found


async def through_hold_pause_and_transfer(day: Day) -> tuple[CallId, CallId]:
    """The call, and the consult about it."""
    s = day.s
    call, leg, name = await day.talk()
    await until_hears(call, AGENT_HZ, 2)
    await leg.hold()
    await call.hears(1)
    await leg.resume()
    await until_hears(call, AGENT_HZ, 1)
    leg.press("*34")
    await s.fact(f.RecordingPaused, lambda told: told.call == name, 30)
    await leg.hears(2.5)
    leg.press("*34")
    await s.fact(f.RecordingResumed, lambda told: told.call == name, 30)
    asked, far = await day.consult(leg)
    await until_hears(asked, CITY_HZ, 2)
    await leg.refer("*511", asked)
    await together(call, far)
    await day.puts_down(leg, asked)
    await call.hears(2)
    call.hang_up()
    await far.until("bye")
    consult = await s.fact(f.RecordingKept, lambda told: told.kind is RecordingKind.CONSULT, FILED_S)
    assert consult.call is not None
    return name, consult.call


async def lost_a_side(day: Day) -> CallId:
    """Of what is written of the agent somebody takes the file away."""
    call, leg, name = await day.talk()
    await until_hears(call, AGENT_HZ, 1)
    sides_of(recording_of(day.s.settings, name))[1].unlink()
    await call.hears(1)
    leg.hang_up()
    await call.until("bye")
    await day.puts_down()
    return name


async def with_one_side_alone(day: Day, still: Finding) -> CallId:
    """The agent's phone sends silence, for its headset is dead; or of the caller nothing comes from the answer on, and
    while he or she waited it did."""
    await day.s.available(1)
    before = sum(leg.incoming for leg in day.desk.calls)
    call = await day.citizen.call(NUMBER, tone(CITIZEN_HZ))
    leg = await day.desk.rings(before + 1)
    await call.hears(2)
    if still is Finding.SILENT_CALLER:
        call.speaks, leg.sound = False, tone(AGENT_HZ)
    leg.answer()
    name = day.s.told(f.CallArrived)[-1].call
    await day.s.fact(f.CallAnswered, lambda told: told.call == name)
    await call.hears(7)
    leg.hang_up()
    await call.until("bye")
    await day.puts_down()
    return name


async def passed_on_while_callcore_is_dead(day: Day) -> CallId:
    """The department still rings, and callcore is back after caller and department have talked: by the centre's rule
    nothing of that is kept.

    Before, neither side's sound comes for a while, and the recording is shorter than the talk by that: more than a
    recording drifts."""
    s = day.s
    call, leg, name = await day.talk()
    await until_hears(call, AGENT_HZ, 4)  # of which a second is to be in the recording
    call.speaks = leg.speaks = False
    await asyncio.sleep(HOLE_S)
    call.speaks = leg.speaks = True
    await until_hears(call, AGENT_HZ)
    s.kill("engine")
    asked, far = await day.consult(leg, answered=False)
    await leg.refer("*511", asked)
    far.answer()
    await together(call, far)
    await far.hears(2)
    await day_puts_down(leg, asked)
    call.hang_up()
    await far.until("bye")
    await s.start_engine()
    await s.fact(f.CallEnded, lambda told: told.call == name, 60)
    return name


async def plain_talk(day: Day) -> CallId:
    call, leg, name = await day.talk()
    await until_hears(call, AGENT_HZ, 2)
    await until_hears(leg, CITIZEN_HZ, 1)
    await call.hears(0.5)
    leg.hang_up()
    await call.until("bye")
    await day.puts_down()
    return name


async def talks_while_two_channels_are_asked_for(day: Day) -> CallId:
    call, leg, name = await day.talk()
    await changes(
        day.s,
        (f'channels = "{Channels.MIXED.value}"', 'channels = "stereo"'),
        (f'format = "{SoundFormat.G722.value}"', 'format = "wav"'),
    )
    await until_hears(call, AGENT_HZ, 1)
    leg.hang_up()
    await call.until("bye")
    await day.puts_down()
    return name


async def told_by_api(s: Station, name: str, holds: Callable[[dict[str, object]], bool]) -> None:
    end = time.monotonic() + 60
    while True:
        status, said = await callcore(s, "recordings", "find", "--call", name, "--json")
        if status == 0 and any(holds(each) for each in json.loads(said)["recordings"]):
            return
        assert time.monotonic() < end, said
        await asyncio.sleep(1)


@pytest.mark.timeout(600)
async def test_recordings_are_kept_in_the_channels_and_the_format_that_the_centre_wants_when_they_end() -> (
    None
):
    async with station(
        DemoCentre(agents=1, acw_s=1, more=CITY + RULE), sidecar=True, prepare=sealed_soon
    ) as s:
        desk, city = await phone(s), await s.carrier()
        await desk.register(300)  # on a loaded machine the usual 120 s are over before the last talk
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        await signs_in(desk)
        day = Day(s, desk, city, citizen)

        name, consult = await through_hold_pause_and_transfer(day)
        told = await kept(s, name)
        filed = await s.fact(f.RecordingFiled, lambda each: each.call == name, FILED_S)
        assert (told.channels, told.format, told.captured_sha256) == (2, "wav", filed.sha256)
        left, right = await asyncio.to_thread(heard, s, name, told.channels)
        assert left[CITIZEN_HZ] >= 3 and left[AGENT_HZ] == left[CITY_HZ] == 0, left
        assert right[AGENT_HZ] >= 1 and right[CITY_HZ] >= 1 and right[CITIZEN_HZ] == 0, right
        assert filed.talk is not None and abs(told.seconds - filed.talk) <= 2, "the pause is cut out of both"
        assert (await kept(s, consult)).channels == 2
        department, agent = await asyncio.to_thread(heard, s, consult, 2)
        assert department[CITY_HZ] >= 1 and department[AGENT_HZ] == 0, department
        assert agent[AGENT_HZ] >= 1 and agent[CITY_HZ] == 0, agent

        waits = await citizen.call(NUMBER)  # while the agent is not ready yet, and hangs up in the line
        await waits.hears(2)
        hung_up = s.told(f.CallArrived)[-1].call
        waits.hang_up()
        told = await kept(s, hung_up)
        assert (told.channels, told.format, told.seconds) == (1, "wav", 0)

        missing = await lost_a_side(day)
        told = await kept(s, missing)
        assert (told.channels, told.format, told.sha256) == (1, "wav", told.captured_sha256)
        [both] = await asyncio.to_thread(heard, s, missing, 1)
        assert both[CITIZEN_HZ] >= 1 and both[AGENT_HZ] >= 1, both
        assert f"{missing}.right.sln is not there; it is kept as one" in s.log("sidecar")
        assert "callcore_sidecar_recordings_unconverted 1.0" in read_page(s.settings, "/metrics")[1]

        one_sided = {}
        for still in (Finding.SILENT_AGENT, Finding.SILENT_CALLER):
            one_sided[await with_one_side_alone(day, still)] = still
        for each, still in one_sided.items():
            filed = await s.fact(f.RecordingFiled, lambda told, each=each: told.call == each, FILED_S)
            assert filed.findings == (still,), filed
            assert (await kept(s, each)).channels == 2

        await changes(
            s, ('format = "wav"', 'format = "ulaw"'), ("blind = true", 'blind = true\nrecord_after = "agent"')
        )
        dead = await passed_on_while_callcore_is_dead(day)
        told = await kept(s, dead)
        assert (told.channels, told.format) == (2, SoundFormat.ULAW.value)
        for on_the_page in (False, True):
            left, right = await asyncio.to_thread(heard, s, dead, 2, on_the_page=on_the_page)
            assert left[CITIZEN_HZ] >= 1 and left[AGENT_HZ] == 0, left
            # Of some seconds with the department; the phones of this test send in bursts on a busy machine.
            assert right[AGENT_HZ] >= 1 and right[CITY_HZ] <= 0.5 and right[CITIZEN_HZ] == 0, right
        await until(
            lambda: not list(s.settings.recordings.iterdir()),
            FILED_S,
            "neither a side nor a consult that was none",
        )

        await changes(s, ('channels = "stereo"', f'channels = "{Channels.MIXED.value}"'))
        for form, before in ((SoundFormat.ULAW, "ulaw"), (SoundFormat.G722, "ulaw")):
            if form.value != before:
                await changes(s, (f'format = "{before}"', f'format = "{form.value}"'))
            mixed = await plain_talk(day)
            told = await kept(s, mixed)
            assert (told.channels, told.format) == (1, form.value)
            assert told.size < told.captured_size * 0.51
            for on_the_page in (False, True):
                [both] = await asyncio.to_thread(heard, s, mixed, 1, on_the_page=on_the_page)
                assert both[CITIZEN_HZ] >= 1 and both[AGENT_HZ] >= 1, (form, both)

        going_on = await talks_while_two_channels_are_asked_for(day)
        told = await kept(s, going_on)
        assert (told.channels, told.format) == (1, "wav")
        assert "callcore_sidecar_recordings_unconverted 1.0" in read_page(s.settings, "/metrics")[1], (
            "no alarm of that"
        )

        keys = public_keys([s.settings.recordings_keys / "signing.pub"])
        verdict = await asyncio.to_thread(verify, s.settings.store, keys)
        assert (verdict.found, sum(each.kept for each in verdict.days)) == ([], 10)
        shown = read_page(s.settings, "/metrics")[1]
        for still in one_sided.values():
            assert f'callcore_recordings_total{{result="{still.value}"}} 1.0' in shown, shown
        said = await settled(s, 9)
        unexplained = {(call, kind) for call, kind, _, cause in said.named if cause is None}
        assert unexplained == {(call, "recording_one_sided") for call in one_sided}
        assert said.total("differences") == len(one_sided)
