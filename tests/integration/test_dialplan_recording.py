"""What is recorded of a caller who is held and put through to a department, on a real Asterisk: who is heard in which
file. callcore's part is done by its own performer."""

from __future__ import annotations

import time
import wave
from pathlib import Path

import numpy as np
import pytest

from callcore.ami import cel
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.centre import Transfers
from callcore.domain.ids import SECOND, CallId, Instant
from callcore.pbx.render import CEL_FILE
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_callbacks import performing
from tests.integration.test_dialplan_transfer import CITY_HZ, held
from tests.support.floor import AGENT_HZ, CALLER_HZ
from tests.support.sip import comes_true, encoded, loudness, tone

RATE, HEADER = 8000, 44
TONES = (CALLER_HZ, AGENT_HZ, CITY_HZ)


def length(file: Path) -> float:
    try:
        with wave.open(str(file)) as sound:
            return sound.getnframes() / RATE
    except (OSError, EOFError, wave.Error):
        return 0.0


def who(file: Path) -> dict[float, float]:
    """Seconds of each party's tone in a recording, whose header has no length while it is written."""
    samples = np.frombuffer(file.read_bytes()[HEADER:], np.int16) / 32768.0
    parts = [encoded(samples[at : at + 800]) for at in range(0, len(samples) - 799, 800)]
    return {hz: round(0.1 * sum(loudness(part, hz) > 0.2 for part in parts), 1) for hz in TONES}


@pytest.mark.parametrize("way", ["asked", "ringing", "code"])
async def test_a_recording_that_is_stopped_goes_on_with_the_next_agent_in_the_same_file(
    tmp_path: Path, way: str
) -> None:
    async with held(tmp_path) as h, performing(h.floor) as perform:
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
        stop = e.StopRecording(name, h.channel, own=True, consult=way == "ringing")
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


async def test_a_consult_that_is_not_to_be_recorded_has_no_file(tmp_path: Path) -> None:
    async with held(tmp_path, Transfers(record_consult=False)) as h:
        folder = h.floor.pbx.settings.recordings_dir
        name = await h.floor.variable(h.channel, "CALLCORE_CALL")
        asked, city = await h.consult()
        await asked.hears(1)
        city.hang_up()
        await asked.until("bye")
        assert [each.name for each in folder.glob("*.wav")] == [f"{name}.wav"]
