"""A talk's recording is paused, and whatever becomes of the talk meanwhile, no more is missing than was asked for."""

from __future__ import annotations

import asyncio
import contextlib
import wave
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest

from callcore.audit.compare import SLACK_S
from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, AgentId, CallId
from callcore.domain.stages import Mark, PauseEnd, SideKind
from callcore.domain.tape import Heard, Pause, heard
from callcore.recordings.sides import joined
from callcore.runtime.commands import ask_once
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_reconciliation import settled
from tests.integration.test_dialplan_call import until_hears
from tests.support.prompts import brief_welcome
from tests.support.sip import RATE, Agent, Call, sip_agent, tone
from tests.support.station import DEADLINE_S, Station, station, until

pytestmark = [pytest.mark.few, pytest.mark.timeout(400)]

F = TypeVar("F", bound=f.Fact)
T = TypeVar("T", bound="Talk")
CITIZEN_HZ, AGENT_HZ, CITY_HZ = 400, 600, 1000
OFFICE = "0975346111"
DESKS = 6
PAUSE_S = 16
WITHIN_S = 0.25
"""By so much the silence may be longer or shorter than the pause that was told, by the file's own clock: phones on a
machine with too much to do send in bursts, of which Asterisk drops some, so that a file may run a little fast."""
CITY = f"""
[outgoing]
number = "{NUMBER}"
kinds = ["landline"]
ring_s = 10
acw_s = 1

[transfers]
blind = true
back_s = 0

[recording]
pause = "silence"
pause_s = {PAUSE_S}

[[departments]]
id = "shimin"
short = "11"
name = "市民課"
number = "0970000111"
"""


class Talk:
    """One citizen and one agent at a desk phone."""

    ends: type[f.Fact] = f.CallEnded

    def __init__(self, day: Day, call: Call, leg: Call, name: CallId) -> None:
        self.day, self.call, self.leg, self.name = day, call, leg, name
        self.s = day.s

    async def pauses(self) -> f.RecordingPaused:
        before = len(self.of(f.RecordingPaused))
        await self.leg.hears(1)
        self.leg.press("*34")
        await self.day.until(lambda: len(self.of(f.RecordingPaused)) > before, f"{self.name} is paused")
        return self.of(f.RecordingPaused)[-1]

    async def goes_on(self, why: PauseEnd) -> f.RecordingResumed:
        """It is told that it went on, for that reason, and some of it is recorded."""
        count = len(self.of(f.RecordingPaused))
        await self.day.until(
            lambda: len(self.of(f.RecordingResumed)) == count, f"{self.name} goes on: {why}", PAUSE_S + 15
        )
        told = self.of(f.RecordingResumed)[-1]
        assert (told.why, told.early) == (why, why is PauseEnd.ASKED), self.name
        return told

    async def asks_to_go_on(self) -> None:
        self.leg.press("*34")
        await self.goes_on(PauseEnd.ASKED)

    def of(self, kind: type[F]) -> list[F]:
        return [
            fact
            for fact in self.day.facts
            if isinstance(fact, kind) and getattr(fact, "call", None) == self.name
        ]

    async def consults(self) -> tuple[Call, Call]:
        """The caller is held, and the department answers."""
        await self.leg.hold()
        async with self.day.asking:
            before = sum(each.incoming for each in self.day.city.calls)
            asked = await self.leg.agent.call("*511", tone(AGENT_HZ))
            far = await self.day.city.rings(before + 1)
        far.sound = tone(CITY_HZ)
        await asked.until("ringing")
        far.answer()
        await until_hears(far, AGENT_HZ)
        return asked, far

    async def over(self, *legs: Call) -> None:
        """Everybody puts down, the citizen first."""
        for each in (self.call, *legs, self.leg):
            if not each.over:
                each.hang_up()
        await self.day.until(lambda: self.of(self.ends), f"{self.name} is over")

    # -- what is in the file --------------------------------------------------------------------------------------

    async def samples(self) -> np.ndarray:
        with wave.open(str(await self.s.recording(self.name)), "rb") as sound:
            return np.frombuffer(sound.readframes(sound.getnframes()), np.int16)

    def expected(self) -> tuple[Heard, list[float]]:
        """By the facts: what is to be in it, and the seconds of each pause while anybody talked with the caller."""
        begun = [
            each.at
            for kind in (f.CallAnswered, f.CallTransferred, f.SideCallConnected)
            for each in self.of(kind)
        ]
        ended = [each.at for kind in (f.TalkEnded, f.TransferEnded, self.ends) for each in self.of(kind)]
        talks = [(since, min(each for each in ended if each >= since)) for since in sorted(begun)]
        resumed = [each.at for each in self.of(f.RecordingResumed)]
        pauses = [
            Pause(each.at, min((at for at in resumed if at >= each.at), default=None), each.gap)
            for each in self.of(f.RecordingPaused)
        ]
        lengths = [heard(talks, [replace(each, gap=False)]).silent / SECOND for each in pauses]
        return heard(talks, pauses), lengths

    async def fault(self) -> str | None:
        """Where the silence in the file is not what was asked for, or is not followed by sound where it went on."""
        samples = await self.samples()
        wanted, pauses = self.expected()
        silent = sorted(silences(samples), reverse=True)
        gap = any(each.gap for each in self.of(f.RecordingPaused))
        long, length = len(samples) / RATE, wanted.length / SECOND
        told = [] if gap else sorted((each * long / length for each in pauses), reverse=True)
        same = len(silent) >= len(told)
        same &= all(abs(x - y) <= WITHIN_S for x, y in zip(silent, told, strict=False))
        more = silent[len(told)] if len(silent) > len(told) else 0.0
        went_on = len(self.of(f.RecordingResumed)) == len(pauses)
        sound = bool(samples[-RATE // 2 :].any()) is went_on
        if same and sound and more < min(pauses) - WITHIN_S and long <= length + SLACK_S:
            return None
        found = [round(each, 2) for each in silent[:4]]
        return f"{self.name}: {long:.2f} s of {length:.2f}, silent {found} for {pauses}, gap {gap}"


class CallOut(Talk):
    """An agent at a desk phone (`leg`) and whom that phone called."""

    ends = f.SideCallEnded


class Day:
    """Some agents at desk phones, a city hall behind the carrier, and citizens."""

    def __init__(self, s: Station, desks: Sequence[Agent], city: Agent, citizen: Agent) -> None:
        self.s, self.desks, self.city, self.citizen = s, desks, city, citizen
        self.calling, self.asking = asyncio.Lock(), asyncio.Lock()
        self.facts: list[f.Fact] = []
        self._read = asyncio.Condition()
        s.stack.push_async_callback(self._close, asyncio.create_task(self._look()))

    async def _look(self) -> None:
        """One reader of the journal for all talks, for each look costs the machine that is measured."""
        while True:
            self.facts = self.s.facts()
            async with self._read:
                self._read.notify_all()
            await asyncio.sleep(0.1)

    async def _close(self, reader: asyncio.Task[None]) -> None:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader

    async def until(self, condition: Callable[[], object], what: str, within: float = DEADLINE_S) -> None:
        try:
            async with asyncio.timeout(within), self._read:
                await self._read.wait_for(lambda: bool(condition()))
        except TimeoutError:
            raise AssertionError(f"not within {within} s: {what}\n{self.s.log('engine')}") from None

    async def answered(self, name: str) -> Call:
        """Whoever's phone rings for this caller answers."""
        ringing: list[Call] = []

        def rings() -> bool:
            ringing[:] = [
                each for desk in self.desks for each in desk.calls if each.incoming and not each.over
            ]
            ringing[:] = [each for each in ringing if each.state != "up"]
            return bool(ringing)

        await until(rings, 2 * DEADLINE_S, f"somebody's phone rings for {name}")
        [leg] = ringing
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(leg, CITIZEN_HZ)
        return leg

    async def talk(self) -> Talk:
        async with self.calling:
            known = {fact.call for fact in self.facts if isinstance(fact, f.CallArrived)}
            call = await self.citizen.call(NUMBER, tone(CITIZEN_HZ))
            leg = await self.answered("the next caller")
            answered: list[f.CallAnswered] = []

            def came() -> bool:
                answered[:] = [
                    fact for fact in self.facts if isinstance(fact, f.CallAnswered) and fact.call not in known
                ]
                return bool(answered)

            await self.until(came, "the next caller is answered")
        return Talk(self, call, leg, answered[0].call)

    def free(self) -> Agent:
        """A desk that does nothing, the last one first; to be asked while nobody else is called."""
        return next(desk for desk in reversed(self.desks) if all(each.over for each in desk.calls))

    async def call_out(self) -> CallOut:
        async with self.calling, self.asking:
            known = {each.call for each in self._called_out()}
            before = sum(each.incoming for each in self.city.calls)
            leg = await self.free().call(OFFICE, tone(AGENT_HZ))
            far = await self.city.rings(before + 1)
            far.sound = tone(CITY_HZ)
            far.answer()
            await until_hears(leg, CITY_HZ)
            new: set[CallId] = set()

            def came() -> bool:
                new.update({each.call for each in self._called_out()} - known)
                return bool(new)

            await self.until(came, "somebody calls out")
            [name] = new
            await self.until(
                lambda: [x for x in self.facts if isinstance(x, f.SideCallConnected) and x.call == name],
                f"{name} is connected",
            )
        return CallOut(self, far, leg, name)

    def _called_out(self) -> list[f.SideCallBegan]:
        return [x for x in self.facts if isinstance(x, f.SideCallBegan) and x.kind is SideKind.OUTGOING]


def silences(samples: np.ndarray) -> list[float]:
    """Seconds of each stretch of nothing at all."""
    edges = np.flatnonzero(np.diff(np.concatenate([[1], (samples != 0).astype(np.int8), [1]])))
    return [(end - begin) / RATE for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def centre(pause: str, agents: int, channels: str = "mixed") -> DemoCentre:
    rule = f'"{pause}"\nchannels = "{channels}"'
    return DemoCentre(agents=agents, acw_s=1, more=CITY.replace('"silence"', rule))


async def opened(s: Station) -> Day:
    desks = [await phone(s, n + 1) for n in range(s.centre.agents)]
    for desk in desks:
        await desk.register(300)  # on a loaded machine the usual 120 s are over before the last talk
    await asyncio.gather(
        *(signs_in(desk, agent=AgentId(s.centre.agent(n + 1))) for n, desk in enumerate(desks))
    )
    citizen = await s.stack.enter_async_context(
        sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
    )
    for n in range(s.centre.agents):
        await s.available(n + 1)
    return Day(s, desks, await s.carrier(), citizen)


# -- the sequences; each ends with the call ------------------------------------------------------------------------


async def paused_and_gone_on(day: Day) -> Talk:
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(2.5)
    await talk.asks_to_go_on()
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def forgotten(talk: T) -> T:
    paused = await talk.pauses()
    resumed = await talk.goes_on(PauseEnd.TIME)
    assert resumed.at - paused.at >= PAUSE_S * SECOND - 1000
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def paused_and_forgotten(day: Day) -> Talk:
    return await forgotten(await day.talk())


async def paused_held_and_taken_up(day: Day) -> Talk:
    """The pause lasts through the hold."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hold()
    await day.until(lambda: talk.of(f.CallHeld), "held")
    await talk.call.hears(1)
    await talk.leg.resume()
    await day.until(lambda: talk.of(f.CallResumed), "taken up")
    await talk.leg.hears(1.5)
    assert talk.of(f.RecordingResumed) == []
    await talk.asks_to_go_on()
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def paused_and_forgotten_on_hold(day: Day) -> Talk:
    """Its time counts on while the caller is held."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hold()
    await day.until(lambda: talk.of(f.CallHeld), "held")
    await talk.goes_on(PauseEnd.TIME)
    assert talk.of(f.CallResumed) == []
    await talk.leg.resume()
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def paused_while_a_department_is_asked(day: Day) -> Talk:
    """The consult has a recording of its own, which is whole."""
    talk = await day.talk()
    await talk.pauses()
    asked, far = await talk.consults()
    await far.hears(1)
    asked.hang_up()
    await far.until("bye")
    await talk.leg.resume()
    await talk.leg.hears(1.5)
    assert talk.of(f.RecordingResumed) == []
    await talk.asks_to_go_on()
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def paused_and_put_through(day: Day) -> Talk:
    """Of the talk with the department nothing is missing."""
    talk = await day.talk()
    await talk.pauses()
    asked, far = await talk.consults()
    assert (await talk.leg.refer("*511", asked)).status == 202
    await until_hears(talk.call, CITY_HZ)
    await talk.goes_on(PauseEnd.TALK_ENDED)
    await far.hears(3)
    await talk.over(asked, far)
    return talk


async def paused_and_sent_on_unasked(day: Day) -> Talk:
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(2)
    async with day.asking:
        before = sum(each.incoming for each in day.city.calls)
        assert (await talk.leg.refer("*511")).status == 202
        far = await day.city.rings(before + 1)
    far.sound = tone(CITY_HZ)
    far.answer()
    await until_hears(talk.call, CITY_HZ)
    await talk.goes_on(PauseEnd.TALK_ENDED)
    await far.hears(3)
    await talk.over(far)
    return talk


async def paused_and_taken_over_by_a_colleague(day: Day) -> Talk:
    """Who takes over is recorded, and may pause anew."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hold()
    async with day.calling:
        desk = day.free()
        before = sum(each.incoming for each in desk.calls)
        asked = await talk.leg.agent.call(desk.user, tone(AGENT_HZ))
        leg = await desk.rings(before + 1)
    leg.sound = tone(CITY_HZ)
    leg.answer()
    await until_hears(asked, CITY_HZ)
    assert (await talk.leg.refer(desk.user, asked)).status == 202
    await until_hears(talk.call, CITY_HZ)
    await talk.goes_on(PauseEnd.TALK_ENDED)
    for each in (talk.leg, asked):
        if not each.over:
            each.hang_up()
    talk.leg = leg
    await leg.hears(1.5)
    await talk.pauses()
    await leg.hears(2.5)  # what is keyed while it hears the answer is lost
    await talk.asks_to_go_on()
    await leg.hears(1)
    await talk.over()
    return talk


async def paused_and_reported(day: Day) -> Talk:
    """A report ends the pause, and there is none any more."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(2.5)
    talk.leg.press("*32")
    await day.until(lambda: [x for x in talk.of(f.CallMarked) if x.mark is Mark.ABUSE], "reported")
    await talk.goes_on(PauseEnd.REPORTED)
    await talk.leg.hears(2)
    talk.leg.press("*34")
    await talk.leg.hears(2)
    assert len(talk.of(f.RecordingPaused)) == 1
    await talk.over()
    return talk


async def paused_to_the_end(day: Day) -> Talk:
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(1.5)
    await talk.over()
    return talk


async def paused_on_a_phone_that_is_cut_off(day: Day) -> Talk:
    """Whoever answers next is recorded."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(1)
    async with day.calling:
        talk.leg.end("gone")
        await day.until(lambda: talk.of(f.TalkEnded), "the leg is lost")
        await talk.goes_on(PauseEnd.TALK_ENDED)
        talk.leg = await day.answered(talk.name)
    await talk.leg.hears(2.5)
    await talk.over()
    return talk


async def paused_on_a_phone_that_is_lost_while_callcore_is_dead(day: Day) -> Talk:
    """Whoever answers by the safety net is recorded, and the pause was over with the talk: nobody sees it end."""
    talk = await day.talk()
    await talk.pauses()
    await talk.leg.hears(1)
    day.s.kill("engine")
    talk.leg.end("gone")
    talk.leg = await day.answered(talk.name)
    await talk.leg.hears(2.5)
    await day.s.start_engine()
    await day.until(lambda: len(talk.of(f.CallAnswered)) == 2, "callcore knows who has the caller")
    resumed = await talk.goes_on(PauseEnd.TALK_ENDED)
    [ended] = talk.of(f.TalkEnded)
    assert resumed.at == ended.at
    await talk.leg.hears(1)
    await talk.over()
    return talk


# -- calls out: their recording ends with them, so that a pause ends by key, by its time, or with the call ------------


async def paused_and_gone_on_in_a_call_out(day: Day) -> CallOut:
    """Twice, and whom it is with hears no key."""
    out = await day.call_out()
    for _ in range(2):
        await out.pauses()
        await out.leg.hears(2.5)
        await out.asks_to_go_on()
        await out.leg.hears(2.5)
    assert out.call.events == []
    await out.over()
    return out


async def paused_and_forgotten_in_a_call_out(day: Day) -> CallOut:
    return await forgotten(await day.call_out())


async def paused_in_the_agents_stead_to_the_end_of_a_call_out(day: Day) -> CallOut:
    """By who may act for agents; and the agent puts down, or whom the call is with."""
    out = await day.call_out()
    await out.leg.hears(1)
    [begun] = out.of(f.SideCallBegan)
    told = await ask_once(day.s.settings.engine_socket, "agent_talk_key", agent=begun.agent, key="recording")
    assert told["done"], told
    await day.until(lambda: out.of(f.RecordingPaused), f"{out.name} is paused")
    assert out.of(f.RecordingPaused)[0].by is not None
    await out.leg.hears(1.5)
    await out.over()
    return out


async def paused_in_a_call_out_while_callcore_dies(day: Day) -> list[Talk]:
    """callcore is back, and ends it when its time is over; a talk is lost meanwhile."""
    out = await day.call_out()
    await out.pauses()
    talk = await paused_on_a_phone_that_is_lost_while_callcore_is_dead(day)
    await out.goes_on(PauseEnd.TIME)
    await out.leg.hears(1.5)
    await out.over()
    return [out, talk]


async def faults(talks: Sequence[Talk]) -> list[str]:
    found = [await talk.fault() for talk in talks]
    return [fault for fault in found if fault is not None]


async def test_a_pause_takes_as_much_of_a_recording_as_was_asked_for_whatever_becomes_of_the_talk() -> None:
    async with station(centre("silence", DESKS, "stereo"), phone_rtp_timeout_s=5, prompts=brief_welcome) as s:
        day = await opened(s)
        talks = await asyncio.gather(
            paused_and_gone_on(day),
            paused_and_forgotten(day),
            paused_held_and_taken_up(day),
            paused_while_a_department_is_asked(day),
            paused_and_reported(day),
            paused_and_forgotten_on_hold(day),
        )
        talks += await asyncio.gather(
            paused_and_put_through(day),
            paused_and_sent_on_unasked(day),
            paused_to_the_end(day),
            paused_on_a_phone_that_is_cut_off(day),
        )
        talks += await asyncio.gather(
            paused_and_taken_over_by_a_colleague(day),
            paused_and_gone_on_in_a_call_out(day),
            paused_and_forgotten_in_a_call_out(day),
            paused_in_the_agents_stead_to_the_end_of_a_call_out(day),
        )
        talks += await paused_in_a_call_out_while_callcore_dies(day)
        assert await faults(talks) == []
        for talk in talks:
            joined(await s.recording(talk.name)).close()  # both sides are silent where it is, and whole


async def test_a_pause_that_is_a_gap_is_cut_out_of_the_recording() -> None:
    async with station(centre("gap", 3), phone_rtp_timeout_s=5, prompts=brief_welcome) as s:
        day = await opened(s)
        s.start("sidecar")
        *talks, out = await asyncio.gather(
            paused_and_gone_on(day), paused_held_and_taken_up(day), paused_and_gone_on_in_a_call_out(day)
        )
        for talk in (*talks, out):
            await day.until(lambda: talk.of(f.RecordingFiled), f"{talk.name} is filed", 60)  # noqa: B023
            assert talk.of(f.RecordingFiled)[0].problem is None
        assert await faults([*talks, out]) == []
        assert (await settled(s, len(talks))).total("differences") == 0
