"""Citizens who are held and put through to the city, with everything real but the people."""

from __future__ import annotations

import asyncio
import json
import time
import wave

import numpy as np
import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.by_department import together as by_departments
from callcore.domain.ids import SECOND, AgentId, CallId, Instant
from callcore.domain.stages import Device, Outcome, Stage, Work
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.e2e.test_reconciliation import settled
from tests.integration.test_dialplan_call import until_hears
from tests.support.prompts import brief_welcome
from tests.support.sip import DEADLINE_S, Agent, Call, encoded, loudness, sip_agent, tone
from tests.support.station import Station, station, until

CITIZEN_HZ, AGENT_HZ, CITY_HZ = 400, 600, 1000
BACK_S = 10
"""Longer than the machine needs from "together" to a department's putting down at once, however loaded."""
LONGEST_S = 600
"""Longer than they take on a loaded machine (two minutes with 16 processes for 2 cores): five citizens one after the
other, or callcore killed and started twice."""
STORED_S = 60
"""The sidecar stands back on a machine that has too much to do."""
CITY = f"""
[outgoing]
number = "{NUMBER}"
ring_s = 60
acw_s = 1

[transfers]
blind = true
back_s = {BACK_S}

[[departments]]
id = "shimin"
short = "11"
name = "市民課"
number = "0970000111"
"""


class Day:
    """One agent at a desk phone, a city hall behind the carrier, and citizens one after the other."""

    def __init__(self, s: Station, desk: Agent, city: Agent, citizen: Agent) -> None:
        self.s, self.desk, self.city, self.citizen = s, desk, city, citizen

    async def talk(self) -> tuple[Call, Call, CallId]:
        """A citizen whom the agent talks with: the citizen's call, the phone's, and its id."""
        await self.s.available(1)
        before, answers = sum(leg.incoming for leg in self.desk.calls), len(self.s.told(f.CallAnswered))
        call = await self.citizen.call(NUMBER, tone(CITIZEN_HZ))
        leg = await self.desk.rings(before + 1)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until(lambda: len(self.s.told(f.CallAnswered)) > answers, 30, "answered")
        return call, leg, self.s.told(f.CallAnswered)[-1].call

    async def consult(self, leg: Call, *, answered: bool = True) -> tuple[Call, Call]:
        await leg.hold()
        before = sum(each.incoming for each in self.city.calls)
        asked = await self.desk.call("*511", tone(AGENT_HZ))
        far = await self.city.rings(before + 1)
        far.sound = tone(CITY_HZ)
        await asked.until("ringing")
        if answered:
            far.answer()
            await until_hears(far, AGENT_HZ)
        return asked, far

    async def city_answers(self) -> Call:
        far = await self.city.rings(sum(each.incoming for each in self.city.calls) or 1)
        far.sound = tone(CITY_HZ)
        far.answer()
        return far

    async def puts_down(self, *legs: Call) -> None:
        """The phone hangs up what is left of its legs, as it does after the NOTIFY."""
        for leg in legs:
            if not leg.over:
                leg.hang_up()
        await self.s.device(1, Device.FREE)

    async def past_back(self, since: Instant, back_s: int = BACK_S) -> None:
        """So long after the transfer a department that puts down has been a help. The dialplan counts whole seconds."""
        end = since / SECOND + back_s + 1
        await until(lambda: time.time() > end, back_s + DEADLINE_S, "it is longer ago than back_s")

    async def outcome(self, call: CallId) -> Outcome:
        def over() -> bool:
            record = self.s.books().records.get(call)
            return record is not None and record.outcome is not None

        await until(over, what=f"{call} is over")
        outcome = self.s.books().records[call].outcome
        assert outcome is not None
        return outcome


async def together(call: Call, far: Call) -> None:
    await until_hears(call, CITY_HZ)
    await until_hears(far, CITIZEN_HZ)


async def recorded(s: Station, call: CallId) -> dict[int, float]:
    """Seconds of each tone in the recording of a call."""
    with wave.open(str(await s.recording(call)), "rb") as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768.0
    found = dict.fromkeys((AGENT_HZ, CITY_HZ), 0.0)
    for at in range(0, len(samples) - 3999, 4000):
        part = encoded(samples[at : at + 4000])
        for hz in found:
            found[hz] += 0.5 if loudness(part, hz) > 0.2 else 0.0
    return found


@pytest.mark.timeout(LONGEST_S)
async def test_what_citizens_live_through_who_are_put_through_or_come_back() -> None:
    async with station(DemoCentre(agents=1, acw_s=1, more=CITY), prompts=brief_welcome) as s:
        desk, city = await phone(s), await s.carrier()
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        await signs_in(desk)
        day = Day(s, desk, city, citizen)
        agent = AgentId("1001")

        # Asked first, then the transfer key.
        call, leg, name = await day.talk()
        await until_hears(call, AGENT_HZ, 3)  # of which a second is to be in the recording
        asked, far = await day.consult(leg)
        assert (await leg.refer("*511", asked)).status == 202
        await together(call, far)
        moved = await s.fact(f.CallTransferred)
        assert (moved.call, moved.department, moved.blind, moved.agent) == (name, "demo-shimin", False, agent)
        await day.puts_down(leg, asked)
        await until(
            lambda: s.floor().agents[agent].work in (Work.WRAPPING_UP, Work.IDLE),
            what="the agent's talk is over",
        )
        assert s.floor().calls[name].stage is Stage.TRANSFERRED
        await until_hears(call, CITY_HZ, 4)
        await day.past_back(moved.at)
        far.hang_up()
        await call.until("bye")
        assert await day.outcome(name) is Outcome.TRANSFERRED_ATTENDED
        sound = await recorded(s, name)
        assert sound[AGENT_HZ] >= 1 and sound[CITY_HZ] >= 2, f"one recording, through the transfer: {sound}"

        # The transfer key while it still rings.
        call, leg, name = await day.talk()
        asked, far = await day.consult(leg, answered=False)
        await leg.refer("*511", asked)
        far.answer()
        await together(call, far)
        await day.puts_down(leg, asked)
        call.hang_up()
        await far.until("bye")
        assert await day.outcome(name) is Outcome.TRANSFERRED_BLIND

        # Unasked, by command; the department is busy, and the citizen comes back to the agent.
        call, leg, name = await day.talk()
        done = await callcore(s, "agent", "transfer", "1001", "--department", "11")
        assert done[0] == 0, done[1]
        far = await city.rings(3)
        far.hang_up()
        await day.puts_down(leg)
        again = await desk.rings(sum(each.incoming for each in desk.calls if each.over) + 1)
        again.answer()
        await until_hears(again, CITIZEN_HZ)
        again.hang_up()
        await call.until("bye")
        assert await day.outcome(name) is Outcome.COMPLETED

        # By the code in the consult; the department puts down at once, and that was no help.
        call, leg, name = await day.talk()
        asked, far = await day.consult(leg)
        asked.press("*35")
        await together(call, far)
        far.hang_up()
        await day.puts_down(leg, asked)
        again = await desk.rings(sum(each.incoming for each in desk.calls if each.over) + 1)
        call.hang_up()
        assert await day.outcome(name) is Outcome.CUT_OFF
        await again.until("cancelled")

        # Gone while held.
        call, leg, name = await day.talk()
        asked, far = await day.consult(leg)
        call.hang_up()
        await leg.until("bye")
        assert await day.outcome(name) is Outcome.LOST_ON_HOLD
        await day.puts_down(asked)

        books = s.books()
        told = by_departments(books.records.values(), books.asks)
        assert (told.asked, told.unasked, told.open) == (4, 1, 0)
        assert {end.value: n for end, n in told.ends.items() if n} == {
            "put_through": 3,
            "busy": 1,
            "lost_on_hold": 1,
        }
        s.books_agree()
        assert (await settled(s, 5)).total("differences") == 0


@pytest.mark.timeout(LONGEST_S)
async def test_a_citizen_is_put_through_while_callcore_is_dead_and_the_books_know_it_afterwards() -> None:
    """Where the recording is to end with the agent: what it held of the department is cut out afterwards."""
    more = CITY.replace(f"back_s = {BACK_S}", 'back_s = 3\nrecord_after = "agent"')
    async with station(DemoCentre(agents=1, acw_s=1, more=more), prompts=brief_welcome) as s:
        desk, city = await phone(s), await s.carrier()
        citizen = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        await signs_in(desk)
        day = Day(s, desk, city, citizen)
        call, leg, first = await day.talk()
        await until_hears(call, AGENT_HZ, 3)  # of which a second is to be in the recording
        s.kill("engine")
        asked, far = await day.consult(leg)
        await leg.refer("*511", asked)
        await together(call, far)
        await day_puts_down(leg, asked)
        await s.start_engine()
        await until(
            lambda: s.floor().calls[first].stage is Stage.TRANSFERRED, 30, "found with the department"
        )
        stopped = await s.fact(f.RecordingStopped)
        assert stopped.call == first and stopped.at - stopped.since > SECOND
        await day.past_back(stopped.at, 3)
        far.hang_up()
        await call.until("bye")
        assert await day.outcome(first) is Outcome.TRANSFERRED_ATTENDED
        assert s.books().records[first].department == "demo-shimin"

        s.start("sidecar")
        call, leg, second = await day.talk()
        asked, far = await day.consult(leg, answered=False)
        s.kill("engine")
        await leg.refer("*511", asked)
        far.answer()
        await together(call, far)
        await day_puts_down(leg, asked)
        await far.hears(2)
        call.hang_up()
        await far.until("bye")
        await s.start_engine()
        assert await day.outcome(second) is Outcome.TRANSFERRED_BLIND
        s.books_agree()
        for name in (first, second):
            filed = await s.fact(f.RecordingFiled, lambda x, name=name: x.call == name, STORED_S)  # type: ignore[misc]
            sound = await recorded(s, name)
            # Of some seconds with the department; the phones of this test send in bursts on a busy machine.
            assert filed.problem is None and sound[CITY_HZ] <= 0.5, (name, filed, sound)
        assert (await recorded(s, first))[AGENT_HZ] >= 1
        held = {name for name, each in s.books().sides.items() if each.connected_at is not None}
        wanted = {f"{name}.wav" for name in (first, second, *held)}
        await until(
            lambda: {each.name for each in s.settings.recordings.iterdir()} == wanted,
            STORED_S,
            "no consult that was none, and nothing that is uncut",
        )
        assert (await settled(s, 2)).total("differences") == 0
        await told_as_recorded(s, first, "consult", "call")


async def told_as_recorded(s: Station, call: CallId, *kinds: str) -> None:
    """The operator is told these recordings of a call, once the sidecar has stored them."""
    end = time.monotonic() + STORED_S
    while True:
        status, said = await callcore(s, "recordings", "find", "--call", call, "--json")
        if status == 0 and [each["kind"] for each in json.loads(said)["recordings"]] == list(kinds):
            return
        assert time.monotonic() < end, said
        await asyncio.sleep(1)


async def day_puts_down(*legs: Call) -> None:
    """As `Day.puts_down`, with nobody there who would tell the phone's state."""
    for leg in legs:
        if not leg.over:
            leg.hang_up()
