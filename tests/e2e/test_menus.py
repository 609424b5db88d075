"""Callers in a menu, with the engine at work, and with the engine killed while they choose."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.stages import Choice
from tests.e2e.test_out_of_hours import TOKYO, around
from tests.support.consults import recorded
from tests.support.menus import NATIONAL, Waits, brief_prompts, languages, menu, says
from tests.support.prompts import put_prompt
from tests.support.sip import RATE, comes_true, loudness, sip_agent, tone
from tests.support.station import hears_for, station, until

DAY = menu("subject", "please_wait", {"1": 'queue = "general"', "2": 'say = "emergency"'}, timeout_s=8)
NIGHT = menu(
    "night",
    "please_wait",
    {"1": f'forward = "{NATIONAL}"', "2": 'say = "overflow"', "6": "message = true"},
    timeout_s=5,
    tries=3,
)
CENTRE = DemoCentre(agents=1, acw_s=1, menu="subject", more=DAY)
INFORMATION_HZ = 700


async def test_each_way_out_of_a_menu_is_one_outcome_and_no_channel_is_left() -> None:
    async with station(CENTRE) as s:
        caller = await s.caller(1)
        silent = await s.dial_in(caller)
        await hears_for(silent, 6)
        await silent.hang_up()
        await s.ended(1)
        served = await s.dial_in(caller)
        await hears_for(served, 1)
        await served.dtmf("2")
        await s.fact(f.MenuAnswered, lambda x: x.choice is Choice.SAY)
        await served.hang_up()
        await s.ended(2)
        waits = await s.dial_in(caller)
        await hears_for(waits, 1)
        await waits.dtmf("1")
        await s.fact(f.VisitBegan)
        await waits.hang_up()
        await s.ended(3)
        assert s.outcomes() == ["abandoned", "ivr_only", "abandoned"]
        assert [(x.choice, x.key) for x in s.told(f.MenuAnswered)] == [(Choice.SAY, "2"), (Choice.QUEUE, "1")]
        assert not s.floor().calls
        s.books_agree()


async def test_the_engine_is_killed_while_a_caller_chooses_and_an_agent_still_answers() -> None:
    async with station(CENTRE) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller(1)
        call = await s.dial_in(caller)
        await hears_for(call, 1)
        s.kill("engine")
        await call.dtmf("1")
        ringing = await desk.incoming(40)
        await ringing.answer()
        await s.start_engine()
        await until(lambda: len(s.told(f.CallAnswered)) == 1)
        await call.hang_up()
        await s.ended(1)
        assert s.outcomes() == ["completed"]
        (told,) = s.told(f.MenuAnswered)
        assert (told.key, told.choice, told.reconstructed) == ("1", Choice.QUEUE, True)
        s.books_agree()


async def test_the_engine_is_killed_in_the_choice_of_languages_and_while_a_menu_forwards_in_hours() -> None:
    """Both by keys that nobody but Asterisk heard: one is answered in English, the other talks outside."""
    keys = {"1": 'queue = "general"', "3": f'forward = "{NATIONAL}"'}
    more = (
        languages("language", "subject", timeout_s=8)
        + menu("subject", "please_wait", keys, timeout_s=8)
        + says("language_choice", "ja", "en")
    )
    async with station(
        Waits(agents=1, acw_s=1, menu="language", two=True, more=more), prompts=brief_prompts
    ) as s:
        (desk,) = await s.staff(1)
        carrier = await s.carrier()
        pbx = (f"{s.net}.1", s.settings.sip_port)
        chooser, forwarded = [
            await (await s.stack.enter_async_context(sip_agent(f"{s.net}.{140 + n}", f"03{n:08}", pbx))).call(
                NUMBER, tone(400)
            )
            for n in (1, 2)
        ]
        for call in (chooser, forwarded):
            await call.until("up")
            await call.hears(1)
        forwarded.press("1")
        await s.fact(f.MenuAnswered, lambda x: x.language is not None)
        forwarded.press("3")
        line = await carrier.rings()
        s.kill("engine")
        chooser.press("2")
        line.sound = tone(600)
        line.answer()
        await comes_true(lambda: loudness(bytes(forwarded.heard[-RATE // 2 :]), 600) > 0.9, "the other side")
        chooser.press("1")
        ringing = await desk.incoming(40)
        await ringing.answer()
        await s.start_engine()
        answered = await s.fact(f.CallAnswered)
        line.hang_up()
        await forwarded.until("bye")
        chooser.hang_up()
        await s.ended(2)
        assert s.outcomes() == ["ivr_only", "completed"]
        [chosen] = [x for x in s.told(f.MenuAnswered) if x.call == answered.call and x.language]
        assert (chosen.language, chosen.reconstructed) == ("en", True)
        [out] = [x for x in s.told(f.MenuAnswered) if x.choice is Choice.FORWARD]
        assert out.call != answered.call
        assert "0 active channels" in await s.asterisk.command("core show channels count")


def with_information(home: Path) -> Path:
    """Brief prompts, of which the information is another sound."""
    folder = brief_prompts(home)
    put_prompt(
        folder, "ja/overflow", (folder / "ja" / "overflow.txt").read_text().strip(), tone(INFORMATION_HZ)
    )
    return folder


async def test_the_engine_is_killed_while_callers_choose_out_of_hours_and_each_choice_does_what_it_says() -> (
    None
):
    centre = DemoCentre(
        agents=1, closed_menu="night", days=around(datetime.now(TOKYO).date(), {}), more=NIGHT
    )
    async with station(centre, prompts=with_information) as s:
        await until(lambda: "opening hours pushed" in s.log("engine"), what="the hours are in Asterisk")
        carrier = await s.carrier()
        pbx = (f"{s.net}.1", s.settings.sip_port)
        people = [
            await s.stack.enter_async_context(sip_agent(f"{s.net}.{140 + n}", f"03{n:08}", pbx))
            for n in (1, 2, 3)
        ]
        forwarded, informed, speaks = [await each.call(NUMBER, tone(400)) for each in people]
        for call in (forwarded, informed, speaks):
            await call.until("up")
            await call.hears(0.5)
        s.kill("engine")
        for call, key in ((forwarded, "1"), (informed, "2"), (speaks, "6")):
            call.press(key)
        await comes_true(
            lambda: loudness(bytes(informed.heard[-RATE // 2 :]), INFORMATION_HZ) > 0.9, "it is said"
        )
        line = await carrier.rings()
        line.sound = tone(600)
        line.answer()
        await comes_true(lambda: loudness(bytes(forwarded.heard[-RATE // 2 :]), 600) > 0.9, "the other side")
        await comes_true(
            lambda: any(x.stat().st_size > 4 * RATE for x in s.settings.recordings.glob("*.message.wav")),
            "two seconds are recorded",
        )
        speaks.press("#")
        await speaks.until("bye")
        line.hang_up()
        await forwarded.until("bye")
        informed.hang_up()
        await s.start_engine()
        await s.ended(3)
        assert s.outcomes() == ["closed"] * 3
        by_call = {x.call: x.caller.text for x in s.told(f.CallArrived)}
        chosen = {(by_call[x.call], x.choice, x.reconstructed) for x in s.told(f.MenuAnswered) if x.key}
        choices = (Choice.FORWARD, Choice.SAY, Choice.MESSAGE)
        assert chosen == {(each.user, what, True) for each, what in zip(people, choices, strict=True)}
        [reached] = s.told(f.CallForwarded)
        assert by_call[reached.call] == people[0].user
        assert (reached.recorded, reached.notice, reached.reconstructed) == (True, "ja", True)
        assert min(recorded(await s.recording(reached.call), 400, 600)) > 0.4, "also out of hours"
        [left] = s.told(f.MessageLeft)
        assert by_call[left.call] == people[2].user
        assert "0 active channels" in await s.asterisk.command("core show channels count")
