"""Callers whom a menu forwards to an outside number, on a real Asterisk: each such talk is recorded, watched, and no
answer in any figure."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from callcore.demo.centre import NUMBER
from callcore.domain import facts as f
from callcore.domain.findings import Finding
from callcore.domain.ids import SECOND, CallId
from callcore.domain.measures import Record
from callcore.domain.recording import RecordingKind
from callcore.domain.stages import Choice, Outcome, Party
from tests.chaos.rig import console
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_live_configuration import callcore
from tests.e2e.test_reconciliation import settled
from tests.integration.test_dialplan_call import until_hears
from tests.support.consults import seconds_of
from tests.support.menus import BEYOND, NATIONAL, Waits, brief_prompts, full, menu, says
from tests.support.people import read_page
from tests.support.sip import Agent, Call, comes_true, sip_agent, tone
from tests.support.station import Station, sealed_soon, station, until

CITIZEN_HZ, OUTSIDE_HZ, AGENT_HZ = 400, 900, 600
KEYS = {
    "1": 'queue = "general"',
    "3": f'forward = "{NATIONAL}"',
    "4": f'forward = "{NATIONAL}"\nrecord = false',
}
MORE = (
    menu("subject", "please_wait", KEYS, timeout_s=8)
    + full(timeout_s=8)
    + says("full", "ja")
    + '[recording]\nchannels = "stereo"\n'
    + "".join(
        f'[[contacts]]\ndigits = "{digits}"\nname = "{digits}"\nforward = "{to}"\nrecord = {record}\n'
        for digits, to, record in (
            ("0975105160", "0975105998", "true"),
            ("0975105161", "0975105999", "false"),
        )
    )
)


class Day:
    """An agent at a desk phone, citizens, and the carrier's other end. What is expected of each recording is kept."""

    def __init__(self, s: Station, desk: Agent, outside: Agent) -> None:
        self.s, self.desk, self.outside = s, desk, outside
        self.wanted: dict[CallId, set[Finding]] = {}
        self.ends_as: dict[CallId, Outcome] = {}
        self.put_down: dict[CallId, Party] = {}
        self.calling = asyncio.Lock()
        """Of whoever calls until the own other end rings."""
        self._people = 0

    async def calls(self, key: str) -> tuple[Call, CallId]:
        """A citizen who keys that in the menu."""
        self._people += 1
        pbx = (f"{self.s.net}.1", self.s.settings.sip_port)
        host = f"{self.s.net}.{140 + self._people}"
        person = await self.s.stack.enter_async_context(sip_agent(host, f"03{self._people:08}", pbx))
        call = await person.call(NUMBER, tone(CITIZEN_HZ))
        await call.until("up")
        arrived = await self.s.fact(
            f.CallArrived, lambda told: told.caller.text == person.user and told.call not in self.ends_as
        )
        await call.hears(0.5)
        call.press(key)
        return call, arrived.call

    async def rings(self) -> Call:
        before = sum(each.incoming for each in self.outside.calls)
        found = await self.outside.rings(before + 1)
        found.sound = tone(OUTSIDE_HZ)
        return found

    async def rung(self, key: str = "3") -> tuple[Call, Call, CallId]:
        async with self.calling:
            rings = asyncio.create_task(self.rings())
            call, name = await self.calls(key)
            return call, await rings, name

    async def forwarded(self, key: str = "3", *, early_s: float = 0) -> tuple[Call, Call, CallId]:
        """`early_s`: for so long the network plays something while it rings."""
        call, leg, name = await self.rung(key)
        if early_s:
            leg.speaks_early()
            await asyncio.sleep(early_s)
        leg.answer()
        await until_hears(call, OUTSIDE_HZ)
        await self.s.fact(f.CallForwarded, lambda told: told.call == name)
        return call, leg, name

    def spool(self, name: CallId) -> Path:
        return self.s.settings.recordings / f"{name}.wav"

    async def over(
        self, who: Call, name: CallId, *findings: Finding, outcome: Outcome = Outcome.IVR_ONLY
    ) -> None:
        self.wanted[name], self.ends_as[name] = set(findings), outcome
        self.put_down[name] = Party.CALLED if who.incoming else Party.CALLER
        who.hang_up()
        await self.s.fact(f.CallEnded, lambda told: told.call == name, 30)


async def as_it_should_be(day: Day) -> CallId:
    """The network says something while it rings; the other end puts down."""
    call, leg, name = await day.forwarded(early_s=1.5)
    await call.hears(3)
    await day.over(leg, name)
    await call.until("bye")
    return name


async def of_which_the_caller_puts_down(day: Day) -> None:
    call, _, name = await day.forwarded()
    await call.hears(2)
    await day.over(call, name)


async def not_to_be_recorded(day: Day) -> CallId:
    call, _, name = await day.forwarded("4")
    await call.hears(1)
    await day.over(call, name)
    assert not day.spool(name).exists()
    del day.wanted[name]
    return name


async def to_a_contact_number(day: Day, number: str, *, recorded: bool) -> CallId:
    """That is passed on to where people talk, or to a FAX."""
    async with day.calling:
        rings = asyncio.create_task(day.rings())
        call = await day.outside.call(number, tone(CITIZEN_HZ))
        leg = await rings
    leg.answer()
    await until_hears(call, OUTSIDE_HZ)
    began = await day.s.fact(f.SideCallBegan, lambda told: told.number == number)
    await call.hears(2.5)
    call.hang_up()
    await day.s.fact(f.SideCallEnded, lambda told: told.call == began.call, 30)
    assert day.spool(began.call).exists() is recorded
    if recorded:
        day.wanted[began.call] = set()
    return began.call


async def deleted(day: Day) -> None:
    _, leg, name = await day.forwarded()
    await comes_true(day.spool(name).exists, "it has begun")
    day.spool(name).unlink()
    await day.over(leg, name, Finding.MISSING)


async def lacks_two_seconds(day: Day) -> None:
    call, leg, name = await day.forwarded()
    channel = day.s.floor().calls[name].channel_name
    await call.hears(1)
    await console(day.s, f"mixmonitor stop {channel}")
    await call.hears(2.5)
    await console(day.s, f"mixmonitor start {channel} {day.spool(name)},ab")
    await call.hears(1.5)
    await day.over(leg, name, Finding.SHORT)


async def with_a_dead_microphone(day: Day) -> None:
    call, leg, name = await day.rung()
    leg.speaks = False
    leg.answer()
    await day.s.fact(f.CallForwarded, lambda told: told.call == name)
    await until_hears(leg, CITIZEN_HZ)
    await leg.hears(5.5)
    await day.over(call, name, Finding.SILENT_AGENT)


async def nobody_sends(day: Day) -> None:
    call, leg, name = await day.forwarded()
    await call.hears(1)
    leg.speaks = call.speaks = False
    await asyncio.sleep(5)  # what is awaited is that nothing comes
    await day.over(leg, name, Finding.NO_MEDIA)


async def callcore_dies_in_two_of_them(day: Day) -> tuple[CallId, CallId]:
    """One goes on; of the other one nobody sees answer and end."""
    call, leg, name = await day.forwarded()
    other, its_leg, unseen = await day.rung()
    day.s.kill("engine")
    its_leg.answer()
    await until_hears(other, OUTSIDE_HZ)
    await other.hears(2)
    its_leg.hang_up()
    await other.until("bye")
    await day.s.start_engine()
    day.wanted[unseen], day.ends_as[unseen] = set(), Outcome.IVR_ONLY
    day.put_down[unseen] = Party.CALLED
    await day.s.fact(f.CallEnded, lambda told: told.call == unseen, 30)
    await call.hears(1)
    await day.over(leg, name)
    return name, unseen


async def out_of_the_line(day: Day) -> tuple[CallId, CallId]:
    """While the agent talks and somebody waits, two are led into the menu for who is beyond. One finds the outside
    number busy, waits on and is answered; the other one is forwarded."""
    s = day.s
    answered = sum(each.incoming for each in day.desk.calls)

    async def talks(call: Call, name: CallId) -> None:
        nonlocal answered
        answered += 1
        leg = await day.desk.rings(answered)
        leg.sound = tone(AGENT_HZ)
        leg.answer()
        await until_hears(call, AGENT_HZ)
        await s.fact(f.CallAnswered, lambda told: told.call == name)

    first, talking = await day.calls("1")
    await talks(first, talking)
    second, waiting = await day.calls("1")
    await s.fact(f.VisitBegan, lambda told: told.call == waiting)
    third, back = await day.calls("1")
    await s.fact(f.OverflowMenuBegan, lambda told: told.call == back)
    await third.hears(1)
    async with day.calling:
        rings = asyncio.create_task(day.rings())
        third.press("3")
        (await rings).hang_up()
    await s.fact(f.LineRejoined, lambda told: told.call == back)
    fourth, away = await day.calls("1")
    await s.fact(f.OverflowMenuBegan, lambda told: told.call == away)
    await fourth.hears(1)
    async with day.calling:
        rings = asyncio.create_task(day.rings())
        fourth.press("3")
        leg = await rings
    leg.answer()
    await until_hears(fourth, OUTSIDE_HZ)
    await fourth.hears(2)
    await day.over(leg, away, outcome=Outcome.OVERFLOW_KEY)
    await day.over(first, talking, outcome=Outcome.COMPLETED)
    await talks(second, waiting)
    await second.hears(0.5)
    await day.over(second, waiting, outcome=Outcome.COMPLETED)
    await talks(third, back)
    await third.hears(3)
    await day.over(third, back, outcome=Outcome.COMPLETED)
    return back, away


@pytest.mark.timeout(420)
async def test_who_is_forwarded_is_recorded_and_watched_and_is_no_answer() -> None:
    centre = Waits(agents=1, acw_s=1, rules=BEYOND, menu="subject", more=MORE)
    async with station(centre, sidecar=True, prompts=brief_prompts, prepare=sealed_soon) as s:
        desk = await phone(s)
        await signs_in(desk)
        await s.available(1)
        day = Day(s, desk, await s.carrier())

        async def as_they_should_be() -> tuple[CallId, CallId, CallId]:
            whole = await as_it_should_be(day)
            await of_which_the_caller_puts_down(day)
            left_out = await not_to_be_recorded(day)
            voice = await to_a_contact_number(day, "0975105160", recorded=True)
            await to_a_contact_number(day, "0975105161", recorded=False)
            return whole, left_out, voice

        async def gone_wrong() -> None:
            await deleted(day)
            await lacks_two_seconds(day)
            await with_a_dead_microphone(day)
            await nobody_sends(day)

        (whole, left_out, voice), (back, away), _ = await asyncio.gather(
            as_they_should_be(), out_of_the_line(day), gone_wrong()
        )
        went_on, unseen = await callcore_dies_in_two_of_them(day)

        wanted = day.wanted
        await until(lambda: len(s.told(f.RecordingFiled)) == len(wanted), 90, "every recording is filed")
        filed = {fact.call: fact for fact in s.told(f.RecordingFiled)}
        assert {call: set(fact.findings) for call, fact in filed.items()} == wanted, filed
        ended = {fact.call: fact for fact in s.told(f.CallEnded)}
        assert {call: fact.outcome for call, fact in ended.items()} == day.ends_as
        assert {call: fact.hung_up_by for call, fact in ended.items()} == day.put_down
        assert all(filed[call].at - fact.at <= 60 * SECOND for call, fact in ended.items() if call in filed)
        for call in (whole, went_on, back, away, voice):
            fact = filed[call]
            assert fact.sent is not None and fact.talk is not None, fact
            assert abs(fact.seconds - fact.sent) <= 1 and abs(fact.talk - fact.sent) <= 1, fact
        assert filed[unseen].sent is None and (filed[unseen].talk or 0) > 2, "nobody saw its end"

        # The notice was said before, in the caller's language; who waits had heard it already, and hears it again.
        forwarded = {fact.call: fact for fact in s.told(f.CallForwarded)}
        assert {fact.notice for fact in forwarded.values() if fact.recorded} == {"ja"}
        assert [call for call, fact in forwarded.items() if not fact.recorded] == [left_out]
        assert [call for call, fact in forwarded.items() if fact.reconstructed] == [unseen]
        chosen = [fact.call for fact in s.told(f.MenuAnswered) if fact.choice is Choice.FORWARD]
        assert set(chosen) == {*forwarded, back}

        # Both are heard, each on the own side, and nothing of the notice; the talk of who came back is whole.
        for call, far_hz, least in ((whole, OUTSIDE_HZ, 3), (back, AGENT_HZ, 3), (away, OUTSIDE_HZ, 2)):
            kept = await s.fact(f.RecordingKept, lambda told, call=call: told.call == call, 90)  # type: ignore[misc]
            await until(lambda call=call: not day.spool(call).exists(), what="the plain one is gone")  # type: ignore[misc]
            assert (kept.kind, kept.channels) == (RecordingKind.CALL, 2)
            assert kept.captured_sha256 == filed[call].sha256
            citizen, far, notice = heard(await s.recording(call), CITIZEN_HZ, far_hz, 300)
            assert citizen[0] >= least and citizen[1] == 0, citizen
            assert far[1] >= least and far[0] == 0, far
            assert notice == (0, 0)

        # No answer: what has an agent is counted, and nothing else.
        records = s.books().records
        with_agents = [call for call, outcome in day.ends_as.items() if outcome is Outcome.COMPLETED]
        assert {call for call, one in records.items() if one.answered_at is not None} == set(with_agents)
        assert all(untouched(records[call]) for call in forwarded)
        figures = s.figures()
        assert (figures.answered, figures.offered) == (3, 4)

        named = {each: [call for call, found in wanted.items() if each in found] for each in Finding}
        told = {(call, kind) for call, kind, source, _ in (await settled(s, len(ended))).named}
        assert told == {
            (named[Finding.MISSING][0], "recording_missing"),
            (named[Finding.SHORT][0], "recording_short"),
            (named[Finding.NO_MEDIA][0], "recording_no_media"),
            (named[Finding.SILENT_AGENT][0], "recording_one_sided"),
        }
        shown = read_page(s.settings, "/metrics")[1]
        for result in ("missing", "short", "no_media", "silent_agent"):
            assert f'callcore_recordings_total{{result="{result}"}} 1.0' in shown, result
        status, said = await callcore(s, "recordings", "find", "--json", "--call", whole)
        assert status == 0 and whole in said, said


def heard(path: Path, *pitches: int) -> list[tuple[float, float]]:
    """Seconds of each tone on the left and on the right of a recording that is kept in two channels."""
    with wave.open(str(path), "rb") as sound:
        frames = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2) / 32768.0
    left, right = (seconds_of(side, *pitches) for side in frames.T)
    return list(zip(left, right, strict=True))


def untouched(record: Record) -> bool:
    """No talk, no hold, no transfer."""
    return (record.talk, record.away, record.agent, record.transferred_at) == (0, 0, None, None)
