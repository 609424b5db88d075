"""Unwelcome callers on a real Asterisk, decided from what was pushed ahead, without callcore: what they hear, that 9
leads to a person, and that nobody else is touched."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.blocked import hashed, plain
from callcore.domain.centre import Announcement, Configuration, Unwelcome
from callcore.domain.hours import Window
from callcore.domain.ids import CentreId
from callcore.pbx.render import write
from tests.integration.test_dialplan_call import shown
from tests.integration.test_dialplan_language import known, later
from tests.integration.test_dialplan_menus import (
    ALWAYS,
    KINDS,
    NEVER,
    heard,
    hears,
    make_prompts,
    menu_centre,
    nobody_left,
)
from tests.support import audio
from tests.support.floor import Floor, running_floor
from tests.support.sip import Call, comes_true, decoded

REFUSALS = {
    kind: audio.speech_like(91 + n, 1.2)
    for n, kind in enumerate(("blocked", "withheld", "outsider", "en/blocked"))
}
"""In Japanese, and the one in English."""
SALT = "0" * 16
CALLER = "09012345678"


def centre_file(
    weekly: tuple[tuple[Window, ...], ...] = ALWAYS,
    *,
    blocked: Unwelcome = Unwelcome.ANNOUNCE,
    withheld: Unwelcome = Unwelcome.ANNOUNCE,
    only_from: tuple[str, ...] = (),
    menus: bool = False,
    english: bool = False,
) -> Configuration:
    configuration = menu_centre(weekly)
    oita, beppu = configuration.centres
    told = tuple(Announcement(kind, "ja", kind, f"oita/ja/{kind}") for kind in REFUSALS if "/" not in kind)
    if english:
        told += (Announcement("blocked", "en", "blocked", "oita/en/blocked"),)
    oita = replace(
        oita, announcements=(*oita.announcements, *told), blocked=blocked, withheld=withheld, closed_menu=None
    )
    oita = replace(oita, only_from=only_from)
    if not menus:
        oita = replace(oita, menus=(), numbers=(replace(oita.numbers[0], menu=None),))
    return replace(configuration, centres=(oita, beppu))


def make_sounds(folder: Path) -> None:
    make_prompts(folder)
    for kind, samples in REFUSALS.items():
        name = kind if "/" in kind else f"ja/{kind}"
        audio.write(folder / "prompts" / "oita" / f"{name}.wav", samples)


async def list_caller(
    floor: Floor, until: float, number: str = CALLER, *, centre: str = "oita", value: str | None = None
) -> None:
    """As callcore pushes an entry. `value`: anything else in its place."""
    kept = plain(number)
    assert kept is not None
    key = f"{centre}/{hashed(SALT, CentreId(centre), kept)}"
    value = str(int(until)) if value is None else value
    answer = await floor.ami.action("DBPut", Family="callcore-blocked", Key=key, Val=value)
    assert answer[0]["Response"] == "Success", answer


def withholds(floor: Floor, name: str = "Anonymous") -> None:
    """From now on the carrier sends calls without a number, and says why in the name."""
    floor.trunk.user, floor.trunk.display, floor.trunk.more = "anonymous", name, "Privacy: id\r\n"


async def decision(floor: Floor, channel: str) -> tuple[str, str]:
    told = await floor.ami.event("CallcoreAdmitted", Channel=channel)
    return told["Decision"], told["Source"]


def refusals(call: Call, kind: str = "blocked") -> int:
    """How often the whole announcement is in what came in. (In silence Asterisk sends nothing.)"""

    def count(part: audio.Samples) -> int:
        if len(part) < len(REFUSALS[kind]):
            return 0
        match = audio.find(REFUSALS[kind], part)
        if match.score < 0.8:
            return 0
        before, behind = round((match.at + 0.1) * audio.RATE), round((match.at + 1.1) * audio.RATE)
        return count(part[:before]) + 1 + count(part[behind:])

    return count(decoded(bytes(call.heard)))


async def test_a_listed_caller_hears_twice_that_he_is_refused_and_then_the_end(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(menus=True), phones=1) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        assert await decision(floor, channel) == ("blocked", "listed")
        await call.until("up")
        began = time.monotonic()
        await call.until("bye")
        assert refusals(call) == 2
        assert 8 < time.monotonic() - began < 11, "twice 1.2 s of words and 3 s for the key"
        assert heard(call, "language_choice", "ja") is None, "before any menu"
        assert heard(call, "greeting", "ja") is None
        await nobody_left(floor)
        assert not floor.desks[0].calls
        assert not list(floor.pbx.settings.recordings_dir.glob("*.wav"))
        cel = str(floor.pbx.cel())
        assert "callcore-blocked" in cel
        assert "callcore-insisted" not in cel


async def test_a_listed_caller_who_presses_9_goes_through_the_menus_like_others_and_the_phone_warns(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, centre_file(menus=True), phones=1) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        await call.until("up")
        await call.hears(0.5)
        call.press("9")
        await floor.ami.event("CallcoreInsisted", Channel=channel)
        await hears(call, "language_choice", "ja")
        call.press("23")
        await floor.ami.event("CallcoreHeld", Channel=channel)
        assert heard(call, "recording_notice", "en") is not None
        await floor.ami.waiting(channel)
        await floor.offer(channel, "4.1", "oita-p1")
        leg = await floor.desks[0].rings()
        assert shown(leg).startswith("要注意 "), shown(leg)
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        call.hang_up()
        await nobody_left(floor)
        assert "要注意" not in "".join(message.text for message in floor.trunk.messages)


async def test_without_callcore_a_listed_caller_is_refused_and_9_leads_to_the_safety_net(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, centre_file(), phones=1) as floor:  # nobody beats
        make_sounds(tmp_path)
        await floor.ami.action("QueueAdd", Queue="oita-general", Interface="PJSIP/oita-p1")
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        assert await decision(floor, channel) == ("blocked", "listed")
        await call.until("up")
        call.press("79")  # a wrong key begins it anew, and the next one counts at once
        await floor.ami.event("CallcoreNet", Channel=channel)
        leg = await floor.desks[0].rings()
        assert shown(leg).startswith("要注意 "), shown(leg)
        leg.answer()
        await floor.ami.event("BridgeEnter", Channel=channel)
        call.hang_up()
        await nobody_left(floor)


async def test_an_entry_that_has_ended_counts_no_more_though_nobody_took_it_away(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        second = int(time.time()) + 4
        await list_caller(floor, second)
        seen = set()
        while time.time() < second + 2.5:
            call, channel = await floor.caller()
            told = await floor.ami.event("CallcoreAdmitted", Channel=channel)
            arrived = int(float(told["Call"].rsplit("-", 1)[-1]))
            assert told["Decision"] == ("blocked" if arrived < second else "open"), (arrived, second)
            seen.add(told["Decision"])
            await call.until("up")
            call.hang_up()
            await floor.ami.event("Hangup", Channel=channel)
        assert seen == {"blocked", "open"}


@pytest.mark.parametrize(
    ("number", "centre", "value"),
    [
        ("09012345679", "oita", None),
        ("9012345678", "oita", None),
        (CALLER, "beppu", None),
        (CALLER, "oita", ""),
        (CALLER, "oita", "soon"),
        (CALLER, "oita", "0"),
    ],
)
async def test_who_is_on_no_list_of_this_centre_is_served_as_ever(
    tmp_path: Path, number: str, centre: str, value: str | None
) -> None:
    async with running_floor(tmp_path, centre_file(), phones=1) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600, number, centre=centre, value=value)
        call, channel = await floor.waiting_caller()
        assert (await decision(floor, channel))[0] == "open"
        assert heard(call, "greeting", "ja") is not None
        assert refusals(call) == 0
        await floor.offer(channel, "4.1", "oita-p1")
        assert "要注意" not in shown(await floor.desks[0].rings())
        call.hang_up()
        await nobody_left(floor)


async def test_the_country_code_is_the_0_that_it_stands_for(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        floor.trunk.user = "+819012345678"
        _, channel = await floor.caller()
        assert await decision(floor, channel) == ("blocked", "listed")


async def test_where_the_centre_serves_everybody_only_the_phone_tells_that_a_caller_is_listed(
    tmp_path: Path,
) -> None:
    configuration = centre_file(blocked=Unwelcome.SERVE)
    async with running_floor(tmp_path, configuration, phones=1) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.waiting_caller()
        assert (await decision(floor, channel))[0] == "open"
        assert refusals(call) == 0
        await floor.offer(channel, "4.1", "oita-p1")
        assert shown(await floor.desks[0].rings()).startswith("要注意 ")
        call.hang_up()
        await nobody_left(floor)


async def test_who_withholds_the_number_hears_how_to_show_it_and_9_leads_to_a_person(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(), phones=1) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        withholds(floor)
        silent, channel = await floor.caller()
        assert await decision(floor, channel) == ("blocked", "withheld")
        await silent.until("bye")
        assert refusals(silent, "withheld") == 2
        call, channel = await floor.caller()
        await call.until("up")
        call.press("9")
        await floor.ami.event("CallcoreHeld", Channel=channel)
        assert heard(call, "greeting", "ja") is not None
        await floor.ami.waiting(channel)
        await floor.offer(channel, "4.1", "oita-p1")
        leg = await floor.desks[0].rings()
        assert " 非通知 " in shown(leg)
        assert "要注意" not in shown(leg)
        call.hang_up()
        await nobody_left(floor)


@pytest.mark.parametrize("why", ["Coin line/payphone", "Unavailable", "Interaction with other service"])
async def test_who_cannot_show_a_number_is_served(tmp_path: Path, why: str) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        withholds(floor, why)
        _, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "open"


async def test_a_withheld_number_is_served_where_the_file_says_nothing(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(withheld=Unwelcome.SERVE), phones=0) as floor:
        make_sounds(tmp_path)
        withholds(floor)
        _, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "open"


async def test_without_words_for_it_nobody_is_refused(tmp_path: Path) -> None:
    configuration = centre_file()
    oita, beppu = configuration.centres
    kept = tuple(each for each in oita.announcements if each.kind in KINDS)
    configuration = replace(configuration, centres=(replace(oita, announcements=kept), beppu))
    async with running_floor(tmp_path, configuration, phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        _, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "open"


async def test_a_line_for_few_takes_their_calls_and_tells_others_twice_without_a_key_to_a_person(
    tmp_path: Path,
) -> None:
    configuration = centre_file(only_from=("09087654321", CALLER))
    async with running_floor(tmp_path, configuration, phones=0) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        for number in (CALLER, "+819087654321"):
            floor.trunk.user = number
            call, channel = await floor.waiting_caller()
            assert (await decision(floor, channel))[0] == "open", number
            call.hang_up()
        floor.trunk.user = CALLER[1:]  # a part of one that may call
        call, channel = await floor.caller()
        assert await decision(floor, channel) == ("blocked", "outsider")
        withholds(floor, "Coin line/payphone")
        _, other = await floor.caller()
        assert await decision(floor, other) == ("blocked", "outsider")
        await call.until("up")
        call.press("9")
        await call.until("bye")
        assert refusals(call, "outsider") == 2
        assert "callcore-insisted" not in str(floor.pbx.cel())
        write(centre_file(withheld=Unwelcome.SERVE), floor.pbx.settings)
        await floor.pbx.process.command("dialplan reload")
        _, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "open", "the file no longer says for whom the line is"


async def test_out_of_hours_and_in_an_emergency_a_listed_caller_hears_what_everybody_hears(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, centre_file(NEVER), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "closed"
        await call.until("bye")
        assert heard(call, "closed", "ja") is not None
        assert refusals(call) == 0
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        now = int(time.time())
        await floor.ami.action(
            "DBPut", Family="callcore-emergency", Key="oita", Val=f"{now - 60}-{now + 600}"
        )
        _, channel = await floor.caller()
        assert (await decision(floor, channel))[0] == "emergency"


async def test_each_wrong_key_is_told_to_be_one_and_9_counts_to_the_end(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        await call.until("up")
        call.press("#5*5")
        await comes_true(lambda: refusals(call) == 1, "after four wrong keys it is said whole")
        assert heard(call, "wrong_key", "ja") is not None
        await comes_true(lambda: refusals(call) == 2, "and a second time")
        call.press("9")  # in the last seconds, in which nothing is said
        await floor.ami.event("CallcoreHeld", Channel=channel)
        call.hang_up()
        await nobody_left(floor)


async def test_the_thirtieth_wrong_key_is_the_last_and_ends_with_an_apology(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, _ = await floor.caller()
        await call.until("up")
        call.press("5" * 30)
        await call.until("bye")
        assert heard(call, "apology", "ja") is not None
        assert refusals(call) == 0
        await nobody_left(floor)


async def test_a_listed_caller_hears_each_language_of_the_centre_or_the_one_that_is_remembered(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, centre_file(english=True), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        unknown, channel = await floor.caller()
        await decision(floor, channel)
        await comes_true(lambda: refusals(unknown, "en/blocked") == 1, "in English")
        assert refusals(unknown) == 1, "and in Japanese before"
        unknown.press("5")
        await hears(unknown, "wrong_key", "en")
        unknown.hang_up()
        await known(floor, f"en~{later()}")
        speaks, _ = await floor.caller()
        await speaks.until("bye")
        assert (refusals(speaks, "en/blocked"), refusals(speaks)) == (2, 0)
        await nobody_left(floor)


@pytest.mark.parametrize("keys", ["", "5", "55"])
async def test_who_puts_down_in_the_announcement_leaves_no_channel(tmp_path: Path, keys: str) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor:
        make_sounds(tmp_path)
        await list_caller(floor, time.time() + 600)
        call, channel = await floor.caller()
        await call.until("up")
        call.press(keys)
        await call.hears(0.4)
        call.hang_up()
        await floor.ami.event("Hangup", Channel=channel)
        await nobody_left(floor)


@pytest.mark.parametrize("exten", ["nowhere", "s", "7", "X~y"])
async def test_a_waiting_caller_moved_there_by_mistake_comes_back_to_the_line(
    tmp_path: Path, exten: str
) -> None:
    async with running_floor(tmp_path, centre_file(), phones=0) as floor, floor.ami.beating():
        make_sounds(tmp_path)
        call, channel = await floor.waiting_caller()
        await list_caller(floor, time.time() + 600)
        seen = len(floor.ami.events)
        await floor.ami.action(
            "Redirect", Channel=channel, Context="callcore-caller", Exten=exten, Priority="1"
        )
        await floor.ami.event("CallcoreHeld", after=seen, Channel=channel)
        assert call.state == "up"
