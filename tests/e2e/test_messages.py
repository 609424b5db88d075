"""Messages that citizens leave, from the tone they hear to the agent who calls them back, on the whole installation."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.demo.sounds import Silence, Sound
from callcore.domain import facts as f
from callcore.domain.message import Message
from callcore.domain.stages import Choice, Outcome
from callcore.installation import message_of
from callcore.runtime.commands import CommandClient
from tests.e2e.test_out_of_hours import TOKYO, around
from tests.support import audio
from tests.support.station import Station, hears_for, station, until, words

MENU = """
[outgoing]
kinds = ["landline"]

[[menus]]
id = "subject"
say = "please_wait"
timeout_s = 8
tries = 1

[[menus.keys]]
key = "2"
message = true

[messages]
silence_s = 6
longest_s = 15
due_s = 3600
"""
CENTRE = DemoCentre(agents=1, acw_s=1, menu="subject", more=MENU)
WORDS = audio.speech_like(5, 4.0)
SHIPPED = Path(__file__).parents[2] / "ivr_prompts" / "ja"


def hears_prompt(call: PhoneCall, kind: str) -> bool:
    prompt, sound = audio.read(SHIPPED / f"{kind}.ulaw"), words(call)
    return len(sound) > len(prompt) and audio.share(prompt, sound) > 0.8


async def to_the_tone(s: Station, caller: SimPhone, n: int = 1) -> PhoneCall:
    """A caller who has chosen to leave a message, as the tone sounds."""
    call = await s.dial_in(caller)
    await hears_for(call, 1)
    await call.dtmf("2")
    await until(lambda: len(s.told(f.MessageBegan)) >= n, 30, "the tone")
    return call


def began_by_cel(s: Station) -> int:
    """How many have heard the tone, by what Asterisk writes down."""
    rows = s.cel("USER_DEFINED")
    return sum(row["userdeftype"] == "callcore-message" and "began" in row["extra"] for row in rows)


def speech(s: Station, samples: audio.Samples = WORDS) -> Sound:
    return Sound(audio.write(s.settings.home / "words.wav", samples))


async def quiet_caller(s: Station, n: int = 1, number: str | None = None) -> SimPhone:
    caller = await s.caller(n, number=number)
    await caller.say(Silence())
    return caller


def left(s: Station) -> list[Message]:
    return sorted(s.floor().messages.values(), key=lambda m: m.left_at)


async def sound_of(s: Station, message: Message) -> audio.Samples:
    return audio.read(await s.recording(f"{message.call}.message"))


async def speaks_for(s: Station, seconds: float, n: int) -> None:
    """Await that so much of the n-th message is on the disk: nothing is heard meanwhile."""

    def grown() -> bool:
        files = sorted(s.settings.recordings.glob("*.message.wav"), key=lambda path: path.stat().st_ctime)
        return len(files) >= n and files[-1].stat().st_size >= seconds * 2 * audio.RATE

    await until(grown, 20, f"{seconds} s of message {n}")


def is_said(sound: audio.Samples) -> bool:
    return audio.find(WORDS[4000:20_000], sound).score > 0.9


@pytest.mark.few
async def test_a_message_is_kept_as_it_was_said_and_an_agent_calls_back() -> None:
    async with station(CENTRE, sidecar=True) as s:
        (desk,) = await s.staff(1)
        line = await s.carrier()
        caller = await quiet_caller(s, number="0312345678")
        call = await to_the_tone(s, caller)
        await caller.say(speech(s))
        await s.fact(f.MessageLeft)
        await call.wait_closed(30)
        assert hears_prompt(call, "message_invite") and hears_prompt(call, "message_taken")
        assert (await s.fact(f.MessageFiled)).findings == ()
        (message,) = left(s)
        assert is_said(await sound_of(s, message))
        assert message_of(s.settings, message.call).stat().st_mode & 0o077 == 0
        assert s.outcomes() == ["message_left"]
        engine = CommandClient(s.settings.engine_socket)
        assert (await engine.ask("message_take", call=message.call, agent="1001"))["done"]
        assert (await engine.ask("message_dial", call=message.call))["done"]
        ringing = await desk.incoming(10)
        await ringing.answer()
        back = await line.rings()
        assert back.invite is not None and "0312345678" in back.invite.text.splitlines()[0]
        back.answer()
        await s.fact(f.SideCallConnected)
        back.hang_up()
        await s.fact(f.SideCallEnded)
        assert (await engine.ask("message_done", call=message.call, result="折り返し済み"))["done"]
        (row,) = await engine.ask("messages", centre="demo")
        assert (row["state"], row["agent"], row["result"]) == ("done", "1001", "折り返し済み")
        await engine.close()


async def test_who_puts_down_in_the_middle_and_who_says_nothing() -> None:
    async with station(CENTRE, sidecar=True) as s:
        await s.staff(1)
        caller = await quiet_caller(s)
        call = await to_the_tone(s, caller)
        await caller.say(speech(s))
        await speaks_for(s, 3, 1)
        await call.hang_up()
        await s.fact(f.MessageFiled)
        assert audio.find(WORDS[4000:12_000], await sound_of(s, left(s)[0])).score > 0.9
        silent = await quiet_caller(s, 2)
        mute = await to_the_tone(s, silent, 2)
        await speaks_for(s, 1.5, 2)
        await mute.hang_up()
        await until(
            lambda: any(x.outcome is not None for x in s.told(f.MessageEmpty)), 30, "nothing was said"
        )
        assert s.outcomes() == ["message_left", "message_left"]
        records = s.books().records
        ends = [records[call].outcome for call in s.call_ids()]
        assert ends == [Outcome.MESSAGE_LEFT, Outcome.ABANDONED]
        assert len(left(s)) == 1
        third = await quiet_caller(s, 3)
        lasting = await to_the_tone(s, third, 3)
        await s.fact(f.OfferMade, within=40)  # silence: goes on to an agent
        assert hears_prompt(lasting, "message_empty")
        await lasting.hang_up()
        await s.ended(3)
        assert not s.floor().calls
        s.books_agree()


@pytest.mark.few
async def test_the_engine_is_dead_while_a_message_is_left_and_the_task_is_there_after_its_start() -> None:
    async with station(CENTRE, sidecar=True) as s:
        caller = await quiet_caller(s)
        call = await s.dial_in(caller)
        await hears_for(call, 1)
        s.kill("engine")
        await call.dtmf("2")
        await until(lambda: began_by_cel(s) == 1, 40, "the tone")
        await caller.say(speech(s))
        await call.wait_closed(40)
        assert hears_prompt(call, "message_taken")
        gone = await quiet_caller(s, 2)
        other = await s.dial_in(gone)
        await hears_for(other, 1)
        await other.dtmf("2")
        await until(lambda: began_by_cel(s) == 2, 40, "the tone")
        await gone.say(speech(s))
        await speaks_for(s, 3, 2)
        await other.hang_up()
        await s.start_engine()
        await until(lambda: len(s.told(f.MessageFiled)) == 2, 30, "both are measured")
        await s.ended(2)
        assert [m.otherwise is None for m in left(s)] == [True, False]
        assert all(fact.reconstructed for fact in s.told(f.MessageLeft))
        assert is_said(await sound_of(s, left(s)[0]))
        assert s.outcomes() == ["message_left", "message_left"]
        assert [x.choice for x in s.told(f.MenuAnswered)] == [Choice.MESSAGE] * 2
        s.books_agree()


async def test_the_engine_is_killed_while_a_caller_speaks_and_learns_the_rest_by_itself() -> None:
    async with station(CENTRE, sidecar=True) as s:
        caller = await quiet_caller(s)
        call = await to_the_tone(s, caller)
        s.kill("engine")
        await caller.say(speech(s))
        await s.start_engine()
        await call.wait_closed(30)
        message = (await s.fact(f.MessageLeft)).call
        await s.fact(f.MessageFiled, lambda x: x.call == message)
        assert is_said(await sound_of(s, left(s)[0]))
        await s.ended(1)
        assert s.outcomes() == ["message_left"]


async def test_out_of_hours_the_call_stays_closed_and_the_longest_is_ended_kindly() -> None:
    today = datetime.now(TOKYO).date()
    shut = replace(CENTRE, days=around(today, {}), closed_menu="subject")
    async with station(shut, sidecar=True) as s:
        await s.staff(1)  # by then the opening hours are pushed to Asterisk
        caller = await quiet_caller(s)
        call = await to_the_tone(s, caller)
        await caller.say(speech(s, np.tile(WORDS, 6)))
        await s.fact(f.MessageLeft, within=30)
        await call.wait_closed(30)
        assert hears_prompt(call, "message_full") and hears_prompt(call, "message_taken")
        filed = await s.fact(f.MessageFiled)
        assert 14 <= filed.seconds <= 15.5
        assert s.outcomes() == ["closed"]
        (record,) = s.books().records.values()
        assert record.message
