"""Messages on a real Asterisk without callcore: what the caller hears, what is kept, and what is told of it."""

from __future__ import annotations

import asyncio
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Announcement, Configuration, Menu, MenuKey, Messages
from callcore.domain.hours import Window
from callcore.domain.stages import Choice
from tests.integration.test_dialplan_menus import ALWAYS, NEVER, nobody_left
from tests.support import audio
from tests.support.centre import small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import Call, comes_true, decoded, encoded

KINDS = (
    "recording_notice",
    "greeting",
    "closed",
    "apology",
    "subject",
    "message_invite",
    "message_full",
    "message_empty",
    "message_taken",
    "message_cut",
    "message_failed",
)
SOUNDS = {kind: audio.speech_like(101 + n, 0.7) for n, kind in enumerate(KINDS)}
WORDS = audio.speech_like(77, 2.0)
QUIET = b"\xff" * audio.RATE


def message_centre(weekly: tuple[tuple[Window, ...], ...], limits: Messages) -> Configuration:
    configuration = small_centre(weekly)
    oita, beppu = configuration.centres
    menu = Menu("oita-leave", "subject", (MenuKey("2", Choice.MESSAGE),), timeout_s=3, tries=1)
    oita = replace(
        oita,
        announcements=tuple(Announcement(kind, "ja", kind, f"oita/ja/{kind}") for kind in KINDS),
        menus=(menu,),
        closed_menu=menu.id,
        numbers=(replace(oita.numbers[0], menu=menu.id),),
        messages=limits,
    )
    return replace(configuration, centres=(oita, beppu))


def make_prompts(folder: Path) -> None:
    for kind, samples in SOUNDS.items():
        path = folder / "prompts" / "oita" / "ja" / f"{kind}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, samples)


def heard(call: Call, kind: str) -> bool:
    try:
        return audio.find(SOUNDS[kind], decoded(bytes(call.heard))).score > 0.8
    except ValueError:  # not so long yet
        return False


async def hears(call: Call, kind: str) -> None:
    await comes_true(lambda: heard(call, kind), kind, 20)


async def says(call: Call, words: audio.Samples, seconds: float = 3.2) -> None:
    """The words over and over, for so long; then silence again."""
    call.sound = encoded(words)
    await asyncio.sleep(seconds)
    call.sound = QUIET


def said(floor: Floor) -> list[str]:
    return [event["Said"] for event in floor.ami.events if event.get("UserEvent") == "CallcoreMessage"]


async def told(floor: Floor, *words: str) -> None:
    await comes_true(lambda: said(floor) == list(words), f"{words} are told, not {said(floor)}", 20)


def kept(floor: Floor) -> audio.Samples:
    (path,) = floor.pbx.settings.recordings_dir.glob("*.message.wav")
    return audio.read(path)


async def to_the_tone(call: Call, floor: Floor, kind: str = "subject") -> None:
    await hears(call, kind)
    call.press("2")
    call.sound = QUIET
    await hears(call, "message_invite")
    await told(floor, "began")


@pytest.mark.parametrize(("weekly", "first"), [(ALWAYS, "subject"), (NEVER, "closed")])
async def test_what_is_said_after_the_tone_is_kept_and_silence_ends_it_with_thanks(
    tmp_path: Path, weekly: tuple[tuple[Window, ...], ...], first: str
) -> None:
    async with running_floor(tmp_path, message_centre(weekly, Messages(20, 2)), phones=0) as floor:
        make_prompts(tmp_path)
        call, _ = await floor.caller()
        await to_the_tone(call, floor, first)
        await says(call, WORDS)
        await told(floor, "began", "kept")
        await hears(call, "message_taken")
        await call.until("bye")
        found = kept(floor)
        assert audio.find(WORDS[:8000], found).score > 0.9
        assert len(found) < 5 * audio.RATE, "of the silence that ended it one second is left"
        assert not heard(call, "message_full")
        tone = decoded(bytes(call.heard))
        assert audio.tone_over_time(tone, 1000).max() > 0.9
        await nobody_left(floor)


async def test_one_that_is_too_long_is_ended_kindly(tmp_path: Path) -> None:
    async with running_floor(tmp_path, message_centre(ALWAYS, Messages(3, 2)), phones=0) as floor:
        make_prompts(tmp_path)
        call, _ = await floor.caller()
        await to_the_tone(call, floor)
        await says(call, audio.speech_like(78, 2.0), 6.0)
        await told(floor, "began", "kept")
        await hears(call, "message_full")
        await hears(call, "message_taken")
        await call.until("bye")
        assert not heard(call, "message_cut")
        assert 2.5 < len(kept(floor)) / audio.RATE <= 3.2


async def test_a_hash_ends_it(tmp_path: Path) -> None:
    async with running_floor(tmp_path, message_centre(ALWAYS, Messages(60, 20)), phones=0) as floor:
        make_prompts(tmp_path)
        call, _ = await floor.caller()
        await to_the_tone(call, floor)
        await says(call, WORDS)
        call.press("#")
        await told(floor, "began", "kept")
        await call.until("bye")
        assert audio.find(WORDS[:8000], kept(floor)).score > 0.9


@pytest.mark.parametrize("number", ["05012345678", "+815012345678"])
async def test_a_relay_services_message_is_ended_neither_by_silence_nor_at_the_usual_length(
    tmp_path: Path, number: str
) -> None:
    """They call from 050 numbers, and the operator is silent while signing."""
    async with running_floor(tmp_path, message_centre(NEVER, Messages(10, 2)), phones=0) as floor:
        make_prompts(tmp_path)
        floor.trunk.user = number
        call, channel = await floor.caller()
        await to_the_tone(call, floor, "closed")
        await says(call, WORDS)
        await asyncio.sleep(12)
        await says(call, WORDS)
        assert said(floor) == ["began"], "nothing ended it"
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        found = kept(floor)
        assert len(found) > 17 * audio.RATE
        assert audio.find(WORDS[:8000], found[-4 * audio.RATE :]).score > 0.9


async def test_who_puts_down_in_the_middle_has_left_what_was_said(tmp_path: Path) -> None:
    async with running_floor(tmp_path, message_centre(NEVER, Messages(60, 20)), phones=0) as floor:
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await to_the_tone(call, floor, "closed")
        await says(call, WORDS)
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        await nobody_left(floor)
        assert audio.find(WORDS[:8000], kept(floor)).score > 0.9
        assert said(floor) == ["began"]


@pytest.mark.parametrize("number", ["0975000000", "05012345678"])
@pytest.mark.parametrize(("left", "end"), [(65_536, "cut"), (20_480, "empty"), (0, "empty")])
async def test_of_a_message_that_fills_the_disk_what_lies_there_is_kept_and_the_caller_is_told(
    tmp_path: Path, left: int, end: str, number: str
) -> None:
    """Asterisk may write no file beyond `left` bytes, which it is told as it is of a full disk. From 050 a relay
    service may call, whose messages no silence ends."""
    async with running_floor(tmp_path, message_centre(NEVER, Messages(60, 20)), phones=0) as floor:
        make_prompts(tmp_path)
        floor.trunk.user = number
        call, _ = await floor.caller()
        await to_the_tone(call, floor, "closed")
        pid = floor.pbx.process.pid
        assert pid is not None
        _, most = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (left, most))
        await says(call, WORDS, 6.5)
        await told(floor, "began", end)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, most))
        assert "Problem writing frame" in floor.pbx.log() or not left, "no room for the log either"
        await hears(call, "message_cut" if end == "cut" else "message_failed")
        await call.until("bye")
        assert heard(call, "message_taken") == (end == "cut")
        assert not heard(call, "message_empty"), "that would be the caller's fault"
        if left:
            found = kept(floor)
            assert left // 4 < len(found) <= left // 2
            assert audio.find(WORDS[:8000], found).score > 0.9
        await nobody_left(floor)


@pytest.mark.parametrize(("weekly", "end"), [(ALWAYS, "greeting"), (NEVER, "closed")])
async def test_who_says_nothing_is_told_so_and_goes_on_as_without_a_key(
    tmp_path: Path, weekly: tuple[tuple[Window, ...], ...], end: str
) -> None:
    async with (
        running_floor(tmp_path, message_centre(weekly, Messages(20, 2)), phones=0) as floor,
        floor.ami.beating(),
    ):
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await to_the_tone(call, floor, "subject")
        await told(floor, "began", "empty")
        await hears(call, "message_empty")
        await hears(call, end)
        if end == "closed":
            await call.until("bye")
        else:
            await floor.ami.event("CallcoreHeld", Channel=channel)
            call.hang_up()
        await nobody_left(floor)
        assert not heard(call, "message_taken")


@pytest.mark.parametrize("context", ["callcore-message", "callcore-ask-back", "callcore-callback"])
@pytest.mark.parametrize("exten", ["nowhere", "s", "7", "X~y", "0312345678"])
async def test_a_waiting_caller_moved_there_by_mistake_comes_back_to_the_line(
    tmp_path: Path, context: str, exten: str
) -> None:
    limits = message_centre(ALWAYS, Messages(20, 2))
    async with running_floor(tmp_path, limits, phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await asyncio.sleep(0.2)
        await floor.ami.action("Redirect", Channel=channel, Context=context, Exten=exten, Priority="1")
        await comes_true(
            lambda: sum(e.get("UserEvent") == "CallcoreHeld" for e in floor.ami.events) >= 2,
            "back in the line",
            10,
        )
        assert said(floor) == []
        assert not call.over
        call.hang_up()
        await nobody_left(floor)
