"""A call in opening hours, as the caller and the agent hear it, and what is kept of it."""

from __future__ import annotations

import numpy as np
import pytest

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.stages import OfferStage
from tests.support import audio
from tests.support.station import Station, heard, hears_for, rings, share_of_music, station, until, words

CALLER_HZ = 1000
LONGEST_CHANGE_S = 0.25
"""Silence between music and agent; 0.1 s of it is the time in which a simulated phone opens its microphone."""


def part(sound: audio.Samples, start: float, end: float) -> audio.Samples:
    return sound[round(start * audio.RATE) : round(end * audio.RATE)]


@pytest.mark.few
async def test_a_caller_hears_notice_greeting_music_and_then_the_agent_who_was_idle_longest() -> None:
    async with station(DemoCentre(agents=2, acw_s=2)) as s:
        first, second = await s.staff(1, 2)
        caller = await s.caller(hz=CALLER_HZ)
        call = await s.dial_in(caller)
        ringing = await first.incoming(30)
        await hears_for(call, 3)  # lets it ring, while the music plays
        assert (await s.fact(f.OfferMade)).agent == s.centre.agent(1)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await hears_for(call, 4)
        await ringing.hang_up()
        await call.wait_closed(10)
        ended = (await s.ended(1))[0]
        assert rings(second) == 0
        assert [visit.notice for visit in s.told(f.VisitBegan)] == ["ja"], (
            "the notice is part of what is known"
        )
        assert (ended.outcome.value, ended.hung_up_by.value) == ("completed", "agent")

        for kind in ("recording_notice", "greeting"):
            assert audio.find(s.prompt(kind), words(call)).score > 0.99
        sound = heard(call)
        notice = audio.find(s.prompt("recording_notice"), sound)
        greeting = audio.find(s.prompt("greeting"), sound)
        assert notice.at < 1
        notice_ends = notice.at + len(s.prompt("recording_notice")) / audio.RATE
        music_begins = greeting.at + len(s.prompt("greeting")) / audio.RATE
        assert -0.05 < greeting.at - notice_ends < 0.5
        for other in ("closed", "apology"):
            assert audio.find(s.prompt(other), sound).score < 0.3

        # A frame that is late under load splits off the last tenth; a real interruption leaves two long pieces.
        voice = [each for each in audio.hears(sound, 440, share=0.9) if each.length > 0.2]
        assert len(voice) == 1, "the agent's voice was interrupted"
        talk = voice[0].start + 0.1
        assert share_of_music(part(sound, music_begins + 0.5, talk - 1)) > 0.98
        silences = audio.gaps(sound, 0.02, start=talk - 2, end=talk + 1)
        assert max((gap.length for gap in silences), default=0.0) <= LONGEST_CHANGE_S
        after = part(sound, talk, voice[0].end)
        assert len(after) > 3 * audio.RATE
        assert audio.tone_over_time(after, 440).min() > 0.99, "something else is under the agent's voice"
        assert audio.clicks(after) == []
        loudest = np.abs(part(sound, music_begins, voice[0].end)).max()
        assert loudest < 1.1 * np.abs(after).max(), "a bang at the change from music to voice"

        agent_heard = audio.hears(heard(ringing), CALLER_HZ, share=0.9)
        assert len(agent_heard) == 1
        assert agent_heard[0].start < 0.3 and agent_heard[0].length > 3

        await check_recording(s, call_id := s.call_ids()[0])
        assert (await s.recording(call_id)).stem == call_id
        s.books_agree()
        assert s.figures().answered == 1


async def check_recording(s: Station, call: str) -> None:
    """Both voices for as long as the talk was, and nothing of the music."""
    talk = s.told(f.TalkEnded)[0].at - s.told(f.CallAnswered)[0].at
    sound = audio.read(await s.recording(call))
    assert abs(len(sound) / audio.RATE - talk / 1e6) < 1
    both = audio.tone_over_time(sound, 440), audio.tone_over_time(sound, CALLER_HZ)
    for voice in both:
        assert np.mean(voice > 0.3) > 0.7
    assert np.median(both[0] + both[1]) > 0.98
    assert share_of_music(part(sound, 0, 2)) < 0.5


async def test_two_callers_of_one_agent_are_served_in_order_and_the_second_rings_only_after_the_acw() -> None:
    async with station(DemoCentre(agents=1, acw_s=3)) as s:
        (desk,) = await s.staff(1)
        callers = [await s.caller(1, hz=1000), await s.caller(2, hz=1300)]
        calls = []
        for n, caller in enumerate(callers, 1):
            calls.append(await s.dial_in(caller))
            await until(lambda n=n: len(s.call_ids()) == n)  # type: ignore[misc]
        for n, (call, hz) in enumerate(zip(calls, (1000, 1300), strict=True), 1):
            ringing = await desk.incoming(30)
            await ringing.answer()
            await until(lambda n=n: len(s.told(f.CallAnswered)) == n)  # type: ignore[misc]
            await hears_for(ringing, 2)
            await ringing.hang_up()
            await call.wait_closed(10)
            assert sum(x.length for x in audio.hears(heard(ringing), hz, share=0.9)) > 1.5
        await s.ended(2)
        assert [x.call for x in s.told(f.CallAnswered)] == s.call_ids()
        offers, talks = s.told(f.OfferMade), s.told(f.TalkEnded)
        assert 3 <= (offers[1].at - talks[0].at) / 1e6 < 4.5
        greeted = audio.find(s.prompt("greeting"), heard(calls[1])).at + 5
        answered = audio.hears(heard(calls[1]), 440, share=0.9)[0].start
        assert share_of_music(part(heard(calls[1]), greeted, answered - 0.5)) > 0.98
        s.books_agree()
        assert (s.figures().answered, s.figures().open) == (2, 0)


async def test_a_caller_may_hang_up_in_the_greeting_while_a_phone_rings_and_while_talking() -> None:
    async with station(DemoCentre(agents=1, acw_s=1)) as s:
        (desk,) = await s.staff(1)
        caller = await s.caller()

        call = await s.dial_in(caller)
        await hears_for(call, 1)
        await call.hang_up()
        assert (await s.ended(1))[0].outcome.value == "abandoned_short"
        assert rings(desk) == 0

        call = await s.dial_in(caller)
        ringing = await desk.incoming(30)
        await call.hang_up()
        await ringing.wait_closed(5)
        assert (await s.ended(2))[1].outcome.value == "abandoned"
        failed = await s.fact(f.OfferFailed)
        assert (failed.result, failed.rest_until) == (OfferStage.CALLER_GONE, None)
        await s.available(1)

        call = await s.dial_in(caller)
        ringing = await desk.incoming(30)
        await ringing.answer()
        await s.fact(f.CallAnswered)
        await hears_for(ringing, 1)
        await call.hang_up()
        await ringing.wait_closed(5)
        ended = (await s.ended(3))[2]
        assert (ended.outcome.value, ended.hung_up_by.value) == ("completed", "caller")
        await s.available(1)
        s.books_agree()
        assert s.figures().hangups_before_answer == 2


async def answered_by(desk: SimPhone, within: float = 30) -> None:
    await (await desk.incoming(within)).answer()


async def test_an_agent_who_does_not_answer_is_passed_over_and_rested_and_callers_keep_their_order() -> None:
    async with station(DemoCentre(agents=2, ring_s=5, acw_s=1, rest_s=60)) as s:
        silent = (await s.staff(1))[0]
        calls = []
        for n in (1, 2):
            calls.append(await s.dial_in(await s.caller(n)))
            await until(lambda n=n: len(s.call_ids()) == n)  # type: ignore[misc]
        rung = await silent.incoming(30)
        failed = await s.fact(f.OfferFailed)
        await rung.wait_closed(5)
        assert failed.result is OfferStage.NO_ANSWER
        assert failed.rest_until is not None and failed.rest_until - failed.at == 60e6
        offer = s.told(f.OfferMade)[0]
        assert 4.5 < (failed.at - offer.at) / 1e6 < 7
        other = await s.desk(2)
        await s.sign_in(other, 2)
        for n, call in enumerate(calls, 1):
            await answered_by(other)
            await until(lambda n=n: len(s.told(f.CallAnswered)) == n)  # type: ignore[misc]
            await hears_for(call, 1.5)
            await call.hang_up()
            await s.ended(n)
        assert [x.call for x in s.told(f.CallAnswered)] == s.call_ids()
        assert rings(silent) == 1
        assert s.outcomes() == ["completed", "completed"]
        # Ringing, ringing out and waiting again: the first caller heard one piece of music.
        sound = heard(calls[0])
        begins = audio.find(s.prompt("greeting"), sound).at + len(s.prompt("greeting")) / audio.RATE
        voice = audio.hears(sound, 480, share=0.9)[0].start
        silences = audio.gaps(sound, 0.02, start=begins + 0.5, end=voice + 0.5)
        assert max((gap.length for gap in silences), default=0.0) <= LONGEST_CHANGE_S
        assert share_of_music(part(sound, begins + 0.5, voice - 0.5)) > 0.98
        s.books_agree()
