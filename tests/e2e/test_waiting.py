"""Callers who wait, by their own ears: place and expected wait between the music, agents who become free meanwhile, the
menu for callers beyond, and a language that is remembered. With the engine alive, and killed in the middle."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from callcore.demo.centre import NUMBER
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.stages import Choice, Device
from tests.support import audio
from tests.support.menus import BEYOND, Waits, comfort, full, languages, prompts, says
from tests.support.prompts import SHIPPED
from tests.support.sip import Agent, sip_agent, tone
from tests.support.station import (
    PROJECT,
    Station,
    heard,
    hears_for,
    hears_now,
    music,
    rings,
    station,
    until,
    voice_of,
    words,
)

MENUS = full() + "[outgoing]\nacw_s = 0\n" + says("full", "ja")
LANGUAGES = languages("language", timeout_s=4, tries=1) + says("language_choice", "ja", "en")


def phrase(name: str, language: str = "ja") -> audio.Samples:
    return audio.read(PROJECT / "ivr_prompts" / language / "spoken" / f"{name}.ulaw")


def likeness(call: PhoneCall, sound: audio.Samples) -> float:
    if not len(heard(call)):
        return 0.0  # not yet
    return audio.find(sound, np.concatenate([words(call), audio.silence(6)])).score


async def hears(call: PhoneCall, sound: audio.Samples, within: float = 30) -> None:
    await until(lambda: likeness(call, sound) > 0.97, within, "a prompt is heard")


async def at_work(s: Station) -> tuple[SimPhone, PhoneCall]:
    """The agent's phone, and the talk that keeps it."""
    [desk] = await s.staff(1)
    talking = await s.dial_in(await s.caller(1))
    await (await desk.incoming(20)).answer()
    await s.fact(f.CallAnswered)
    return desk, talking


async def free_at_the_phrase(s: Station) -> tuple[PhoneCall, PhoneCall, f.ComfortBegan]:
    """An agent whose talk ends just as a phrase begins for the next caller; that caller, and the ringing phone."""
    desk, talking = await at_work(s)
    waits = await s.dial_in(await s.caller(2))
    began = await s.fact(f.ComfortBegan)
    await talking.hang_up()
    ringing = await desk.incoming(20)
    return waits, ringing, began


@pytest.mark.parametrize("language", ["ja", "en"])
async def test_a_waiting_caller_hears_the_place_in_the_own_language_and_music_again(language: str) -> None:
    centre = Waits(agents=1, short_abandon_s=0, rules=comfort(), two=True, menu="language", more=LANGUAGES)
    async with station(centre, prompts=prompts) as s:
        call = await s.dial_in(await s.caller())
        await hears_for(call, 0.5)
        await call.dtmf("1" if language == "ja" else "2")
        await s.fact(f.ComfortBegan)
        await s.fact(f.LineRejoined)
        await hears_now(call, music)
        await hears(call, phrase("place-1", language))
        assert likeness(call, phrase("place-1", "en" if language == "ja" else "ja")) < 0.5
        assert likeness(call, phrase("place-2", language)) < 0.97
        await call.hang_up()
        [ended] = await s.ended(1)
        assert ended.outcome.value == "abandoned"
        s.books_agree()


async def test_who_becomes_free_in_a_phrase_rings_at_its_end_and_not_before() -> None:
    async with station(Waits(agents=1, acw_s=0, rules=comfort()), prompts=prompts) as s:
        waits, ringing, began = await free_at_the_phrase(s)
        back = await s.fact(f.LineRejoined)
        made = await s.fact(f.OfferMade, lambda x: x.call == began.call)
        rang = await s.fact(f.OfferRang, lambda x: x.call == began.call)
        assert began.at < made.at < back.at < rang.at
        assert back.at - began.at > 3 * SECOND, "the phrase is 3.4 s long"
        await ringing.answer()
        await s.fact(f.CallAnswered, lambda x: x.call == began.call)
        await hears_for(waits, 2)
        await hears(waits, phrase("place-1"))
        await hears_now(waits, voice_of(440))
        await waits.hang_up()
        await s.ended(2)
        assert s.outcomes() == ["completed", "completed"]
        entered = next(x for x in s.told(f.VisitBegan) if x.call == began.call)
        answered = next(x for x in s.told(f.CallAnswered) if x.call == began.call)
        record = s.books().records[began.call]
        assert record.answered_at == answered.at and answered.at - entered.at > 5 * SECOND
        s.books_agree()


async def test_with_cut_the_phone_rings_in_the_middle_of_the_phrase() -> None:
    async with station(Waits(agents=1, acw_s=0, rules=comfort(cut=True)), prompts=prompts) as s:
        waits, ringing, began = await free_at_the_phrase(s)
        made = await s.fact(f.OfferMade, lambda x: x.call == began.call)
        rang = await s.fact(f.OfferRang, lambda x: x.call == began.call)
        assert rang.at - made.at < SECOND
        assert rang.at - began.at < 3 * SECOND
        await ringing.answer()
        await hears_now(waits, voice_of(440))
        assert likeness(waits, phrase("place-1")) < 0.97
        await waits.hang_up()
        await s.ended(2)
        s.books_agree()


async def test_a_caller_who_puts_down_in_a_phrase_is_abandoned_and_the_agent_is_free() -> None:
    async with station(Waits(agents=1, short_abandon_s=0, acw_s=0, rules=comfort()), prompts=prompts) as s:
        desk, talking = await at_work(s)
        waits = await s.dial_in(await s.caller(2))
        began = await s.fact(f.ComfortBegan)
        await talking.hang_up()
        await s.fact(f.OfferMade, lambda x: x.call == began.call)
        await waits.hang_up()
        await s.ended(2)
        assert s.outcomes() == ["completed", "abandoned"]
        await s.available(1)
        assert rings(desk) == 1
        assert not s.floor().calls
        s.books_agree()


@pytest.mark.parametrize("reserved", [False, True])
async def test_the_engine_is_killed_in_a_phrase_and_the_caller_is_answered(reserved: bool) -> None:
    async with station(Waits(agents=1, acw_s=0, rules=comfort()), prompts=prompts) as s:
        desk, talking = await at_work(s)
        call = await s.dial_in(await s.caller(2))
        began = await s.fact(f.ComfortBegan)
        if reserved:
            await talking.hang_up()
            await s.fact(f.OfferMade, lambda x: x.call == began.call)
        s.kill("engine")
        await hears(call, phrase("place-1"))
        await s.start_engine()
        if not reserved:
            await talking.hang_up()
        await (await desk.incoming(40)).answer()
        await s.fact(f.CallAnswered, lambda x: x.call == began.call)
        await hears_now(call, voice_of(440))
        await call.hang_up()
        await until(lambda: began.call in {x.call for x in s.told(f.CallEnded)})
        assert set(s.outcomes()) == {"completed"}
        s.books_agree()


async def test_who_keeps_waiting_keeps_the_place_and_the_later_caller_is_served_later() -> None:
    async with station(Waits(agents=1, acw_s=0, rules=BEYOND, more=MENUS), prompts=prompts) as s:
        desk, talking = await at_work(s)
        calls = [await s.dial_in(await s.caller(2))]
        await until(lambda: len(s.told(f.VisitBegan)) == 2)
        for n in (1, 2):
            calls.append(await s.dial_in(await s.caller(n + 2)))
            await until(lambda n=n: len(s.told(f.OverflowMenuBegan)) == n)  # type: ignore[misc]
        _, first, second, third = s.call_ids()
        await hears(calls[1], phrase("place-2"))
        await hears(calls[1], audio.read(SHIPPED / "ja" / "no_key.ulaw"))
        await calls[2].dtmf("1")  # the third is back in the line before the second
        await s.fact(f.LineRejoined, lambda x: x.call == third)
        await calls[1].dtmf("1")
        await s.fact(f.LineRejoined, lambda x: x.call == second)
        await hears_now(calls[1], music)
        await talking.hang_up()
        for call, name in zip(calls, (first, second, third), strict=True):
            await (await desk.incoming(20)).answer()
            await s.fact(f.CallAnswered, lambda x, name=name: x.call == name)  # type: ignore[misc]
            await s.device(1, Device.BUSY)
            await call.hang_up()
        await s.ended(4)
        assert [x.call for x in s.told(f.CallAnswered)][1:] == [first, second, third]
        assert s.outcomes() == ["completed"] * 4
        assert len(s.told(f.OverflowMenuBegan)) == 2, "nobody is led there twice"
        s.books_agree()


async def test_each_way_out_of_the_menu_for_callers_beyond_is_one_outcome() -> None:
    async with station(Waits(agents=1, short_abandon_s=0, rules=BEYOND, more=MENUS), prompts=prompts) as s:
        first = await s.dial_in(await s.caller(1))
        await s.fact(f.VisitBegan)
        caller = await s.caller(2)
        puts_down = await s.dial_in(caller)
        await s.fact(f.OverflowMenuBegan)
        await hears_for(puts_down, 1)
        await puts_down.hang_up()
        await s.ended(1)
        ends = await s.dial_in(caller)
        await until(lambda: len(s.told(f.OverflowMenuBegan)) == 2)
        await hears_for(ends, 1)
        await ends.dtmf("9")
        await ends.wait_closed(10)
        await s.ended(2)
        waits = await s.dial_in(caller)
        await until(lambda: len(s.told(f.OverflowMenuBegan)) == 3)
        await hears_for(waits, 1)
        await waits.dtmf("1")
        await s.fact(f.LineRejoined)
        await waits.hang_up()
        await s.ended(3)
        assert s.outcomes() == ["overflow_full", "overflow_key", "abandoned"]
        await first.hang_up()
        await s.ended(4)
        s.books_agree()


async def test_who_is_beyond_asks_to_be_called_back_and_keeps_the_place_or_leaves_a_message() -> None:
    async with station(Waits(agents=1, acw_s=0, rules=BEYOND, more=MENUS), prompts=prompts) as s:
        carrier = await s.carrier()
        desk, talking = await at_work(s)
        first = await s.dial_in(await s.caller(2))
        await until(lambda: len(s.told(f.VisitBegan)) == 2)
        second = await s.dial_in(await s.caller(3, number="0312345678"))
        await s.fact(f.OverflowMenuBegan)
        await hears_for(second, 1)
        await second.dtmf("5")
        await hears_for(second, 3)
        await second.dtmf("1")
        asked = await s.fact(f.CallbackAsked)
        await second.wait_closed(20)
        await s.ended(1)
        third = await s.dial_in(await s.caller(4))
        await until(lambda: len(s.told(f.OverflowMenuBegan)) == 2)
        await hears_for(third, 1)
        await third.dtmf("1")
        await s.fact(f.LineRejoined)
        speaks = await sip_agent_of(s)
        message = await speaks.call(NUMBER, tone(400))
        await until(lambda: len(s.told(f.OverflowMenuBegan)) == 3)
        await message.hears(1)
        message.press("6")
        began = await s.fact(f.MessageBegan)
        await asyncio.sleep(3)
        message.press("#")
        left = await s.fact(f.MessageLeft)
        assert left.call == began.call
        await message.until("bye")
        await s.ended(2)
        assert s.outcomes() == ["callback_requested", "message_left"]

        # Served in the order in which they came: who waits, who is called back, who came after that.
        await talking.hang_up()
        await (await desk.incoming(20)).answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 2)
        await first.hang_up()
        ringing = await desk.incoming(20)
        tried = await s.fact(f.CallbackTried)
        assert tried.call == asked.call
        await ringing.answer()
        citizen = await carrier.rings()
        citizen.answer()
        await s.fact(f.CallbackReached)
        assert len(s.told(f.CallAnswered)) == 2, "who came later still waits"
        citizen.hang_up()
        await ringing.wait_closed(20)
        await (await desk.incoming(20)).answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 3)
        await third.hang_up()
        await s.ended(5)
        assert not s.floor().callbacks


async def sip_agent_of(s: Station) -> Agent:
    """A citizen whose sound a test chooses."""
    pbx = (f"{s.net}.1", s.settings.sip_port)
    return await s.stack.enter_async_context(sip_agent(f"{s.net}.139", "0451234567", pbx))


@pytest.mark.parametrize("asked", [False, True])
async def test_the_engine_is_killed_in_the_menu_and_the_caller_is_answered(asked: bool) -> None:
    """`asked`: in its question whether to call back, whose answer is no: the menu once more."""
    async with station(Waits(agents=1, acw_s=0, rules=BEYOND, more=MENUS), prompts=prompts) as s:
        desk, talking = await at_work(s)
        first = await s.dial_in(await s.caller(2))
        await until(lambda: len(s.told(f.VisitBegan)) == 2)
        second = await s.dial_in(await s.caller(3))
        await s.fact(f.OverflowMenuBegan)
        await hears_for(second, 1)
        if asked:
            await second.dtmf("5")
            await s.fact(f.MenuAnswered)
            await hears_for(second, 1)
        s.kill("engine")
        if asked:
            await second.dtmf("2")
        await second.dtmf("1")
        await hears_now(second, music)
        await s.start_engine()
        await talking.hang_up()
        for n, call in enumerate((first, second), 2):
            await (await desk.incoming(60)).answer()
            await until(lambda n=n: len(s.told(f.CallAnswered)) == n)  # type: ignore[misc]
            await hears_now(call, voice_of(440))
            await call.hang_up()
        await s.ended(3)
        assert s.outcomes() == ["completed"] * 3
        chosen = [x.choice for x in s.told(f.MenuAnswered)]
        assert (chosen[0], chosen[-1]) == (Choice.CALLBACK if asked else Choice.WAIT, Choice.WAIT)
        assert not s.told(f.CallbackAsked)
        s.books_agree()
