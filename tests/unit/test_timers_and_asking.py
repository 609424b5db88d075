"""Timers that are set again, and asking the deciding task what became of an input."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from callcore.access.rights import system_person
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import AgentId, Instant, after, seconds
from callcore.domain.inputs import Timer, TimerFired, TimerKind
from callcore.domain.stages import Presence
from callcore.runtime.commands import Refused
from callcore.runtime.emergencydesk import EmergencyDesk
from callcore.runtime.loop import Loop
from callcore.runtime.ports import Seq
from callcore.runtime.staffdesk import StaffDesk, line, rows
from callcore.runtime.timers import Timers
from tests.support.floors import Desk

A, B = Timer(TimerKind.WAIT, "a"), Timer(TimerKind.WAIT, "b")

BY = system_person("test")


class Clock:
    def __init__(self) -> None:
        self.time = 1_000

    def __call__(self) -> Instant:
        return Instant(self.time)


@asynccontextmanager
async def running(timers: Timers) -> AsyncIterator[None]:
    task = asyncio.create_task(timers.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def turns(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():
            await asyncio.sleep(0)


async def test_a_timer_that_is_set_again_fires_once_at_its_latest_instant_be_it_later_or_earlier() -> None:
    clock, fired = Clock(), list[TimerFired]()
    timers = Timers(clock, lambda told, _: fired.append(told))
    timers.set(A, Instant(2_000))
    timers.set(A, Instant(5_000))
    timers.set(B, Instant(9_000))
    timers.set(B, Instant(3_000))
    assert len(timers) == 2
    async with running(timers):
        clock.time = 3_500
        await turns(lambda: len(fired) == 1)
        assert [x.timer for x in fired] == [B]
        clock.time = 6_000
        timers.set(B, Instant(5_500))  # an earlier instant wakes it
        await turns(lambda: len(fired) == 3)
        assert [x.timer for x in fired] == [B, A, B]
    assert len(timers) == 0


async def test_timers_set_again_and_again_do_not_pile_up() -> None:
    timers = Timers(Clock(), lambda _told, _late: None)
    for n in range(10_000):
        timers.set(A, Instant(10_000 + n))
        timers.set(B, Instant(90_000 - n))
    assert len(timers) == 2
    assert len(timers._heap) < 100


class Pen:
    def __init__(self) -> None:
        self.full = False
        self.written: list[f.Fact] = []

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq:
        if self.full:
            raise OSError("no space")
        self.written += facts
        return Seq(1, len(self.written))


@asynccontextmanager
async def deciding(floor: Floor) -> AsyncIterator[tuple[StaffDesk, Loop, Pen]]:
    async def perform(_: e.Effect) -> None:
        return None

    pen = Pen()
    loop = Loop(floor, pen, perform, lambda: after(floor.at, seconds(1)))
    task = asyncio.create_task(loop.run())
    try:
        yield StaffDesk(loop, lambda: after(floor.at, seconds(1))), loop, pen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def staffed() -> Floor:
    """A floor with the first agent signed in."""
    desk = Desk().begin()
    desk.sign_in(1, 1)
    return desk.floor


async def ask(desk: StaffDesk, command: str, **fields: str) -> Any:
    return await desk.commands[command].handler(fields, BY)


async def test_a_supervisor_is_told_what_became_of_a_pause_and_of_its_end_after_they_are_written() -> None:
    async with deciding(staffed()) as (desk, loop, pen):
        assert await ask(desk, "agent_pause", agent="1001", reason=" 研修  午後 ") == {
            "done": True,
            "why": None,
        }
        [paused] = [fact for fact in pen.written if isinstance(fact, f.AgentPaused)]
        assert (paused.reason, paused.by) == ("研修 午後", "system:test")
        assert loop.floor.agents[AgentId("1001")].presence is Presence.PAUSED
        assert line((await ask(desk, "agents"))[0]) == (
            "1001  オペレーター01  demo  demo-p1  離席 / paused  (研修 午後)"
        )
        assert await ask(desk, "agent_ready", agent="1001") == {"done": True, "why": None}
        assert await ask(desk, "agent_sign_out", agent="1001") == {"done": True, "why": None}
        again = await ask(desk, "agent_sign_out", agent="1001")
        assert again["done"] is False
        assert "cannot be signed out" in again["why"]


async def test_a_reason_that_is_too_long_or_empty_and_an_agent_who_does_not_exist_are_refused() -> None:
    async with deciding(staffed()) as (desk, _, pen):
        for reason in ("", "   ", "あ" * 21, "a\x07b"):
            with pytest.raises(Refused, match="1 to 20"):
                await ask(desk, "agent_pause", agent="1001", reason=reason)
        with pytest.raises(Refused, match="no agent 9999"):
            await ask(desk, "agent_ready", agent="9999")
        assert pen.written == []


async def test_while_the_journal_cannot_be_written_whoever_asks_hears_so_and_it_is_done_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("callcore.runtime.staffdesk.DECIDED_WITHIN_S", 0.05)
    monkeypatch.setattr("callcore.runtime.loop.WRITE_RETRY_S", 0.01)
    async with deciding(staffed()) as (desk, _, pen):
        pen.full = True
        with pytest.raises(Refused, match="not decided yet"):
            await ask(desk, "agent_pause", agent="1001", reason="休憩")
        pen.full = False
        await turns(lambda: pen.written != [])
        assert rows(staffed())[0]["presence"] == "ready"


async def test_an_input_that_the_core_cannot_take_is_said_to_whoever_asked() -> None:
    async with deciding(staffed()) as (_, loop, _pen):
        with pytest.raises(RuntimeError, match="fault"):
            await loop.ask(i.Input(at=Instant(0)))


# -- emergency closures --------------------------------------------------------------------------------------


async def test_a_supervisor_begins_sees_and_ends_an_emergency_and_each_is_written_with_who_asked() -> None:
    async with deciding(staffed()) as (_, loop, pen):
        now = after(loop.floor.at, seconds(1))
        desk = EmergencyDesk(loop, lambda: now)
        until = now / 1e6 + 600
        begun = await desk.commands["emergency_begin"].handler(
            {"centre": "demo", "reason": " 地震  震度6 ", "until": until}, BY
        )
        wanted = {"centre": "demo", "since": now / 1e6, "until": until, "reason": "地震 震度6", "by": BY.id}
        assert begun == {"done": True, "why": None, "emergency": wanted}
        assert await desk.commands["emergency_list"].handler({}, BY) == [wanted]
        assert await desk.commands["emergency_end"].handler({"centre": "demo"}, BY) == {
            "done": True,
            "why": None,
        }
        assert await desk.commands["emergency_list"].handler({}, BY) == []
        assert (await desk.commands["emergency_end"].handler({"centre": "demo"}, BY))["done"] is False
        began, ended = pen.written
        assert isinstance(began, f.EmergencyBegan) and (began.by, began.until) == (BY.id, round(until * 1e6))
        assert isinstance(ended, f.EmergencyEnded) and ended.by == BY.id


async def test_an_emergency_that_makes_no_sense_is_refused_with_what_to_say_instead() -> None:
    async with deciding(staffed()) as (_, loop, pen):
        desk = EmergencyDesk(loop, lambda: after(loop.floor.at, seconds(1)))
        wrong = {
            "one of: demo": {"centre": "nowhere", "reason": "地震"},
            "1 to 100": {"centre": "demo", "reason": "  "},
            "give reason": {"centre": "demo", "reason": "あ" * 101},
            "seconds since the epoch": {"centre": "demo", "reason": "地震", "until": "18:00"},
        }
        for said, told in wrong.items():
            with pytest.raises(Refused, match=said):
                await desk.commands["emergency_begin"].handler(told, BY)
        past = await desk.commands["emergency_begin"].handler(
            {"centre": "demo", "reason": "地震", "until": 1}, BY
        )
        assert past["done"] is False and "later than now" in past["why"] and past["emergency"] is None
        assert pen.written == []
