"""Menus on a real Asterisk without callcore, by what the caller hears: each prompt is a sound of its own, found again
in what came in at the caller's end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.centre import Announcement, Configuration, Menu, MenuKey
from callcore.domain.hours import Window
from callcore.domain.stages import Choice
from tests.support import audio
from tests.support.centre import small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import Call, Keys, comes_true, decoded

ALWAYS = ((Window(0, 86_400),),) * 7
NEVER = ((),) * 7
LANGUAGES = ("ja", "en")
OUTSIDE = "0120950178"
KINDS = (
    "recording_notice",
    "greeting",
    "closed",
    "apology",
    "wrong_key",
    "no_key",
    "language_choice",
    "subject",
    "lost_card",
)
SOUNDS = {
    (kind, language): audio.speech_like(1 + n * len(LANGUAGES) + m, 0.7)
    for n, kind in enumerate(KINDS)
    for m, language in enumerate(LANGUAGES)
}
MENUS = (
    Menu(
        "oita-language",
        "language_choice",
        (
            MenuKey("1", Choice.LANGUAGE, "", "ja"),
            MenuKey("2", Choice.MENU, "oita-subject", "en"),
            MenuKey("#", Choice.END),
        ),
        timeout_s=2,
    ),
    Menu(
        "oita-subject",
        "subject",
        (
            MenuKey("3", Choice.QUEUE, "oita-general"),
            MenuKey("4", Choice.SAY, "lost_card"),
            MenuKey("5", Choice.FORWARD, OUTSIDE),
        ),
        timeout_s=1,
    ),
    Menu(
        "oita-night",
        "lost_card",
        (MenuKey("1", Choice.FORWARD, OUTSIDE), MenuKey("6", Choice.FORWARD, OUTSIDE, record=False)),
        timeout_s=1,
        tries=2,
    ),
)


def menu_centre(weekly: tuple[tuple[Window, ...], ...] = ALWAYS) -> Configuration:
    configuration = small_centre(weekly)
    oita, beppu = configuration.centres
    told = tuple(Announcement(kind, language, kind, f"oita/{language}/{kind}") for kind, language in SOUNDS)
    oita = replace(
        oita,
        languages=LANGUAGES,
        announcements=told,
        menus=MENUS,
        closed_menu="oita-night",
        numbers=(replace(oita.numbers[0], menu="oita-language"),),
    )
    return replace(configuration, centres=(oita, beppu))


def make_prompts(folder: Path) -> None:
    """Over the tones of `make_sounds`, which has run already."""
    for (kind, language), samples in SOUNDS.items():
        path = folder / "prompts" / "oita" / language / f"{kind}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, samples)


def heard(call: Call, kind: str, language: str) -> float | None:
    """Where in all that came in this prompt is, in seconds; None: nowhere."""
    try:
        match = audio.find(SOUNDS[kind, language], decoded(bytes(call.heard)))
    except ValueError:  # not so long yet
        return None
    return match.at if match.score > 0.8 else None


async def hears(call: Call, kind: str, language: str) -> None:
    await comes_true(lambda: heard(call, kind, language) is not None, f"{kind} in {language}", 20)


async def chosen(floor: Floor, channel: str, *choices: str) -> None:
    """What Asterisk told of this channel's way through the menus."""
    await told(floor, len(choices))  # a caller may hear of the end before it is told here
    found = [
        event["Chose"].split("~")[0] for event in floor.ami.events if event.get("UserEvent") == "CallcoreMenu"
    ]
    assert found == list(choices), found


async def told(floor: Floor, count: int) -> None:
    await comes_true(
        lambda: sum(e.get("UserEvent") == "CallcoreMenu" for e in floor.ami.events) >= count,
        f"{count} keys are told",
    )


async def nobody_left(floor: Floor) -> None:
    async def channels() -> int:
        return len([row for row in await floor.ami.action("Status") if row.get("Event") == "Status"])

    async with asyncio.timeout(10):
        while await channels():
            await asyncio.sleep(0.05)


async def test_the_language_that_was_chosen_is_that_of_the_menu_and_of_the_greeting(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await hears(call, "language_choice", "ja")
        call.press("2")
        await hears(call, "subject", "en")
        call.press("3")
        await floor.ami.event("CallcoreHeld", Channel=channel)
        assert heard(call, "greeting", "en") is not None
        assert heard(call, "greeting", "ja") is None
        assert heard(call, "subject", "ja") is None
        assert await floor.variable(channel, "CALLCORE_LANGUAGE") == "en"
        await chosen(floor, channel, "menu", "queue")
        call.hang_up()
        await nobody_left(floor)


async def test_keys_that_come_early_count_through_several_menus(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.press("23")
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await chosen(floor, channel, "menu", "queue")
        assert heard(call, "greeting", "en") is not None
        assert heard(call, "subject", "en") is None


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("rfc4733", Keys.EVENT),
        ("info", Keys.INFO),
        ("inband", Keys.TONE),
        ("auto", Keys.EVENT),
        ("auto", Keys.TONE),
    ],
)
async def test_keys_are_understood_as_the_carrier_sends_them(tmp_path: Path, mode: str, keys: Keys) -> None:
    async with (
        running_floor(tmp_path, menu_centre(), phones=0, trunk_dtmf=mode) as floor,
        floor.ami.beating(),
    ):
        make_prompts(tmp_path)
        floor.trunk.keys = keys
        call, channel = await floor.caller()
        await hears(call, "language_choice", "ja")
        call.press("2")
        await hears(call, "subject", "en")
        call.press("9*")
        await told(floor, 3)
        call.press("3")
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await chosen(floor, channel, "menu", "wrong_key", "wrong_key", "queue")
        named = [e["Key"] for e in floor.ami.events if e.get("UserEvent") == "CallcoreMenu"]
        assert named == ["2", "9", "star", "3"], "each once"
        call.hang_up()
        await nobody_left(floor)


async def test_three_wrong_keys_lead_to_an_agent_in_the_first_language(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        for n in range(3):
            call.press("7*9"[n])
            await told(floor, n + 1)
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await chosen(floor, channel, "wrong_key", "wrong_key", "wrong_key")
        keys = [e["Key"] for e in floor.ami.events if e.get("UserEvent") == "CallcoreMenu"]
        assert keys == ["7", "star", "9"]
        assert heard(call, "greeting", "ja") is not None


async def test_who_keys_nothing_is_told_so_and_goes_to_an_agent(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await floor.ami.event("CallcoreHeld", Channel=channel)
        await chosen(floor, channel, "no_key", "no_key", "no_key")
        assert heard(call, "no_key", "ja") is not None
        assert heard(call, "greeting", "ja") is not None
        assert not audio.gaps(decoded(bytes(call.heard)), 2.6)  # never silence


async def test_information_is_given_and_the_menu_asks_again_but_not_for_ever(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.press("24")
        await hears(call, "lost_card", "en")
        call.press("4" * 40)
        await floor.ami.event("CallcoreHeld", Channel=channel)
        said = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreMenu"]
        assert len(said) == 30
        assert not call.over


async def test_a_hash_ends_the_call_where_the_menu_says_so(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.press("#")
        await call.until("bye")
        await chosen(floor, channel, "end")
        await nobody_left(floor)


async def test_out_of_hours_a_lost_card_is_put_through_and_others_hear_the_hours_and_the_end(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, menu_centre(NEVER), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        lost, channel = await floor.caller()
        await hears(lost, "closed", "ja")
        lost.press("1")
        line = await floor.trunk.rings()
        assert line.target.startswith("sip:0120950178@") or "0120950178" in (
            line.invite.text if line.invite else ""
        )
        line.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        call = await floor.variable(channel, "CALLCORE_CALL")
        assert call != ""
        lost.hang_up()
        await line.until("bye")
        other, _ = await floor.caller()
        await hears(other, "lost_card", "ja")
        await other.until("bye")
        places = (heard(other, "closed", "ja"), heard(other, "lost_card", "ja"))
        assert None not in places
        await nobody_left(floor)
        recordings = floor.pbx.settings.recordings_dir
        assert [each.stem for each in recordings.glob("*.wav")] == [call], "the talk of the one, and no other"


async def test_a_line_that_does_not_answer_leads_to_the_announcement(tmp_path: Path) -> None:
    async with running_floor(tmp_path, menu_centre(NEVER), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        await hears(call, "closed", "ja")
        call.press("1")
        line = await floor.trunk.rings()
        line.hang_up()  # busy
        await call.until("bye")
        await chosen(floor, channel, "forward", "unreached")
        await nobody_left(floor)


@pytest.mark.parametrize("keys", ["", "2", "24", "7"])
async def test_who_puts_down_in_a_menu_leaves_no_channel(tmp_path: Path, keys: str) -> None:
    async with running_floor(tmp_path, menu_centre(), phones=0) as floor, floor.ami.beating():
        make_prompts(tmp_path)
        call, channel = await floor.caller()
        call.press(keys)
        if keys:
            await floor.ami.event("CallcoreMenu", Channel=channel)
        else:
            await call.hears(0.3)
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        await nobody_left(floor)


@pytest.mark.parametrize("context", ["callcore-menu", "callcore-welcome", "callcore-refused"])
@pytest.mark.parametrize("exten", ["nowhere", "s", "7", "oita-language", "X~y"])
async def test_a_waiting_caller_moved_to_a_wrong_place_comes_back_to_the_line(
    tmp_path: Path, context: str, exten: str
) -> None:
    async with running_floor(tmp_path, small_centre(), phones=0) as floor, floor.ami.beating():
        call, channel = await floor.waiting_caller()
        seen = len(floor.ami.events)
        await floor.ami.action("Redirect", Channel=channel, Context=context, Exten=exten, Priority="1")
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        assert call.state == "up"
