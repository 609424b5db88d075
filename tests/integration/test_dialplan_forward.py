"""Callers whom a key forwards to an outside number, on a real Asterisk without callcore: what they hear, and what is
recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.domain import effects as e
from callcore.domain.hours import Window
from callcore.domain.ids import CallId, ChannelId
from callcore.domain.recording import Channels
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_callbacks import performing
from tests.integration.test_dialplan_menus import (
    ALWAYS,
    NEVER,
    chosen,
    heard,
    hears,
    make_prompts,
    menu_centre,
    nobody_left,
)
from tests.integration.test_dialplan_recording import apart, stereo, tones, who
from tests.support.floor import AGENT_HZ, CALLER_HZ, running_floor
from tests.support.sip import tone


@pytest.mark.parametrize("weekly", [ALWAYS, NEVER], ids=["in hours", "out of hours"])
@pytest.mark.parametrize("channels", list(Channels), ids=lambda each: each.value)
async def test_who_is_forwarded_hears_the_notice_and_is_recorded_with_whom_the_call_reached_while_callcore_is_dead(
    tmp_path: Path, weekly: tuple[tuple[Window, ...], ...], channels: Channels
) -> None:
    made = menu_centre(weekly)
    if channels is Channels.STEREO:
        made = stereo(made)
    async with running_floor(tmp_path, made, phones=0) as floor:
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.sound = tone(CALLER_HZ)
        call.press("25" if weekly is ALWAYS else "1")
        line = await floor.trunk.rings()
        language = "en" if weekly is ALWAYS else "ja"
        assert heard(call, "recording_notice", language) is not None, "before the other end rings"
        line.sound = tone(AGENT_HZ)
        line.answer()
        out = await floor.ami.event("CallcoreForwarded")
        entered = await floor.ami.event("BridgeEnter", Channel=channel)
        assert (out["Recorded"], out["Notice"], out["Call"]) == ("yes", language, entered["Uniqueid"])
        assert out["Uniqueid"] != entered["Uniqueid"], "the far end's own channel tells it"
        await until_hears(call, AGENT_HZ, 1)
        await line.hears(2)
        line.hang_up()
        await call.until("bye")
        await nobody_left(floor)
        # Mostly the far end is gone first; on a busy machine the caller was, by a millisecond. The core takes either.
        await floor.ami.event("Hangup", Uniqueid=out["Call"])
        ended = await floor.ami.event("Hangup", Uniqueid=out["Uniqueid"])
        told = dict(each.split("=", 1) for each in ended["ChanVariable"].split(",") if "=" in each)
        assert 0 <= int(told["CALLCORE_BEFORE"]) < 5
        file = floor.pbx.settings.recordings_dir / f"{out['Call']}.wav"
        both = who(file)
        assert min(both[CALLER_HZ], both[AGENT_HZ]) >= 2, both
        if channels is Channels.STEREO:
            left, right = map(tones, await apart(file))
            assert left[CALLER_HZ] >= 2 and left[AGENT_HZ] == 0, left
            assert right[AGENT_HZ] >= 2 and right[CALLER_HZ] == 0, right


async def test_a_talk_that_the_key_leaves_to_others_to_record_is_not_recorded_and_without_the_notice(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, menu_centre(NEVER), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, _ = await floor.caller()
        await hears(call, "closed", "ja")
        call.press("6")
        line = await floor.trunk.rings()
        line.answer()
        out = await floor.ami.event("CallcoreForwarded")
        assert (out["Recorded"], out["Notice"]) == ("no", "")
        await call.hears(1)
        assert heard(call, "recording_notice", "ja") is None
        call.hang_up()
        await line.until("bye")
        await nobody_left(floor)
        assert list(floor.pbx.settings.recordings_dir.iterdir()) == []


async def test_in_hours_a_line_that_is_busy_leads_to_an_agent_as_before_and_only_that_talk_is_recorded(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, stereo(menu_centre()), phones=1) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.sound = tone(CALLER_HZ)
        call.press("25")
        line = await floor.trunk.rings()
        line.hang_up()
        held = await floor.ami.event("CallcoreHeld", Channel=channel)
        assert held["Notice"] == "en"
        await chosen(floor, channel, "menu", "forward", "unreached")
        await floor.ami.waiting(channel)
        await floor.offer(channel, "1.1", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ, 1)
        await leg.hears(1)
        call.hang_up()
        await nobody_left(floor)
        [file] = floor.pbx.settings.recordings_dir.glob("*.wav")
        left, right = map(tones, await apart(file))
        assert left[CALLER_HZ] >= 1 and right[AGENT_HZ] >= 1, (left, right)
        assert who(file)[AGENT_HZ] == pytest.approx(right[AGENT_HZ], abs=0.2), "one recorder writes it"


async def test_who_is_forwarded_out_of_the_waiting_line_is_recorded_though_the_recording_had_been_stopped(
    tmp_path: Path,
) -> None:
    async with (
        running_floor(tmp_path, menu_centre(), phones=0) as floor,
        performing(floor) as perform,
        floor.ami.beating(),
    ):
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.sound = tone(CALLER_HZ)
        call.press("25")
        line = await floor.trunk.rings()
        line.hang_up()
        await floor.ami.event("CallcoreHeld", Channel=channel)
        name = CallId(await floor.variable(channel, "CALLCORE_CALL"))
        await perform(e.StopRecording(name, channel, far=ChannelId("gone"), own=True, consult=False))
        answer = await floor.ami.redirect(channel, "callcore-overflow-menu", "1~oita-night")
        assert answer["Response"] == "Success", answer
        call.press("1")
        line = await floor.trunk.rings(2)
        line.sound = tone(AGENT_HZ)
        line.answer()
        await until_hears(call, AGENT_HZ, 1)
        await line.hears(2)
        line.hang_up()
        await call.until("bye")
        await nobody_left(floor)
        both = who(floor.pbx.settings.recordings_dir / f"{name}.wav")
        assert min(both[CALLER_HZ], both[AGENT_HZ]) >= 1.5, both


async def test_who_is_forwarded_in_vain_out_of_the_waiting_line_and_unrecorded_is_recorded_with_the_next_agent(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, stereo(menu_centre()), phones=1) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.sound = tone(CALLER_HZ)
        call.press("25")
        line = await floor.trunk.rings()
        line.hang_up()
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await floor.ami.waiting(channel)
        seen = len(floor.ami.events)
        await floor.ami.redirect(channel, "callcore-overflow-menu", "1~oita-night")
        call.press("6")
        line = await floor.trunk.rings(2)
        line.hang_up()
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await floor.ami.waiting(channel)
        await floor.offer(channel, "1.1", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ, 1)
        await leg.hears(1)
        call.hang_up()
        await nobody_left(floor)
        [file] = floor.pbx.settings.recordings_dir.glob("*.wav")
        left, right = map(tones, await apart(file))
        assert left[CALLER_HZ] >= 1 and right[AGENT_HZ] >= 1, (left, right)
