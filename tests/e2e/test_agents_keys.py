"""A day of an agent at the keys of a desk phone: codes, keys inside a talk, and the lamps that show the truth."""

from __future__ import annotations

import asyncio

import numpy as np

from callcore.access.trail import Result, Wanted
from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import AgentId, Instant, PhoneId
from callcore.domain.stages import Device, Mark, Presence, ResultKind
from callcore.installation import asterisk_process, trail_of
from tests.e2e.test_agents_pause import command
from tests.support import audio
from tests.support.desk_phones import DESK_PHONE, OneDeskPhone
from tests.support.prompts import brief_welcome
from tests.support.sip import RATE, Agent, Call, Lamp, decoded, sip_agent, tone
from tests.support.station import PIN, Station, station, until

AGENT = AgentId("1001")
STAFF = """
[staff]
wrong_pins = 2
lock_s = 3600
lamp_waiting = 2

[recording]
pause_s = 5

[[pauses]]
key = 1
name = "休憩"
at_once = 1
"""
CODES = ("*11", "*13", "*14", "*15", "*151", "*20", "*31", "*32", "*34")


async def phone(s: Station, n: int = 1) -> Agent:
    """The n-th desk phone, registered."""
    name = s.centre.phone(n)
    agent = await s.stack.enter_async_context(
        sip_agent(
            f"{s.net}.{20 + n}",
            name,
            (f"{s.net}.1", s.settings.sip_port),
            s.secrets.phones[PhoneId(name)],
        )
    )
    if isinstance(s.centre, OneDeskPhone) and n == 1:
        agent.user_agent = DESK_PHONE
    await agent.register()
    await until(lambda: s.judged(PhoneId(agent.user)), what="it is held against the inventory")
    return agent


async def lamps(s: Station, desk: Agent) -> dict[str, Lamp]:
    return {name: await desk.watch(name) for name in (*CODES, "demo-general")}


async def dials(desk: Agent, code: str) -> Call:
    """Dial a code and hear it out."""
    call = await desk.call(code, tone(600))
    await call.until("bye")
    return call


def heard_prompts(s: Station, call: Call, *prompts: str) -> list[str]:
    """Which of these common prompts were heard in a call."""
    sound = np.concatenate([decoded(bytes(call.heard)), audio.silence(3)])
    return [name for name in prompts if audio.find(s.prompt(name, "common"), sound).score > 0.98]


async def keys_after(desk: Agent, code: str, digit: str) -> Call:
    """Dial a code that asks for a digit, key it, and hear the answer out."""
    call = await desk.call(code, tone(600))
    await call.until("up")
    await call.hears(0.3)
    if digit:
        call.press(digit)
    await call.until("bye")
    return call


async def signs_in(desk: Agent, pin: str = PIN, agent: str = AGENT) -> Call:
    call = await desk.call(f"*11{agent}", tone(600))
    await call.until("up")
    await call.hears(0.3)
    call.press(f"{pin}#")
    await call.until("bye")
    return call


def soon(lamp: Lamp, shown: str, since: Instant) -> None:
    """It showed so within half a second of what it shows."""
    late = next(at for at, state in reversed(lamp.told) if state == shown) - since / 1e6
    assert late < 0.5, f"{shown} came {late:.3f} s late"


async def test_the_keys_and_lamps_of_an_agents_day_through_restarts_of_callcore_and_asterisk() -> None:
    async with station(OneDeskPhone(agents=1, acw_s=120, more=STAFF), prompts=brief_welcome) as s:
        desk = await phone(s)
        lit = await lamps(s, desk)
        for lamp in lit.values():
            await lamp.shows("off")

        # Two wrong PINs lock the agent out, also across a restart of callcore; a command ends that.
        for _ in range(2):
            await signs_in(desk, "31415926")
        await s.fact(f.AgentLocked, lambda x: x.agent == AGENT)
        s.kill("engine")
        await s.start_engine()
        await signs_in(desk)
        assert s.told(f.AgentSignedIn) == []
        status, said = await command(s, "unlock", AGENT)
        assert status == 0, said
        await signs_in(desk)
        signed_in = await s.fact(f.AgentSignedIn)
        await lit["*11"].shows("steady")
        await lit["*13"].shows("steady")
        soon(lit["*11"], "steady", signed_in.at)

        # A pause by its digit, and back.
        await dials(desk, "*151")
        paused = await s.fact(f.AgentPaused, lambda x: x.reason == "休憩")
        for code in ("*15", "*151"):
            await lit[code].shows("steady")
        soon(lit["*151"], "steady", paused.at)
        assert lit["*13"].shown == "off"
        await dials(desk, "*13")
        await lit["*151"].shows("off")
        await s.device(1, Device.FREE)

        # A citizen waits and is answered; the keys inside the talk.
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0312345678", (f"{s.net}.1", s.settings.sip_port))
        )
        call = await citizen.call(NUMBER, tone(400))
        ringing = await desk.rings()
        await lit["demo-general"].shows("steady")
        ringing.sound = tone(600)
        ringing.answer()
        answered = await s.fact(f.CallAnswered)
        await lit["demo-general"].shows("off")
        await ringing.hears(2)
        ringing.press("*31")
        helped = await s.fact(f.HelpAsked)
        await lit["*31"].shows("steady")
        soon(lit["*31"], "steady", helped.at)
        await ringing.hears(2)
        ringing.press("*34")
        stopped = await s.fact(f.RecordingPaused)
        await lit["*34"].shows("steady")
        soon(lit["*34"], "steady", stopped.at)
        s.kill("engine")
        await s.start_engine()
        resumed = await s.fact(f.RecordingResumed)
        assert not resumed.early
        await lit["*34"].shows("off")
        assert lit["*31"].shown == "steady", "the help that was asked for is still wanted"
        await ringing.hears(3)
        ringing.press("*32")
        marked = await s.fact(f.CallMarked)
        assert (marked.mark, marked.agent) == (Mark.ABUSE, AGENT)
        await lit["*32"].shows("steady")
        soon(lit["*32"], "steady", marked.at)
        await ringing.hears(2)
        assert call.events == [], "the citizen heard no key"
        await dials(desk, "*12")  # a second call while one talks: refused
        assert s.told(f.AgentSignedOut) == []
        call.hang_up()
        await ringing.until("bye")

        # After-call work, its result, and everybody's lamps.
        ended = await s.fact(f.TalkEnded)
        await lit["*32"].shows("off")
        await lit["*14"].shows("steady")
        await lit["*20"].shows("flashing")
        soon(lit["*14"], "steady", ended.at)
        await dials(desk, "*209")
        assert s.told(f.ResultKeyed) == []
        # The lit key dials the code alone and is asked for the digit; one that is none, and none at all, is refused.
        for digit in ("9", ""):
            await keys_after(desk, "*20", digit)
        assert s.told(f.ResultKeyed) == []
        await dials(desk, "*201")
        await s.fact(f.ResultKeyed, lambda x: x.kind is ResultKind.DONE)
        await lit["*20"].shows("steady")
        await keys_after(desk, "*20", "4")  # corrected
        keyed = await s.fact(f.ResultKeyed, lambda x: x.kind is ResultKind.COMPLAINT)
        assert (keyed.call, keyed.result, keyed.kind) == (answered.call, "苦情", ResultKind.COMPLAINT)
        await lit["*20"].shows("steady")
        await dials(desk, "*31")
        assert len(s.told(f.HelpAsked)) == 1, "outside a talk there is nobody to be helped"

        # The recording: as long as the talk, and silent while it was paused.
        [record] = s.books().records.values()
        assert (record.abuse, record.helped, record.result) == (True, True, "苦情")
        assert 4 <= record.unrecorded / 1e6 < 15
        sound = audio.read(await s.recording(answered.call))
        began = (stopped.at - answered.at) / 1e6
        silence = sound[round((began + 1) * RATE) : round((began + 3) * RATE)]
        assert np.abs(silence).max() < 0.01, "nothing is recorded while it is paused"
        assert np.abs(sound[-2 * RATE :]).max() > 0.1, "and something after it"

        # Asterisk dies and comes back, the phone with it: each lamp shows what is so.
        links = len(s.told(f.LinkGained))
        await s.asterisk.stop()
        s.asterisk = asterisk_process(s.pbx, s.toolchain)
        await s.asterisk.start()
        await until(lambda: len(s.told(f.LinkGained)) > links)
        await desk.register()
        again = await lamps(s, desk)
        for code, shown in (
            ("*11", "steady"),
            ("*14", "steady"),
            ("*20", "steady"),
            ("*15", "off"),
            ("*31", "off"),
        ):
            await again[code].shows(shown)
        await dials(desk, "*13")
        await until(lambda: s.floor().agents[AGENT].presence is Presence.READY)
        await again["*14"].shows("off")


async def test_two_keys_at_once_are_one_after_the_other_and_the_second_finds_what_the_first_left() -> None:
    async with station(DemoCentre(agents=2, more=STAFF)) as s:
        one, two = [await phone(s, n) for n in (1, 2)]
        for n, desk in ((1, one), (2, two)):
            await signs_in(desk, agent=s.centre.agent(n))
        both = await asyncio.gather(one.call("*151", tone(600)), two.call("*151", tone(600)))
        await asyncio.gather(*(call.until("bye") for call in both))
        assert len(s.told(f.AgentPaused)) == 1, "one at once is the most for this reason"
        heard = [heard_prompts(s, call, "paused", "pause-full") for call in both]
        assert sorted(heard) == [["pause-full"], ["paused"]], "and both hear what became of it"


async def test_colleagues_see_who_rings_who_talks_who_wants_help_and_each_switch_of_the_emergency_is_in_the_trail() -> (
    None
):
    async with station(DemoCentre(agents=2, may_close=(1,), more=STAFF), prompts=brief_welcome) as s:
        one, two = [await phone(s, n) for n in (1, 2)]
        lit = {
            name: await two.watch(name)
            for name in ("*30", "demo-general", s.centre.phone(1), "*90", "policy")
        }
        for lamp in lit.values():
            await lamp.shows("off")
        colleague, queue = lit[s.centre.phone(1)], lit["demo-general"]
        await signs_in(one)
        await s.device(1, Device.FREE)
        calls = []
        for n in (1, 2, 3):
            citizen = await s.stack.enter_async_context(
                sip_agent(f"{s.net}.{130 + n}", f"031234567{n}", (f"{s.net}.1", s.settings.sip_port))
            )
            calls.append(await citizen.call(NUMBER, tone(400)))
        ringing = await one.rings()
        await colleague.shows("flashing")
        rang = await s.fact(f.OfferRang)
        soon(colleague, "flashing", rang.at)
        await queue.shows("flashing")
        ringing.sound = tone(600)
        ringing.answer()
        answered = await s.fact(f.CallAnswered)
        await colleague.shows("steady")
        soon(colleague, "steady", answered.at)
        await ringing.hears(2)
        ringing.press("*31")
        helped = await s.fact(f.HelpAsked)
        await lit["*30"].shows("flashing")
        soon(lit["*30"], "flashing", helped.at)
        for call in calls:
            call.hang_up()
        await ringing.until("bye")
        for lamp in (queue, lit["*30"], colleague):
            await lamp.shows("off")
        await s.device(1, Device.FREE)

        # Two keys at once on one phone: both are answered, one after the other.
        both = await asyncio.gather(one.call("*152", tone(600)), one.call("*12", tone(600)))
        await asyncio.gather(*(call.until("bye") for call in both))
        heard = [
            heard_prompts(s, call, "paused", "signed-out", "refused", "not-possible", "key-refused")
            for call in both
        ]
        assert all(len(words) == 1 for words in heard), heard
        await until(lambda: s.floor().agents[AGENT].presence is Presence.SIGNED_OUT)

        # The emergency key of who may, and of who may not.
        await signs_in(one)
        await signs_in(two, agent=s.centre.agent(2))
        await s.device(2, Device.FREE)
        await keys_after(two, "*90", "1")
        await keys_after(one, "*90", "1")
        await lit["*90"].shows("steady")
        await dials(one, "*91")
        await lit["*90"].shows("off")
        lines = trail_of(s.settings).newest(Wanted(), 50)
        switched = [(x.action, x.who, x.on, x.result) for x in lines if x.action.startswith("emergency")]
        assert switched == [
            ("emergency_end", f"agent:{AGENT}", s.centre.phone(1), Result.DONE),
            ("emergency_begin", f"agent:{AGENT}", s.centre.phone(1), Result.DONE),
            ("emergency_begin", f"agent:{s.centre.agent(2)}", s.centre.phone(2), Result.REFUSED),
        ]
