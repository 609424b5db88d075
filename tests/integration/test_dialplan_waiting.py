"""Waiting callers led aside on a real Asterisk without callcore, by what they hear: phrases between the music, and a
menu for callers beyond the agents, from which one comes back in the same place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Announcement, Cause, Comfort, Configuration, Menu, MenuKey, Overflow
from callcore.domain.stages import Choice, Treatment
from callcore.runtime import dialplan
from tests.integration.test_dialplan_menus import chosen, nobody_left, told
from tests.integration.test_dialplan_recording import who
from tests.support import audio
from tests.support.centre import MUSIC_HZ, small_centre
from tests.support.floor import AGENT_HZ, Floor, running_floor
from tests.support.sip import Call, comes_true, decoded, loudness, tone

KINDS = ("recording_notice", "greeting", "closed", "apology", "wrong_key", "no_key", "full", "documents")
PHRASES = ("place-2", "place-more", "wait-soon", "wait-5")
SOUNDS = {
    f"{owner}/{name}": audio.speech_like(1 + n, 0.7)
    for n, (owner, name) in enumerate(
        [(f"oita/{language}", kind) for language in ("ja", "en") for kind in KINDS]
        + [(f"{language}/spoken", name) for language in ("ja", "en") for name in PHRASES]
    )
}
MENU = Menu(
    "oita-full",
    "full",
    (
        MenuKey("1", Choice.WAIT),
        MenuKey("2", Choice.SAY, "documents"),
        MenuKey("3", Choice.FORWARD, "0120950178"),
        MenuKey("9", Choice.END),
    ),
    timeout_s=1,
    tries=3,
)


def centre(language: str = "ja", *, record: bool = True) -> Configuration:
    configuration = small_centre()
    oita, beppu = configuration.centres
    told = tuple(
        Announcement(kind, each, kind, f"oita/{each}/{kind}") for each in ("ja", "en") for kind in KINDS
    )
    keys = tuple(replace(key, record=record) if key.choice is Choice.FORWARD else key for key in MENU.keys)
    rule = Overflow(Cause.WAITING, Treatment.MENU, 1, menu=MENU.id)
    queue = replace(oita.queues[0], overflow=(rule,), comfort=Comfort(30, 30, say=("documents",)))
    oita = replace(
        oita,
        languages=(language, "en" if language == "ja" else "ja"),
        announcements=told,
        menus=(replace(MENU, keys=keys),),
        queues=(queue,),
    )
    return replace(configuration, centres=(oita, beppu))


def make_prompts(folder: Path) -> None:
    for name, samples in SOUNDS.items():
        path = folder / "prompts" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, samples)


def heard(call: Call, name: str) -> float | None:
    """Where in all that came in this sound is, in seconds; None: nowhere."""
    try:
        match = audio.find(SOUNDS[name], decoded(bytes(call.heard)))
    except ValueError:
        return None
    return match.at if match.score > 0.8 else None


async def hears(call: Call, name: str) -> float:
    await comes_true(lambda: heard(call, name) is not None, name, 20)
    at = heard(call, name)
    assert at is not None
    return at


async def led(floor: Floor, channel: str, menu: str = MENU.id, *said: str) -> int:
    """Lead a waiting caller into the menu as callcore does; how many events there were before."""
    seen = len(floor.ami.events)
    await floor.ami.action(
        "Setvar", Channel=channel, Variable=dialplan.SAID, Value=dialplan.said_first(4, said)
    )
    await floor.ami.redirect(channel, dialplan.OVERFLOW_MENU, dialplan.menu_extension(4, menu))
    return seen


@pytest.mark.parametrize("language", ["ja", "en"])
async def test_a_phrase_is_said_in_the_callers_language_and_the_music_goes_on(
    tmp_path: Path, language: str
) -> None:
    async with running_floor(tmp_path, centre(language), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        entered = await floor.variable(channel, "CALLCORE_ENTERED")
        for number, (said, sound) in enumerate(
            (("place-2", "spoken/place-2"), ("wait-soon", "spoken/wait-soon"), ("documents", "documents"))
        ):
            seen = len(floor.ami.events)
            await floor.ami.redirect(channel, dialplan.COMFORT, dialplan.comfort_extension(7 + number, said))
            event = await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
            assert event["Aside"] == str(7 + number)
            await floor.ami.waiting(channel)
            name = f"{language}/{sound}" if "/" in sound else f"oita/{language}/{sound}"
            await hears(call, name)
        assert loudness(await call.hears(1), MUSIC_HZ) > 0.8
        assert await floor.variable(channel, "CALLCORE_ENTERED") == entered
        assert await floor.variable(channel, "CALLCORE_ASIDE") in ("", "(null)")


async def test_a_phrase_can_be_cut_off_and_the_phone_rings_at_once(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(), phones=1) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        audio.write(tmp_path / "prompts" / "oita" / "ja" / "documents.wav", audio.speech_like(99, 5.0))
        call, channel = await floor.waiting_caller()
        await floor.ami.redirect(channel, dialplan.COMFORT, dialplan.comfort_extension(1, "documents"))
        await call.hears(1)
        await floor.ami.redirect(channel, dialplan.OFFER, dialplan.offer_extension("1.1", ["oita-p1"], 15))
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        assert loudness(await call.hears(1), AGENT_HZ) > 0.8


@pytest.mark.parametrize("exten", ["7~nothing", "7~no-such", "7~", "77", "x", "s", "7~../../etc/passwd"])
@pytest.mark.parametrize("context", [dialplan.COMFORT, dialplan.OVERFLOW_MENU])
async def test_whatever_is_said_to_be_said_the_caller_comes_back(
    tmp_path: Path, context: str, exten: str
) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        seen = len(floor.ami.events)
        await floor.ami.action("Redirect", Channel=channel, Context=context, Exten=exten, Priority="1")
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await floor.ami.waiting(channel)
        assert call.state == "up"


async def test_the_menu_begins_with_place_and_wait_and_one_key_leads_back(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        entered = await floor.variable(channel, "CALLCORE_ENTERED")
        seen = await led(floor, channel, MENU.id, "place-2", "wait-5")
        places = [
            await hears(call, name) for name in ("ja/spoken/place-2", "ja/spoken/wait-5", "oita/ja/full")
        ]
        assert places == sorted(places)
        call.press("2")
        await hears(call, "oita/ja/documents")
        call.press("1")
        event = await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        assert event["Aside"] == "4"
        await floor.ami.waiting(channel)
        assert await floor.variable(channel, "CALLCORE_ENTERED") == entered
        await chosen(floor, channel, "say_back", "wait")
        assert loudness(await call.hears(1), MUSIC_HZ) > 0.8


async def test_who_keys_nothing_three_times_keeps_waiting(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        seen = await led(floor, channel, MENU.id, "place-more")
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await chosen(floor, channel, "no_key", "no_key", "no_key")
        assert heard(call, "ja/spoken/place-more") is not None
        assert heard(call, "oita/ja/no_key") is not None


async def test_what_was_to_be_said_another_time_is_not_said(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        await floor.ami.action("Setvar", Channel=channel, Variable=dialplan.SAID, Value="3~place-2")
        await floor.ami.redirect(channel, dialplan.OVERFLOW_MENU, dialplan.menu_extension(4, MENU.id))
        await hears(call, "oita/ja/full")
        assert heard(call, "ja/spoken/place-2") is None


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "recorded by others"])
async def test_another_number_is_reached_from_the_menu_and_that_talk_is_recorded_unless_the_key_says_no(
    tmp_path: Path, record: bool
) -> None:
    async with running_floor(tmp_path, centre(record=record), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        await led(floor, channel)
        call.press("3")
        line = await floor.trunk.rings()
        line.sound = tone(AGENT_HZ)
        line.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        assert loudness(await call.hears(1), AGENT_HZ) > 0.8
        line.hang_up()
        await call.until("bye")
        await chosen(floor, channel, "forward")
        await nobody_left(floor)
        answered = await floor.ami.event("CallcoreForwarded")
        assert answered["Recorded"] == ("yes" if record else "no")
        [file] = floor.pbx.settings.recordings_dir.glob("*.wav")
        if record:
            assert who(file)[AGENT_HZ] >= 0.8
        else:
            assert file.stat().st_size <= 44, "a header and nothing else"


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "recorded by others"])
async def test_another_number_that_is_busy_leads_back_and_the_talk_after_it_is_recorded(
    tmp_path: Path, record: bool
) -> None:
    async with running_floor(tmp_path, centre(record=record), phones=1) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        seen = await led(floor, channel)
        call.press("3")
        line = await floor.trunk.rings()
        line.hang_up()
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        await chosen(floor, channel, "forward", "unreached")
        await floor.ami.waiting(channel)
        await floor.offer(channel, "1.1", "oita-p1")
        leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        await call.hears(1)
        call.hang_up()
        await nobody_left(floor)
        [file] = floor.pbx.settings.recordings_dir.glob("*.wav")
        assert file.stat().st_size > 8000


@pytest.mark.parametrize("keys", ["", "2", "7"])
async def test_who_puts_down_in_the_menu_leaves_no_channel(tmp_path: Path, keys: str) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.waiting_caller()
        await led(floor, channel, MENU.id, "place-2")
        await hears(call, "oita/ja/full")
        call.press(keys)
        if keys:
            await told(floor, 1)
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        await nobody_left(floor)


@pytest.mark.parametrize("where", ["phrase", "menu"])
async def test_callcore_dies_and_the_caller_falls_into_the_net_from_there(tmp_path: Path, where: str) -> None:
    async with running_floor(tmp_path, centre(), phones=1) as floor:
        async with floor.ami.beating():
            make_prompts(tmp_path)
            call, channel = await floor.waiting_caller()
            if where == "menu":
                await led(floor, channel, MENU.id, "place-2")
            else:
                await floor.ami.redirect(channel, dialplan.COMFORT, dialplan.comfort_extension(1, "place-2"))
        await floor.ami.action(
            "QueueAdd", Queue="oita-general", Interface="PJSIP/oita-p1", StateInterface="PJSIP/oita-p1"
        )
        async with asyncio.timeout(40):
            leg = await floor.desks[0].rings()
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        assert loudness(await call.hears(1), AGENT_HZ) > 0.8
