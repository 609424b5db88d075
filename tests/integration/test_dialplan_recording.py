"""What is recorded of a caller who is held and put through to a department, on a real Asterisk: who is heard in which
file. callcore's part is done by its own performer."""

from __future__ import annotations

import time
import wave
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callcore.ami import cel
from callcore.ami.link import Link, Reply
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration, Contact, RecordAfter, Recordings, Transfers
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, Instant, PhoneId
from callcore.domain.recording import Channels
from callcore.g711 import from_ulaw
from callcore.pbx.render import CEL_FILE
from callcore.recordings.sides import joined, sides_of
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_callbacks import effect, linked, performer, performing
from tests.integration.test_dialplan_departments import files as departments
from tests.integration.test_dialplan_net import add_member, to_net
from tests.integration.test_dialplan_outgoing import ALL, OFFICE, side
from tests.integration.test_dialplan_transfer import ASKED, BLIND, CITY_HZ, files, held
from tests.support.audio import speech_like
from tests.support.audio import tone as sine
from tests.support.centre import MUSIC_HZ, small_centre
from tests.support.floor import AGENT_HZ, CALLER_HZ, Floor, running_floor
from tests.support.sip import PACKET, Call, comes_true, encoded, loudness, tone

RATE, HEADER = 8000, 44
UNTIL_THE_AGENT_LEAVES = replace(ASKED, record_after=RecordAfter.AGENT)
TONES = (CALLER_HZ, AGENT_HZ, CITY_HZ, MUSIC_HZ)


def length(file: Path) -> float:
    try:
        with wave.open(str(file)) as sound:
            return sound.getnframes() / RATE
    except (OSError, EOFError, wave.Error):
        return 0.0


def who(file: Path) -> dict[float, float]:
    """Seconds of each party's tone in a recording, whose header has no length while it is written."""
    return tones(np.frombuffer(file.read_bytes()[HEADER:], np.int16))


def tones(sound: np.ndarray) -> dict[float, float]:
    samples = sound / 32768.0
    parts = [encoded(samples[at : at + 800]) for at in range(0, len(samples) - 799, 800)]
    return {hz: round(0.1 * sum(loudness(part, hz) > 0.2 for part in parts), 1) for hz in TONES}


def stereo(made: Configuration) -> Configuration:
    rule = Recordings(channels=Channels.STEREO)
    return replace(made, centres=tuple(replace(each, recordings=rule) for each in made.centres))


async def apart(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The left and the right side of a recording that is over, as the keeper joins them."""
    await comes_true(lambda: length(file) > 0, "the file is closed")
    assert all(each.stat().st_mode & 0o077 == 0 for each in (file, *sides_of(file)))
    with joined(file) as both, wave.open(both, "rb") as sound:
        frames = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2)
    return frames[:, 0], frames[:, 1]


def nothing(samples: np.ndarray) -> float:
    """The longest stretch of zeros, in seconds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], (samples != 0).astype(np.int8), [1]])))
    return max(np.diff(edges)[::2], default=0) / RATE


def called_out(transfers: Transfers = ASKED) -> Configuration:
    made = departments(ALL)
    return replace(made, centres=tuple(replace(each, transfers=transfers) for each in made.centres))


async def calls(floor: Floor) -> tuple[Call, Call, str]:
    """Desk 1 has called a citizen, and they talk: the phone's call, the citizen's, and the call's name."""
    seen = len(floor.ami.events)
    out = await floor.desks[0].call(OFFICE, tone(AGENT_HZ))
    citizen = await floor.trunk.rings(1)
    citizen.sound = tone(CALLER_HZ)
    citizen.answer()
    await until_hears(out, CALLER_HZ)
    await citizen.hears(1)
    return out, citizen, (await side(floor, "CallcoreSide", seen))["Call"]


@pytest.mark.parametrize("way", ["asked", "code", "blind"])
async def test_in_two_channels_the_caller_is_left_and_whoever_the_caller_hears_is_right(
    tmp_path: Path, way: str
) -> None:
    async with held(tmp_path, made=stereo(files(BLIND if way == "blind" else ASKED))) as h:
        name = await h.floor.variable(h.channel, "CALLCORE_CALL")
        folder = h.floor.pbx.settings.recordings_dir
        await until_hears(h.call, MUSIC_HZ, 1)
        await h.leg.resume()
        await until_hears(h.call, AGENT_HZ, 1)
        for state in "10":  # a pause
            await h.floor.ami.action("MixMonitorMute", Channel=h.channel, Direction="both", State=state)
            await h.call.hears(1.5)
        h.floor.desks[0].speaks = False
        await h.leg.hears(1.5)
        h.floor.desks[0].speaks = True
        seen = h.now
        await h.leg.hold()
        await h.floor.ami.event("Hold", after=seen)
        if way == "blind":
            await h.leg.refer("*511")
            city = await h.floor.trunk.rings(1)
            city.sound = tone(CITY_HZ)
            city.answer()
        else:
            asked, city = await h.consult()
            await asked.hears(1)
            if way == "code":
                asked.press("*35")
            else:
                await h.leg.refer("*511", asked)
        await h.together(city)
        await h.call.hears(2)
        h.call.hang_up()
        await city.until("bye")

        left, right = await apart(folder / f"{name}.wav")
        caller, heard = tones(left), tones(right)
        assert caller[CALLER_HZ] >= 5 and sum(caller.values()) == caller[CALLER_HZ], caller
        assert heard[AGENT_HZ] >= 2 and heard[CITY_HZ] >= 1.5 and heard[MUSIC_HZ] >= 0.4, heard
        assert heard[CALLER_HZ] == 0, heard
        assert nothing(left.astype(bool) | right.astype(bool)) == pytest.approx(1.5, abs=0.7), "the pause"
        if way != "blind":
            [consult] = [each for each in folder.glob("*.wav") if each.stem != name]
            department, agent = map(tones, await apart(consult))
            assert department[CITY_HZ] >= 0.5 and department[AGENT_HZ] == 0, department
            assert agent[AGENT_HZ] >= 0.5 and agent[CITY_HZ] == 0, agent


def recorded_of(side: np.ndarray, said: bytes) -> tuple[int, str | None]:
    """How many packets of what was said over and over a recorded side holds, and the first thing in it that is neither
    such a packet, sample for sample and next to its turn, nor silence in place of one that came late."""
    sent = np.frombuffer(from_ulaw(said), np.int16).reshape(-1, PACKET)
    place = {each.tobytes(): n for n, each in enumerate(sent)}
    assert len(place) == len(sent), "each packet is known by its samples"
    begin = next(at for at in range(RATE // 2) if side[at : at + PACKET].tobytes() in place)
    frames = side[begin : begin + (len(side) - begin) // PACKET * PACKET].reshape(-1, PACKET)
    turn, held = place[frames[0].tobytes()], 0
    for n, frame in enumerate(frames):
        if not frame.any():
            continue
        if place.get(frame.tobytes()) != turn % len(sent):
            return held, f"{n * PACKET / RATE:.2f} s after its begin, after {held} packets in order"
        turn, held = turn + 1, held + 1
    return held, None


@pytest.mark.alone
async def test_speech_on_both_sides_is_recorded_sample_for_sample(tmp_path: Path) -> None:
    """With tones over it on one side; G.711 changes no sample on its way."""
    seconds = 4
    said = [
        encoded(speech_like(seed, seconds) + 0.05 * sine(hz, seconds))
        for seed, hz in ((1, 443.1), (2, 701.7))
    ]
    async with running_floor(tmp_path, stereo(small_centre()), 1) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        call.sound = said[0]
        await floor.offer(channel, "1.1", floor.desks[0].user)
        leg = await floor.desks[0].rings()
        leg.sound = said[1]
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        await leg.hears(2 * seconds)
        name = await floor.variable(channel, "CALLCORE_CALL")
        call.hang_up()
        file = floor.pbx.settings.recordings_dir / f"{name}.wav"
        left, right = await apart(file)
        for side, what in zip((left, right), said, strict=True):
            held, wrong = recorded_of(side, what)
            assert wrong is None, wrong
            assert held >= 1.8 * seconds * RATE / PACKET, held
        with wave.open(str(file)) as one:
            mixed = np.frombuffer(one.readframes(one.getnframes()), np.int16)
        both = left.astype(np.int32) + right
        assert np.array_equal(mixed, both.clip(-32768, 32767)), "and all of it in the recording of everybody"


async def late_packets(tmp_path: Path, first_s: float) -> tuple[float, float]:
    """The longest silence of the caller and of the agent in the recording of a talk in which neither is ever silent.

    The phone's first packet goes out `first_s` after its answer, and then in turn one of either side goes out 30 ms
    late."""
    async with running_floor(tmp_path, stereo(small_centre()), 1) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        call.sound = tone(CALLER_HZ)
        await floor.offer(channel, "1.1", floor.desks[0].user)
        leg = await floor.desks[0].rings()
        leg.sound, leg.late_s = tone(AGENT_HZ), first_s
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        await leg.hears(1)
        for late in (leg, call) * 4:
            late.late_s = 0.03
            await leg.hears(0.4)
        name = await floor.variable(channel, "CALLCORE_CALL")
        call.hang_up()
        both = await apart(floor.pbx.settings.recordings_dir / f"{name}.wav")
        # The phone's first 0.12 s are silence, perhaps behind a packet that was there before.
        caller, agent = (np.trim_zeros(side)[RATE // 2 :] for side in both)
        assert min(len(caller), len(agent)) > 3 * RATE
        return nothing(caller), nothing(agent)


@pytest.mark.alone
@pytest.mark.parametrize("first_s", [0.0, 0.045])
async def test_a_packet_that_is_late_leaves_no_gap_in_the_recording(tmp_path: Path, first_s: float) -> None:
    # ADR 75: without the silence at the beginning (CALLCORE_LEAD in dialplans/callcore.conf) 20 ms of silence in one.
    caller, agent = await late_packets(tmp_path, first_s)
    assert max(caller, agent) < 0.01


@pytest.mark.parametrize("lacks", ["bridge_builtin_interval_features", "func_module"])
async def test_an_asterisk_without_the_modules_for_it_puts_callers_through_as_before(
    tmp_path: Path, lacks: str
) -> None:
    async with running_floor(tmp_path, small_centre(), 1) as floor, floor.ami.beating():
        assert "Unloaded" in await floor.pbx.process.command(f"module unload {lacks}.so")
        call, _, leg = await floor.talk()
        call.sound = tone(CALLER_HZ)
        await until_hears(call, AGENT_HZ, 1)
        await until_hears(leg, CALLER_HZ, 1)
        if lacks == "func_module":
            assert "IFMODULE not registered" in floor.pbx.log()


async def test_in_two_channels_a_talk_while_callcore_is_dead_and_a_call_out_are_kept_apart_too(
    tmp_path: Path,
) -> None:
    made = stereo(small_centre(outgoing=ALL))
    async with running_floor(tmp_path, made) as floor:
        folder = floor.pbx.settings.recordings_dir
        async with floor.ami.beating():
            call, channel = await floor.waiting_caller()
            await to_net(floor, channel)
        name = await floor.variable(channel, "CALLCORE_CALL")
        await add_member(floor, "oita-p1", "101")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        await call.hears(1)
        leg.hang_up()
        await call.until("bye")
        asked = await floor.desks[1].call(OFFICE, tone(AGENT_HZ))
        office = await floor.trunk.rings()
        office.sound = tone(CALLER_HZ)
        office.answer()
        await until_hears(asked, CALLER_HZ)
        await asked.hears(1)
        out = (await side(floor, "CallcoreSide"))["Call"]
        asked.hang_up()
        await office.until("bye")
        for file in (name, out):
            citizen, agent = map(tones, await apart(folder / f"{file}.wav"))
            assert citizen[CALLER_HZ] >= 1 and citizen[AGENT_HZ] == 0, (file, citizen)
            assert agent[AGENT_HZ] >= 1 and agent[CALLER_HZ] == 0, (file, agent)


@pytest.mark.parametrize("way", ["asked", "ringing", "code"])
async def test_a_recording_that_is_stopped_goes_on_with_the_next_agent_in_the_same_file(
    tmp_path: Path, way: str
) -> None:
    async with held(tmp_path, made=stereo(files())) as h, performing(h.floor) as perform:
        name = CallId(await h.floor.variable(h.channel, "CALLCORE_CALL"))
        folder = h.floor.pbx.settings.recordings_dir
        await h.call.hears(1)
        asked, city = await h.consult(answered=way != "ringing")
        side = (await h.floor.ami.event("CallcoreSide"))["Call"]
        seen = h.now
        if way == "code":
            asked.press("*35")
        else:
            await h.leg.refer("*511", asked)
        if way == "ringing":
            city.answer()
        await h.floor.ami.event("BridgeEnter", Channel=h.channel, after=seen)
        await perform(e.MarkTransferred(name, h.channel, Instant(time.time_ns() // 1000)))
        far = ChannelId(await h.floor.variable(await h.floor.variable(h.channel, "BRIDGEPEER"), "UNIQUEID"))
        stop = e.StopRecording(name, h.channel, far=far, own=True, consult=way == "ringing")
        told = await perform(stop)
        assert isinstance(told, i.RecordingStopTold)
        await h.together(city)
        again = await perform(stop)
        assert isinstance(again, i.RecordingStopTold)
        assert abs(again.at - told.at) < SECOND // 2, "asked once more, it tells the first time"
        await city.hears(1)
        for leg in (h.leg, asked):
            if not leg.over:
                leg.hang_up()
        seen = h.now
        city.hang_up()
        await h.back(seen)
        first = who(folder / f"{name}.wav")
        assert first[CALLER_HZ] > 0 and first[CITY_HZ] <= 0.2, first
        assert who(folder / f"{side}.wav")[CITY_HZ] <= (0.2 if way == "ringing" else 5)
        assert who(folder / f"{side}.wav")[CALLER_HZ] <= 0.2, "a consult is without the caller"

        await h.floor.offer(h.channel, "2.1", "oita-p1")
        leg = await h.floor.desks[0].rings(2)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(leg, CALLER_HZ)
        await h.call.hears(2)
        before = length(folder / f"{name}.wav")
        leg.hang_up()
        await h.call.until("bye")
        await comes_true(lambda: length(folder / f"{name}.wav") > before, "the file is closed")
        whole = who(folder / f"{name}.wav")
        assert whole[AGENT_HZ] >= first[AGENT_HZ] + 1.5, (first, whole)
        assert whole[CITY_HZ] <= 0.2, whole
        left, right = map(tones, await apart(folder / f"{name}.wav"))
        assert left[CALLER_HZ] >= 1.5 and left[AGENT_HZ] == 0 and right[CALLER_HZ] == 0, (left, right)
        assert abs(right[AGENT_HZ] - whole[AGENT_HZ]) < 0.5, "stopped and begun again, they are in step"

        def traced() -> list[i.CallTraced]:
            lines = cel.read_since(h.floor.pbx.settings.log_dir / CEL_FILE, Instant(0))
            return [each for each in cel.traces(lines) if each.call == name and each.ended is not None]

        await comes_true(lambda: bool(traced()), "CEL has the end")
        [first_talk] = traced()[0].earlier
        moved = first_talk.moved
        assert moved is not None and first_talk.back is not None, (
            "Asterisk's own book tells of the time in between"
        )
        assert first_talk.ended <= moved.since <= told.at <= moved.ended <= first_talk.back
        assert moved.ended - moved.since > SECOND


@pytest.mark.parametrize("way", ["offer", "net"])
async def test_a_stop_that_comes_while_the_caller_waits_again_does_not_stop_what_is_said_to_the_next_agent(
    tmp_path: Path, way: str
) -> None:
    """The department answered and put down before callcore's word to stop came."""
    async with (
        running_floor(tmp_path, stereo(small_centre()), 1) as floor,
        performing(floor) as perform,
        floor.ami.beating(),
    ):
        call, channel = await floor.waiting_caller()
        name = CallId(await floor.variable(channel, "CALLCORE_CALL"))
        gone = ChannelId("test1-1.1")
        assert await perform(e.StopRecording(name, channel, far=gone, own=True, consult=False)) is None
        if way == "offer":
            await floor.offer(channel, "1.1", "oita-p1")
        else:
            await to_net(floor, channel)
            await add_member(floor, "oita-p1", "101")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(leg, CALLER_HZ)
        await call.hears(2)
        assert await floor.variable(channel, "CALLCORE_STOPPED") == "(null)", "it was never said"
        leg.hang_up()
        await call.until("bye")
        left, right = map(tones, await apart(floor.pbx.settings.recordings_dir / f"{name}.wav"))
        assert left[CALLER_HZ] >= 1.5 and right[AGENT_HZ] >= 1.5, (left, right)


class Stuck:
    """An engine that stands still just before it asks Asterisk for `before`, while `meanwhile` comes to pass."""

    def __init__(self, link: Link, before: str, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self._link, self._before, self._meanwhile = link, before, meanwhile
        self.call_list = link.call_list

    async def call(self, fields: dict[str, str], **limit: float) -> Reply:
        if f"{fields['Action']} {fields.get('Variable', '')}".strip() == self._before:
            self._before = ""
            await self._meanwhile()
        return await self._link.call(fields, timeout=limit["timeout"])


@pytest.mark.parametrize(
    "before", ["Getvar CALLCORE_TAPE", "Getvar CALLCORE_STOPPED", "Setvar CALLCORE_STOPPED", "StopMixMonitor"]
)
async def test_an_engine_that_stands_still_before_it_stops_a_recording_does_not_stop_that_of_the_next_talk(
    tmp_path: Path, before: str
) -> None:
    """Meanwhile the department has put down, the caller is back, and an agent talks with the caller."""
    async with held(tmp_path, made=stereo(files())) as h, linked(h.floor) as link:
        name = CallId(await h.floor.variable(h.channel, "CALLCORE_CALL"))
        folder = h.floor.pbx.settings.recordings_dir
        await h.call.hears(1)
        asked, city = await h.consult()
        seen = h.now
        await h.leg.refer("*511", asked)
        await h.floor.ami.event("BridgeEnter", Channel=h.channel, after=seen)
        await h.together(city)
        far = ChannelId(await h.floor.variable(await h.floor.variable(h.channel, "BRIDGEPEER"), "UNIQUEID"))
        moved = e.MarkTransferred(name, h.channel, Instant(time.time_ns() // 1000))
        await performer(link).perform(moved)
        await h.call.hears(1)
        talks: list[Call] = []

        async def next_talk() -> None:
            for leg in (h.leg, asked):
                if not leg.over:
                    leg.hang_up()
            seen = h.now
            city.hang_up()
            await h.back(seen)
            await h.floor.ami.device("oita-p1", "NOT_INUSE")
            await h.floor.offer(h.channel, "2.1", "oita-p1")
            leg = await h.floor.desks[0].rings(2)
            leg.sound = tone(AGENT_HZ)
            leg.answer()
            await until_hears(leg, CALLER_HZ)
            talks.append(leg)

        perform = performer(Stuck(link, before, next_talk)).perform
        told = await perform(e.StopRecording(name, h.channel, far=far, own=True, consult=False))
        assert told is None, "nothing was stopped"
        [leg] = talks
        await h.call.hears(2)
        leg.hang_up()
        await h.call.until("bye")
        left, right = map(tones, await apart(folder / f"{name}.wav"))
        assert right[AGENT_HZ] >= 2.5 and right[CITY_HZ] >= 0.5, right
        assert left[CALLER_HZ] >= 4, left


async def test_no_two_recorders_of_a_call_have_one_name(tmp_path: Path) -> None:
    """Asterisk names a MixMonitor by its place in memory: what callcore has to stop may not share it with the next."""
    async with running_floor(tmp_path, stereo(small_centre()), 1) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        call.sound = tone(CALLER_HZ)
        names = [await floor.variable(channel, "CALLCORE_TAPE")]
        for n in range(20):
            await floor.ami.action("Setvar", Channel=channel, Variable="CALLCORE_STOPPED", Value="1")
            seen = len(floor.ami.events)
            await floor.offer(channel, f"{n + 1}.1", "oita-p9")
            await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
            await floor.ami.waiting(channel)
            names.append(await floor.variable(channel, "CALLCORE_TAPE"))
        assert len(set(names)) == len(names), names
        running = await floor.pbx.process.command(f"mixmonitor list {channel}")
        assert names[-1] in running and running.count("0x") == 1, running
        await floor.offer(channel, "21.1", floor.desks[0].user)
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(leg, CALLER_HZ)
        await call.hears(2)
        name = await floor.variable(channel, "CALLCORE_CALL")
        leg.hang_up()
        await call.until("bye")
        left, right = map(tones, await apart(floor.pbx.settings.recordings_dir / f"{name}.wav"))
        assert left[CALLER_HZ] >= 1.5 and right[AGENT_HZ] >= 1.5, (left, right)


async def test_to_the_end_one_file_holds_the_agent_and_the_department_and_another_the_consult(
    tmp_path: Path,
) -> None:
    async with held(tmp_path) as h:
        name = await h.floor.variable(h.channel, "CALLCORE_CALL")
        folder = h.floor.pbx.settings.recordings_dir
        asked, city = await h.consult()
        await asked.hears(1)
        side = (await h.floor.ami.event("CallcoreSide"))["Call"]
        await h.leg.refer("*511", asked)
        await h.together(city)
        await city.hears(2)
        h.call.hang_up()
        await city.until("bye")
        await comes_true(lambda: length(folder / f"{name}.wav") > 0, "the file is closed")
        whole, consult = who(folder / f"{name}.wav"), who(folder / f"{side}.wav")
        assert whole[CITY_HZ] >= 1.5 and whole[CALLER_HZ] >= 1.5, whole
        assert consult[CITY_HZ] >= 0.5 and consult[AGENT_HZ] >= 0.5 and consult[CALLER_HZ] <= 0.2, consult


@pytest.mark.parametrize("channels", list(Channels))
async def test_while_callcore_is_dead_one_file_holds_hold_consult_transfer_and_the_next_agent(
    tmp_path: Path, channels: Channels
) -> None:
    both = channels is Channels.STEREO
    async with running_floor(tmp_path, stereo(files()) if both else files()) as floor:
        await add_member(floor, "oita-p1", "101")
        async with floor.ami.beating():
            call, channel = await floor.waiting_caller()
        call.sound = tone(CALLER_HZ)
        name = await floor.variable(channel, "CALLCORE_CALL")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        await call.hears(1)
        await leg.hold()
        await until_hears(call, MUSIC_HZ)
        await call.hears(0.5)
        leg.hang_up()  # who is held is given to the next agent
        leg = await floor.desks[0].rings(2)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        await call.hears(1)
        await leg.hold()
        await until_hears(call, MUSIC_HZ)
        asked = await floor.desks[0].call("*511", tone(AGENT_HZ))
        city = await floor.trunk.rings(1)
        city.sound = tone(CITY_HZ)
        city.answer()
        await until_hears(asked, CITY_HZ)
        await asked.hears(1)
        side = (await floor.ami.event("CallcoreSide"))["Call"]
        await leg.refer("*511", asked)
        await until_hears(call, CITY_HZ)
        for each in (leg, asked):
            if not each.over:
                each.hang_up()
        await city.hears(2)
        call.hang_up()
        await city.until("bye")

        folder = floor.pbx.settings.recordings_dir
        file, consult = folder / f"{name}.wav", folder / f"{side}.wav"
        for each in (file, consult):
            await comes_true(lambda each=each: length(each) > 0, "the file is closed")  # type: ignore[misc]
        assert set(folder.glob("*.wav")) == {file, consult}
        whole, apart_from = who(file), who(consult)
        assert whole[AGENT_HZ] >= 2 and whole[MUSIC_HZ] >= 0.8 and whole[CITY_HZ] >= 1.8, whole
        assert whole[CALLER_HZ] >= 4, whole
        assert apart_from[CITY_HZ] >= 0.5 and apart_from[AGENT_HZ] >= 0.5, apart_from
        assert apart_from[CALLER_HZ] <= 0.2, "a consult is without the caller"
        if both:
            left, right = map(tones, await apart(file))
            assert sum(left.values()) == left[CALLER_HZ] >= 4 and right[CALLER_HZ] == 0, (left, right)
            assert right[AGENT_HZ] >= 2 and right[CITY_HZ] >= 1.8, right


async def test_a_consult_that_is_not_to_be_recorded_has_no_file(tmp_path: Path) -> None:
    async with held(tmp_path, Transfers(record_consult=False)) as h:
        folder = h.floor.pbx.settings.recordings_dir
        name = await h.floor.variable(h.channel, "CALLCORE_CALL")
        asked, city = await h.consult()
        await asked.hears(1)
        city.hang_up()
        await asked.until("bye")
        assert [each.name for each in folder.glob("*.wav")] == [f"{name}.wav"]


@pytest.mark.parametrize("callcore", ["alive", "dead"])
@pytest.mark.parametrize("whom", ["department", "colleague", "still rings"])
async def test_a_citizen_who_was_called_is_recorded_on_when_the_phones_transfer_key_leaves_him_with_somebody_else(
    tmp_path: Path, whom: str, callcore: str
) -> None:
    """The phone's legs are gone, and nobody but the carrier's own channels is there."""
    made = stereo(called_out())
    async with running_floor(tmp_path, made) as floor, AsyncExitStack() as stack:
        if callcore == "alive":
            await stack.enter_async_context(floor.ami.beating())
        out, citizen, name = await calls(floor)
        await out.hold()
        await until_hears(citizen, MUSIC_HZ, 1.0)
        asked = await floor.desks[0].call("oita-p2" if whom == "colleague" else "*511", tone(AGENT_HZ))
        city = await floor.desks[1].rings(1) if whom == "colleague" else await floor.trunk.rings(2)
        city.sound = tone(CITY_HZ)
        if whom != "still rings":
            city.answer()
            await until_hears(asked, CITY_HZ)
        assert (await out.refer("*511", asked)).status == 202
        await comes_true(lambda: out.referred == [100, 200], "NOTIFY 200")
        if whom == "still rings":
            city.answer()
        await until_hears(citizen, CITY_HZ)
        await until_hears(city, CALLER_HZ)
        for leg in (out, asked):
            if not leg.over:
                leg.hang_up()
        await citizen.hears(2)
        citizen.hang_up()
        await city.until("bye")
        left, right = await apart(floor.pbx.settings.recordings_dir / f"{name}.wav")
        theirs, heard = tones(left), tones(right)
        assert theirs[CALLER_HZ] >= 4 and sum(theirs.values()) == theirs[CALLER_HZ], theirs
        assert heard[AGENT_HZ] >= 0.8 and heard[MUSIC_HZ] >= 0.4 and heard[CITY_HZ] >= 1.8, heard
        assert heard[CALLER_HZ] == 0, heard


@pytest.mark.parametrize("way", ["call-back", "contact"])
async def test_who_was_called_back_or_rang_a_contact_number_is_recorded_on_likewise(
    tmp_path: Path, way: str
) -> None:
    made = called_out()
    person = Contact("0975105160", "市役所連絡用", phones=(PhoneId("oita-p1"),))
    made = replace(made, centres=(replace(made.centres[0], contacts=(person,)), *made.centres[1:]))
    async with running_floor(tmp_path, made) as floor, performing(floor) as perform:
        if way == "contact":
            citizen = await floor.trunk.call("0975105160", tone(CALLER_HZ))
            out = await floor.desks[0].rings()
            out.sound = tone(AGENT_HZ)
            out.answer()
        else:
            await perform(effect(1, number=OFFICE, centre=CentreId("oita"), shown="折り返し"))
            out = await floor.desks[0].rings()
            out.sound = tone(AGENT_HZ)
            out.answer()
            citizen = await floor.trunk.rings(1)
            citizen.sound = tone(CALLER_HZ)
            citizen.answer()
        await until_hears(citizen, AGENT_HZ)
        name = (await floor.ami.event("CallcoreSide"))["Call"]
        await citizen.hears(1)
        # Unasked nobody is sent on: the phone is told so, and has the citizen still.
        seen = len(floor.ami.events)
        assert (await out.refer("*511")).status == 202
        await comes_true(lambda: out.referred == [100, 404], "NOTIFY 404")
        await until_hears(citizen, AGENT_HZ)
        assert not [x for x in floor.ami.events[seen:] if x["Event"] == "Hangup"]
        await out.hold()
        asked = await floor.desks[0].call("*511", tone(AGENT_HZ))
        city = await floor.trunk.rings(1 if way == "contact" else 2)
        city.sound = tone(CITY_HZ)
        city.answer()
        await until_hears(asked, CITY_HZ)
        told = len(out.referred)
        assert (await out.refer("*511", asked)).status == 202
        await comes_true(lambda: out.referred[told:] == [100, 200], "NOTIFY 200")
        await until_hears(citizen, CITY_HZ)
        for leg in (out, asked):
            if not leg.over:
                leg.hang_up()
        await citizen.hears(2)
        citizen.hang_up()
        await city.until("bye")
        file = floor.pbx.settings.recordings_dir / f"{name}.wav"
        await comes_true(lambda: length(file) > 0, "the file is closed")
        heard = who(file)
        assert heard[AGENT_HZ] >= 0.8 and heard[CITY_HZ] >= 1.8 and heard[CALLER_HZ] >= 2, heard


async def test_who_was_called_is_not_sent_on_unasked_and_the_agent_still_has_them(tmp_path: Path) -> None:
    async with running_floor(tmp_path, called_out(BLIND)) as floor:
        out, citizen, _ = await calls(floor)
        assert (await out.refer("*511")).status == 202
        await comes_true(lambda: out.referred == [100, 404], "NOTIFY 404")
        await until_hears(citizen, AGENT_HZ)
        await until_hears(out, CALLER_HZ)
        out.hang_up()
        await citizen.until("bye")


async def test_the_recording_of_a_call_out_ends_with_the_agent_where_the_centre_wants_it_so(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, called_out(UNTIL_THE_AGENT_LEAVES)) as floor:
        out, citizen, name = await calls(floor)
        await out.hold()
        asked = await floor.desks[0].call("*511", tone(AGENT_HZ))
        city = await floor.trunk.rings(2)
        city.sound = tone(CITY_HZ)
        city.answer()
        await until_hears(asked, CITY_HZ)
        await out.refer("*511", asked)
        await until_hears(citizen, CITY_HZ)
        file = floor.pbx.settings.recordings_dir / f"{name}.wav"
        await comes_true(lambda: length(file) > 0, "the file is closed")
        await citizen.hears(1)
        heard = who(file)
        assert heard[AGENT_HZ] >= 0.8 and heard[CITY_HZ] == 0, heard
        citizen.hang_up()


async def test_a_pause_of_a_call_out_is_silence_of_both_sides_and_ends_with_the_agent(tmp_path: Path) -> None:
    async with running_floor(tmp_path, called_out()) as floor, performing(floor) as perform:
        out, citizen, name = await calls(floor)
        call, far = CallId(name), await floor.variable(name, "CALLCORE_MIXED")
        told = await perform(e.SwitchRecording(call, name, True))
        assert isinstance(told, i.RecordingSwitched) and told.done
        await out.hears(1.5)
        told = await perform(e.SwitchRecording(call, name, False))
        assert isinstance(told, i.RecordingSwitched) and told.done
        await out.hears(1)
        assert isinstance(told := await perform(e.SwitchRecording(call, name, True)), i.RecordingSwitched)
        asked = await floor.desks[0].call("*511", tone(AGENT_HZ))
        city = await floor.trunk.rings(2)
        city.sound = tone(CITY_HZ)
        city.answer()
        await until_hears(asked, CITY_HZ)
        await out.refer("*511", asked)
        await until_hears(citizen, CITY_HZ)
        # As callcore does when the agent has left: the phone's channel is not there any more.
        for _ in range(2):  # a callcore that is back does so, whether it went on before or not
            told = await perform(e.SwitchRecording(call, far, False))
            assert isinstance(told, i.RecordingSwitched) and told.done
        await citizen.hears(2)
        citizen.hang_up()
        file = floor.pbx.settings.recordings_dir / f"{name}.wav"
        await comes_true(lambda: length(file) > 0, "the file is closed")
        told = await perform(e.SwitchRecording(call, far, False))
        assert isinstance(told, i.RecordingSwitched)
        assert (told.done, told.refused) == (False, True), "nobody is to try that again"
        with wave.open(str(file)) as sound:
            samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
        assert nothing(samples) >= 1.2
        heard = tones(samples)
        assert heard[AGENT_HZ] >= 1.5 and heard[CITY_HZ] >= 1.5, heard
