"""Call-backs on the whole installation: asked for by key, an agent's phone first, then the citizen's."""

from __future__ import annotations

import wave
from dataclasses import replace

import numpy as np

from callcore.demo.centre import DemoCentre
from callcore.demo.phone import SimPhone
from callcore.domain import facts as f
from callcore.domain.callback import CallbackState
from callcore.domain.stages import Device, PauseEnd, SideOutcome
from callcore.runtime.commands import ask_once
from tests.e2e.test_messages import SHIPPED
from tests.e2e.test_recordings_paused import silences
from tests.support import audio, sip
from tests.support.consults import apart
from tests.support.station import Station, hears_for, rings, station, until, words

MENU = """
[outgoing]
acw_s = 0

[[menus]]
id = "subject"
say = "please_wait"
timeout_s = 8
tries = 2

[[menus.keys]]
key = "1"
callback = true

[[menus.keys]]
key = "2"
queue = "general"

[callbacks]
attempts = 2
distance_s = 60
"""
STEREO = '\n[recording]\nchannels = "stereo"\n'
CENTRE = DemoCentre(agents=1, acw_s=1, rest_s=1, ring_s=15, menu="subject", more=MENU)
CITIZEN = "0312345678"


async def asks(s: Station, caller: SimPhone, n: int = 1) -> None:
    """The citizen asks to be called back, hears that it is so, and the call is over."""
    call = await s.dial_in(caller)
    await hears_for(call, 1)
    await call.dtmf("1")
    await hears_for(call, 3)
    await call.dtmf("1")
    await until(lambda: len(s.told(f.CallbackAsked)) >= n, 20, "asked for")
    await call.wait_closed(20)
    for kind in ("callback_confirm", "callback_taken"):
        beginning = audio.read(SHIPPED / f"{kind}.ulaw")[: 2 * audio.RATE]  # 1 is pressed before its end
        assert audio.find(beginning, words(call)).score > 0.9
    await s.ended(n)


async def away(s: Station) -> SimPhone:
    """The agent's phone; the agent is signed in and paused."""
    (desk,) = await s.staff(1)
    assert (await ask_once(s.settings.engine_socket, "agent_pause", agent="1001", reason="休憩"))["done"]
    return desk


async def ready(s: Station) -> None:
    assert (await ask_once(s.settings.engine_socket, "agent_ready", agent="1001"))["done"]


def carrier_rung(line: sip.Agent) -> int:
    return sum(call.incoming for call in line.calls)


async def test_the_agents_phone_rings_first_and_says_so_then_the_citizen_is_called_and_they_talk() -> None:
    async with station(replace(CENTRE, more=MENU + STEREO), sidecar=True) as s:
        line = await s.carrier()
        desk = await away(s)
        await asks(s, await s.caller(1, number=CITIZEN))
        await ready(s)
        ringing = await desk.incoming(15)
        assert carrier_rung(line) == 0, "the citizen is called only when somebody has picked up"
        await ringing.answer()
        citizen = await line.rings()
        assert citizen.invite is not None and CITIZEN in citizen.invite.text.splitlines()[0]
        assert "0975105151" in citizen.invite.get("from")
        citizen.answer()
        reached = await s.fact(f.CallbackReached)
        assert reached.same_day
        await until(lambda: sip.loudness(bytes(citizen.heard[-8000:]), 440) > 0.9, 10, "the agent is heard")
        citizen.sound = sip.tone(600)
        await citizen.hears(1)
        await ringing.dtmf("*34")
        paused = await s.fact(f.RecordingPaused)
        await citizen.hears(4)  # what is keyed while the agent hears the answer is lost
        await ringing.dtmf("*34")
        resumed = await s.fact(f.RecordingResumed)
        assert (paused.call, paused.agent, resumed.why) == (resumed.call, "1001", PauseEnd.ASKED)
        await citizen.hears(2)
        assert citizen.events == [], "the citizen heard no key"
        citizen.hang_up()
        ended = await s.fact(f.SideCallEnded)
        await ringing.wait_closed(10)
        for said in ("callback-call", "language-ja", "callback-number"):
            whisper = audio.read(SHIPPED.parent / "common" / "ja" / f"{said}.ulaw")
            assert audio.find(whisper, words(ringing)).score > 0.9
        assert ended.outcome is SideOutcome.CONNECTED
        assert s.outcomes() == ["callback_requested"]
        with wave.open(str(await s.recording(ended.call)), "rb") as sound:
            silent = silences(np.frombuffer(sound.readframes(sound.getnframes()), np.int16))
        assert abs(max(silent) - (resumed.at - paused.at) / 1e6) < 0.5, "silent while it was paused"
        theirs, ours = apart(await s.recording(ended.call), 600, 440)
        assert theirs[0] >= 2 and theirs[1] == 0, "the citizen on the left"
        assert ours[1] >= 2 and ours[0] == 0, "the agent on the right"
        assert not s.floor().callbacks
        await s.available(1)
        assert rings(desk) == 1


async def test_a_citizen_who_is_busy_is_called_again_after_the_distance_and_then_given_up() -> None:
    async with station(CENTRE, sidecar=True) as s:
        line = await s.carrier()
        desk = await away(s)
        await asks(s, await s.caller(1, number=CITIZEN))
        await ready(s)
        for n in (1, 2):
            ringing = await desk.incoming(15 if n == 1 else 80)
            await ringing.answer()
            citizen = await line.rings(n)
            citizen.hang_up()  # 486
            await until(lambda n=n: len(s.told(f.SideCallEnded)) == n, 20, "the attempt is over")  # type: ignore[misc]
        failed = await s.fact(f.CallbackFailed)
        again = s.told(f.CallbackTried)[1]
        assert failed.outcome is SideOutcome.BUSY
        assert again.at - failed.at >= 60_000_000
        given_up = await s.fact(f.CallbackGivenUp)
        assert not s.floor().callbacks
        [task] = await ask_once(s.settings.engine_socket, "messages")
        assert (task["call"], task["state"], task["callback"]) == (given_up.call, "open", True)
        assert carrier_rung(line) == 2


async def test_who_rings_in_while_the_agents_phone_rings_is_answered_and_nobody_calls_him() -> None:
    async with station(replace(CENTRE, ring_s=30), sidecar=True) as s:
        line = await s.carrier()
        desk = await away(s)
        caller = await s.caller(1, number=CITIZEN)
        await asks(s, caller)
        await ready(s)
        await desk.incoming(15)
        again = await s.dial_in(caller)
        await s.device(1, Device.FREE)
        await hears_for(again, 1)
        await again.dtmf("2")
        cancelled = await s.fact(f.CallbackCancelled)
        assert cancelled.by_call == s.call_ids()[1]
        ringing = await desk.incoming(30)
        await ringing.answer()
        await until(lambda: len(s.told(f.CallAnswered)) == 1, 20, "answered")
        await again.hang_up()
        await s.ended(2)
        assert s.outcomes() == ["callback_requested", "completed"]
        assert carrier_rung(line) == 0


async def test_the_engine_is_killed_as_the_citizen_confirms_and_while_each_phone_rings_and_neither_rings_twice() -> (
    None
):
    async with station(CENTRE, sidecar=True) as s:
        line = await s.carrier()
        desk = await away(s)
        call = await s.dial_in(await s.caller(1, number=CITIZEN))
        await hears_for(call, 1)
        await call.dtmf("1")
        await hears_for(call, 3)
        s.kill("engine")
        await call.dtmf("1")
        await call.wait_closed(20)
        await s.start_engine()
        await s.ended(1)
        assert s.outcomes() == ["callback_requested"]
        assert s.told(f.CallbackAsked)[0].reconstructed
        await ready(s)
        ringing = await desk.incoming(15)
        s.kill("engine")
        await s.start_engine()
        assert [b.state for b in s.floor().callbacks.values()] == [CallbackState.RINGING]
        await ringing.answer()
        citizen = await line.rings()
        s.kill("engine")
        citizen.answer()
        await s.start_engine()
        await s.fact(f.CallbackReached)
        citizen.hang_up()
        await s.fact(f.SideCallEnded)
        await s.available(1)
        assert not s.floor().callbacks
        assert (carrier_rung(line), rings(desk)) == (1, 1)


async def test_a_withheld_number_is_told_that_it_cannot_be_and_asked_for_another_key() -> None:
    async with station(CENTRE) as s:
        caller = await s.caller(1, number="anonymous")
        call = await s.dial_in(caller)
        await hears_for(call, 1)
        await call.dtmf("1")
        sorry = audio.read(SHIPPED / "callback_unavailable.ulaw")
        await hears_for(call, len(sorry) / audio.RATE + 2)
        assert audio.find(sorry, words(call)).score > 0.9
        await call.dtmf("2")
        await s.fact(f.VisitBegan)
        await call.hang_up()
        await s.ended(1)
        assert s.outcomes() == ["abandoned"]
        assert s.told(f.CallbackAsked) == []
