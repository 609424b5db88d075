"""The shipped centres out of hours and in an emergency, in each of their languages, without callcore: what the caller's
own ear has recorded is held against the shipped audio."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from callcore.centres import load
from callcore.domain.centre import Centre, Configuration
from callcore.domain.hours import Window
from callcore.prompts import shelf
from callcore.settings import PROJECT
from tests.support import audio
from tests.support.asterisk import manager, running_asterisk
from tests.support.sip import Agent, Call, decoded, sip_agent, tone

pytestmark = pytest.mark.few

PROMPTS = PROJECT / "ivr_prompts"
ALWAYS = ((Window(0, 86_400),),) * 7
NEVER = ((),) * 7
LONGEST_S = 90.0
"""Seconds within which every language's announcement has been heard to its end."""


def shipped() -> Configuration:
    """The shipped centres without their seats: nobody is needed here."""
    found = load(PROJECT / "centres", PROMPTS)
    return replace(
        found, centres=tuple(replace(each, phones=(), agents=(), contacts=()) for each in found.centres)
    )


def said(centre: Centre, kind: str, language: str) -> audio.Samples:
    [sound] = {a.sound for a in centre.announcements if (a.kind, a.language) == (kind, language)}
    return audio.read(shelf.ulaw_of(PROMPTS, sound))


def like(words: audio.Samples, heard: audio.Samples) -> float:
    return audio.find(words, heard).score if len(heard) >= len(words) else 0.0


async def hears(call: Call, words: audio.Samples, end: float, what: str) -> None:
    """Each second the newest sound is looked at, and as much before it as may belong to the words."""
    seen = 0
    while True:
        size = len(call.heard)
        if like(words, decoded(bytes(call.heard[max(0, seen - len(words)) : size]))) >= 0.9:
            return
        assert not call.over and time.monotonic() < end, f"{what} was not heard"
        seen = size
        await call.hears(1.0)


async def one(citizen: Agent, centre: Centre, kind: str, language: str, key: str) -> None:
    """Choose the language while it is asked for, and hear the announcement in it and in no other."""
    call = await citizen.call(centre.numbers[0].digits, tone(400))
    await call.until("up")
    if key:
        await call.hears(0.5)
        call.press(key)
    words = said(centre, kind, language)
    end = time.monotonic() + LONGEST_S
    await call.hears(len(words) / audio.RATE)
    await hears(call, words, end, f"{kind} in {language}")
    if kind.startswith("closed_"):  # the reason first, then the announcement itself
        beginning = said(centre, "closed", language)[: 3 * audio.RATE]
        await hears(call, beginning, end, f"closed in {language}")
        heard = decoded(bytes(call.heard))
        assert audio.find(words, heard).at < audio.find(beginning, heard).at
    call.hang_up()
    heard = decoded(bytes(call.heard))
    for other in centre.languages:
        words_too = said(centre, kind, other)
        if len(words_too) != len(words):  # a substitute is the same audio
            assert like(words_too, heard) < 0.5, f"{kind} in {other}, not only in {language}"


@pytest.mark.parametrize(
    "kind", ["closed", "emergency", "closed_holiday", "closed_year_end", "closed_day", "closed_changed"]
)
async def test_why_nobody_answers_is_heard_in_each_language_of_each_shipped_centre(kind: str) -> None:
    weekly = NEVER if kind == "closed" else ALWAYS
    because = kind.removeprefix("closed_") if kind.startswith("closed_") else ""
    centres = [
        replace(centre, calendar=replace(centre.calendar, weekly=weekly)) for centre in shipped().centres
    ]
    async with (
        running_asterisk(
            Configuration("shipped", tuple(centres)), PROMPTS, PROMPTS / "music", phone_secrets={}
        ) as pbx,
        manager(pbx) as ami,
        sip_agent(pbx.trunk_host, "0312345678", pbx.sip) as citizen,
    ):
        now = int(time.time())
        calls = []
        for centre in centres:
            if because:
                today = datetime.now(ZoneInfo(centre.calendar.zone)).strftime("%Y%m%d")
                windows = f"{now - 7200}-{now - 60}" if because == "changed" else "closed"
                pushed = f"{windows}~{because}"
                await ami.action("DBPut", Family="callcore-hours", Key=f"{centre.id}/{today}", Val=pushed)
            if kind == "emergency":
                until = f"{now - 60}-{now + 600}"
                await ami.action("DBPut", Family="callcore-emergency", Key=centre.id, Val=until)
            menu = next((menu for menu in centre.menus if menu.id == centre.closed_menu), None)
            keys = {key.language: key.key for key in menu.keys} if menu is not None else {}
            calls += [one(citizen, centre, kind, each, keys.get(each, "")) for each in centre.languages]
        assert len(calls) >= 18, "every language of every centre"
        await asyncio.gather(*calls)
