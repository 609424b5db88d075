"""Recordings of calls out, call-backs and a 連絡用番号 go wrong on a real Asterisk; each is named, and no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from callcore.domain.findings import Finding
from callcore.domain.ids import SECOND, AgentId, CallId
from callcore.domain.stages import Device, SideKind
from callcore.runtime.commands import ask_once
from tests.chaos.rig import console
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.e2e.test_reconciliation import settled
from tests.integration.test_dialplan_call import until_hears
from tests.support.people import read_page
from tests.support.sip import Agent, Call, comes_true, sip_agent, tone
from tests.support.station import Station, station, until

AGENT_HZ, CITY_HZ = 600, 400
CONTACT = "0975105160"
FILE = f"""
[outgoing]
number = "{NUMBER}"
kinds = ["landline"]
acw_s = 0

[[contacts]]
digits = "{CONTACT}"
name = "連絡用"
phones = ["p2"]

[[menus]]
id = "subject"
say = "please_wait"
timeout_s = 8
tries = 2

[[menus.keys]]
key = "1"
callback = true

[callbacks]
attempts = 1
"""


class Day:
    """Two agents at desk phones, the carrier's other end, and citizens who want to be called back."""

    def __init__(self, s: Station, desks: list[Agent], city: Agent) -> None:
        self.s, self.desks, self.city = s, desks, city
        self.wanted: dict[CallId, set[Finding]] = {}

    async def far(self, number: str) -> Call:
        """Where the carrier rings."""
        found: list[Call] = []

        def rings() -> bool:
            found[:] = [
                each
                for each in self.city.calls
                if each.invite is not None and each.incoming and f"sip:{number}@" in each.invite.start
            ]
            return bool(found)

        await comes_true(rings, f"{number} rings")
        found[-1].sound = tone(CITY_HZ)
        return found[-1]

    async def begun(self, number: str) -> CallId:
        told = await self.s.fact(f.SideCallBegan, lambda fact: fact.other.text == number)
        await self.s.fact(f.SideCallConnected, lambda fact: fact.call == told.call)
        await comes_true(self.spool(told.call).exists, "the recording has begun")
        return told.call

    async def calls_out(self, n: int, number: str, early_s: float = 0) -> tuple[Call, Call, CallId]:
        """Agent `n` talks with somebody; `early_s`: for so long the network plays something while it rings."""
        await self.s.device(n, Device.FREE)
        call = await self.desks[n - 1].call(number, tone(AGENT_HZ))
        leg = await self.far(number)
        if early_s:
            leg.speaks_early()
            await asyncio.sleep(early_s)
        leg.answer()
        await until_hears(call, CITY_HZ)
        return call, leg, await self.begun(number)

    def spool(self, name: CallId) -> Path:
        return self.s.settings.recordings / f"{name}.wav"

    async def ends(self, leg: Call, name: CallId, *findings: Finding) -> None:
        self.wanted[name] = set(findings)
        leg.hang_up()
        await self.s.fact(f.SideCallEnded, lambda told: told.call == name, 30)


async def deleted(day: Day) -> None:
    call, _, name = await day.calls_out(1, "0975346101")
    day.spool(name).unlink()
    await day.ends(call, name, Finding.MISSING)


async def paused_and_one_side_sends_for_a_part(day: Day) -> None:
    call, leg, name = await day.calls_out(1, "0975346102")
    await leg.hears(0.5)
    for kind in (f.RecordingPaused, f.RecordingResumed):
        call.press("*34")
        await day.s.fact(kind, lambda told: told.call == name)
        await leg.hears(2)
    leg.speaks = (
        False  # not while the agent hears that it goes on, and nothing of the agent's comes here either
    )
    await leg.hears(2)
    await day.ends(call, name)


async def lacks_two_seconds(day: Day) -> None:
    call, leg, name = await day.calls_out(1, "0975346103")
    await leg.hears(1)
    ((far, _),) = day.s.floor().sides[name].legs
    await console(day.s, f"mixmonitor stop {far}")
    await leg.hears(2)
    await console(day.s, f"mixmonitor start {far} {day.spool(name)},ab")
    await leg.hears(1.5)
    await day.ends(call, name, Finding.SHORT)


async def nobody_sends(day: Day) -> None:
    call, leg, name = await day.calls_out(2, "0975346201")
    await leg.hears(1)
    leg.speaks = call.speaks = False
    await asyncio.sleep(4)  # what is awaited is that nothing comes
    await day.ends(leg, name, Finding.NO_MEDIA)


async def rung_at_by_the_city_with_a_dead_microphone(day: Day) -> None:
    await day.s.device(2, Device.FREE)
    call = await day.city.call(CONTACT, tone(CITY_HZ))
    leg = await day.desks[1].rings()
    leg.speaks = False
    leg.answer()
    await until_hears(leg, CITY_HZ)
    told = await day.s.fact(f.SideCallBegan, lambda fact: fact.kind is SideKind.CONTACT)
    await leg.hears(5.5)
    await day.ends(call, told.call, Finding.SILENT_AGENT)


async def as_it_should_be(day: Day) -> None:
    """The network says something while it rings."""
    _, leg, name = await day.calls_out(2, "0975346202", early_s=1.5)
    await leg.hears(1.5)
    await day.ends(leg, name)


async def passed_on(day: Day) -> None:
    """The agent asks an office, and the phone's transfer key leaves who was called with that office."""
    call, leg, name = await day.calls_out(2, "0975346203")
    await call.hold()
    asked = await day.desks[1].call("0975346205", tone(AGENT_HZ))
    office = await day.far("0975346205")
    office.answer()
    await until_hears(asked, CITY_HZ)
    its = await day.begun("0975346205")
    assert (await call.refer("0975346205", asked)).status == 202
    for each in (name, its):
        await day.s.fact(f.SideCallEnded, lambda told, each=each: told.call == each)  # type: ignore[misc]
    for line in (call, asked):
        if not line.over:
            line.hang_up()
    await leg.hears(3)
    day.wanted[name] = day.wanted[its] = set()
    leg.hang_up()
    await office.until("bye")


async def callcore_dies_in_two_of_them(day: Day) -> None:
    """One goes on, and neither sends for a while; of the other one nobody sees the end."""
    (call, leg, name), (other, its_leg, seen) = await asyncio.gather(
        day.calls_out(1, "0975346104"), day.calls_out(2, "0975346204", early_s=0.5)
    )
    day.s.kill("engine")
    await its_leg.hears(1)
    other.hang_up()
    await its_leg.until("bye")

    async def are_still() -> None:
        leg.speaks = call.speaks = False
        await asyncio.sleep(2.7)
        leg.speaks = call.speaks = True

    await asyncio.gather(day.s.start_engine(), are_still())
    await leg.hears(1)
    await day.ends(leg, name)
    day.wanted[seen] = set()
    ended = await day.s.fact(f.SideCallEnded, lambda told: told.call == seen)
    assert ended.reconstructed and ended.received is None


async def wants_to_be_called_back(day: Day, number: str, n: int) -> None:
    pbx = (f"{day.s.net}.1", day.s.settings.sip_port)
    citizen = await day.s.stack.enter_async_context(sip_agent(f"{day.s.net}.13{n}", number, pbx))
    call = await citizen.call(NUMBER, tone(CITY_HZ))
    await call.hears(1)
    call.press("1")
    await call.hears(3)
    call.press("1")
    await call.until("bye")


async def is_called_back(day: Day, number: str, seconds: float, *findings: Finding) -> None:
    """By whichever agent's phone rings; who is not heard has `findings`."""
    leg = await day.far(number)
    leg.speaks = not findings
    leg.answer()
    await until_hears(leg, AGENT_HZ)
    name = await day.begun(number)
    await leg.hears(seconds)
    await day.ends(leg, name, *findings)


async def picks_up(desk: Agent, before: int) -> None:
    ringing = await desk.rings(before + 1)
    ringing.sound = tone(AGENT_HZ)
    ringing.answer()


@pytest.mark.timeout(300)
async def test_each_recording_of_a_call_out_that_goes_wrong_is_named_and_no_other_is() -> None:
    centre = DemoCentre(agents=2, acw_s=1, ring_s=15, menu="subject", more=FILE)
    async with station(centre, sidecar=True) as s:
        desks = [await phone(s, n) for n in (1, 2)]
        await asyncio.gather(
            *(signs_in(desk, agent=AgentId(s.centre.agent(n))) for n, desk in enumerate(desks, 1))
        )
        agents = [s.centre.agent(n) for n in (1, 2)]
        for agent in agents:  # the calls back are to come last
            assert (await ask_once(s.settings.engine_socket, "agent_pause", agent=agent, reason="休憩"))[
                "done"
            ]
        day = Day(s, desks, await s.carrier())

        async def first() -> None:
            await deleted(day)
            await paused_and_one_side_sends_for_a_part(day)
            await lacks_two_seconds(day)

        async def second() -> None:
            await nobody_sends(day)
            await rung_at_by_the_city_with_a_dead_microphone(day)
            await as_it_should_be(day)
            await passed_on(day)

        citizens = ("0312345671", "0312345672")
        await asyncio.gather(
            first(), second(), *(wants_to_be_called_back(day, each, n) for n, each in enumerate(citizens, 1))
        )
        await callcore_dies_in_two_of_them(day)
        rung = [sum(each.incoming for each in desk.calls) for desk in desks]
        for agent in agents:
            assert (await ask_once(s.settings.engine_socket, "agent_ready", agent=agent))["done"]
        await asyncio.gather(
            *(picks_up(desk, before) for desk, before in zip(desks, rung, strict=True)),
            is_called_back(day, citizens[0], 1.5),
            is_called_back(day, citizens[1], 5.5, Finding.SILENT_CALLER),
        )
        assert len(s.told(f.CallbackReached)) == 2

        wanted = day.wanted
        await until(lambda: len(s.told(f.RecordingFiled)) == len(wanted), 90, "every recording is filed")
        filed = {fact.call: fact for fact in s.told(f.RecordingFiled)}
        assert {call: set(fact.findings) for call, fact in filed.items()} == wanted, filed
        ended = {fact.call: fact.at for fact in s.told(f.SideCallEnded)}
        assert all(fact.at - ended[call] <= 60 * SECOND for call, fact in filed.items())
        for call, found in wanted.items():
            if found <= {Finding.SILENT_AGENT, Finding.SILENT_CALLER} and filed[call].sent is not None:
                fact = filed[call]
                assert fact.sent is not None and abs(fact.seconds - fact.sent) <= 1, fact
        assert sum(fact.sent is None for fact in filed.values()) == 1, "of which nobody saw the end"

        # The figures, the log, the list and the books of the day say so as well.
        named = {each: [call for call, found in wanted.items() if each in found] for each in Finding}
        counted = [f'callcore_recordings_total{{result="{each.value}"}} 1.0' for each in named if named[each]]

        def shown() -> bool:
            page = read_page(s.settings, "/metrics")[1]
            return all(line in page for line in counted)

        await until(shown, 10, f"{counted}")
        assert "/ something is wrong with a recording" in s.log("sidecar")
        told = {(call, kind) for call, kind, source, _ in (await settled(s, len(citizens))).named}
        assert told == {
            (named[Finding.MISSING][0], "recording_missing"),
            (named[Finding.SHORT][0], "recording_short"),
            (named[Finding.NO_MEDIA][0], "recording_no_media"),
            (named[Finding.SILENT_AGENT][0], "recording_one_sided"),
            (named[Finding.SILENT_CALLER][0], "recording_one_sided"),
        }
        for finding, calls in named.items():
            if calls:
                status, said = await callcore(s, "recordings", "find", "--problem", finding.value, "--json")
                assert status == 0 and all(call in said for call in calls), said
