"""What a caller hears whom an agent's phone holds: music, the phrase in the caller's language, music again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from callcore.domain.centre import Announcement, Configuration, Destination, Hold, Outgoing
from callcore.runtime import dialplan
from tests.integration.test_dialplan_call import until_hears
from tests.integration.test_dialplan_net import add_member
from tests.support.centre import APOLOGY_HZ, CLOSED_HZ, MUSIC_HZ, NUMBER, small_centre
from tests.support.floor import AGENT_HZ, running_floor
from tests.support.sip import RATE, Call, loudness, tone

JAPANESE_HZ, ENGLISH_HZ = CLOSED_HZ, APOLOGY_HZ
EVERY_S, PHRASE_S = 2, 1.0
TONE_HZ = 1400


def two_languages(every_s: int = EVERY_S) -> Configuration:
    """The phrase is in Japanese the tone of `closed`, in English that of `apology`."""
    found = small_centre()
    oita = found.centres[0]
    said = tuple(
        Announcement("on_hold", language, language, f"oita/ja/{sound}")
        for language, sound in (("ja", "closed"), ("en", "apology"))
    )
    oita = replace(
        oita, languages=("ja", "en"), announcements=(*oita.announcements, *said), hold=Hold(every_s)
    )
    return replace(found, centres=(oita, *found.centres[1:]))


def heard(sound: bytes) -> list[tuple[int, float]]:
    """(tone, seconds) in turn; what lasts less than 0.1 s is left out."""
    tones = (MUSIC_HZ, JAPANESE_HZ, ENGLISH_HZ, AGENT_HZ)
    loudest = []
    for place in range(0, len(sound) - 160, 160):
        part = sound[place : place + 160]
        best = max(tones, key=lambda hertz: loudness(part, hertz))
        loudest.append(best if loudness(part, best) > 0.8 else 0)
    found = ((hertz, len(list(same)) * 0.02) for hertz, same in groupby(loudest))
    return [(hertz, round(length, 2)) for hertz, length in found if length >= 0.1]


async def held(call: Call, leg: Call, phrase_hz: int) -> None:
    """Held by the phone of `leg`, the caller hears music, the phrase, music, the phrase, and then the agent again."""
    begin = len(call.heard)
    seconds = 2 * (EVERY_S + PHRASE_S) + 0.5
    await leg.hold()
    await call.hears(seconds)
    await leg.resume()
    await until_hears(call, AGENT_HZ)
    found = [
        (hertz, length)
        for hertz, length in heard(bytes(call.heard[begin : begin + int(seconds * RATE)]))
        if hertz != AGENT_HZ
    ]
    assert [hertz for hertz, _ in found] == [MUSIC_HZ, phrase_hz, MUSIC_HZ, phrase_hz, MUSIC_HZ], found
    for hertz, length in found[:-1]:
        assert abs(length - (EVERY_S if hertz == MUSIC_HZ else PHRASE_S)) < 0.15, found


async def test_who_is_held_hears_the_phrase_of_his_language_between_the_music_in_the_safety_net_too(
    tmp_path: Path,
) -> None:
    async with running_floor(tmp_path, two_languages()) as floor:
        async with floor.ami.beating():
            call, _, leg = await floor.talk(1)
            other, channel = await floor.waiting_caller()
            await floor.ami.action("Setvar", Channel=channel, Variable="__CALLCORE_LANGUAGE", Value="en")
            # No such phone: back into the line, as every caller is who chose a language in a menu there.
            await floor.offer(channel, "1.2", "oita-p9")
            await floor.ami.event("CallcoreOfferEnded", Channel=channel, Offer="1.2")
            await floor.ami.waiting(channel)
        await add_member(floor, "oita-p2", "102")
        began = len(other.heard)
        answered = asyncio.create_task(floor.desks[1].rings())
        await held(call, leg, JAPANESE_HZ)
        second = await answered
        # In line and in the net nobody hears a phrase that is for who is held.
        assert {hertz for hertz, _ in heard(bytes(other.heard[began:]))} == {MUSIC_HZ}
        second.sound = tone(AGENT_HZ)
        second.answer()
        await until_hears(other, AGENT_HZ)
        await held(other, second, ENGLISH_HZ)


async def test_a_long_hold_is_told_by_a_tone_in_the_consult_that_the_agent_alone_hears(
    tmp_path: Path,
) -> None:
    centre = small_centre(outgoing=Outgoing(NUMBER, kinds=(Destination.LANDLINE,)))
    async with running_floor(tmp_path, centre) as floor, floor.ami.beating():
        _, _, leg = await floor.talk(1)
        await leg.hold()
        consult = await floor.desks[0].call("0312345678")
        began = await floor.ami.event("CallcoreSide")
        office = await floor.trunk.rings()
        office.answer()
        await consult.until("up")
        await consult.hears(0.5)
        told, heard = len(consult.heard), len(office.heard)
        answer = await floor.ami.action(
            "Originate",
            Channel=f"Local/s@{dialplan.TONE}/n",
            Context=dialplan.WHISPER,
            Exten="s",
            Priority="1",
            Variable=f"{dialplan.OVER_WHOM}={began['Call']}",
            Async="true",
        )
        assert answer[0]["Response"] == "Success", answer
        await consult.hears(2)
        heard_by = [
            max(loudness(bytes(side[n : n + 800]), TONE_HZ) for n in range(since, len(side) - 800, 800))
            for side, since in ((consult.heard, told), (office.heard, heard))
        ]
        assert heard_by[0] > 0.9 and heard_by[1] < 0.1, heard_by
        assert not [row for row in floor.pbx.cdr() if "Local" in row["channel"]]
