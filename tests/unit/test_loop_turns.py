"""A caller for whom an agent is free is not kept waiting by the inputs that came right behind."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import Instant, Micros, PhoneId
from callcore.domain.stages import Device
from callcore.domain.step import Step
from callcore.runtime.loop import TURN_EVERY, Loop
from callcore.runtime.offertimes import OfferTimes
from callcore.runtime.ports import Seq
from tests.support.floors import Desk

BEHIND = 500
DEADLINE_S = 10.0


@dataclass
class Taped(Desk):
    """Keeps the inputs that it was told."""

    tape: list[i.Input] = field(default_factory=list)

    def tell(self, told: i.Input) -> Step:
        self.tape.append(told)
        return super().tell(told)


class Paper:
    """A pen that never fails."""

    def __init__(self) -> None:
        self.frames = 0

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq:
        self.frames += 1
        return Seq(1, self.frames)


def behind(desk: Desk) -> list[i.Input]:
    """Inputs that mean nothing."""
    told = i.DeviceReported(at=desk.at(11), phone=PhoneId("nobody"), device=Device.FREE)
    return [told] * BEHIND


async def taken_before_the_offer_began(loop: Loop, inputs: list[i.Input]) -> int:
    """How many inputs the loop had taken as an offer's doing began; the loop runs to the end of them."""
    began: list[int] = []

    async def perform(effect: e.Effect) -> None:
        if isinstance(effect, e.OfferCall):
            began.append(loop.counts.inputs)

    loop._perform = perform
    for told in inputs:
        loop.put(told)
    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(DEADLINE_S):
        while loop.counts.inputs < len(inputs):
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    (first,) = began
    return first


async def nothing(_: e.Effect) -> None:
    return None


async def test_an_offer_begins_before_the_next_input_is_taken() -> None:
    desk = Taped()
    desk.begin()
    desk.sign_in(1, 1)
    floor, start = desk.floor, len(desk.tape)
    desk.wait(10, "c1")
    arrival = desk.tape[start:]
    times = OfferTimes(lambda: desk.at(12))
    loop = Loop(floor, Paper(), nothing, lambda: desk.at(12), times)
    taken = await taken_before_the_offer_began(loop, [*arrival, *behind(desk)])
    assert taken == len(arrival)
    assert sum(times.decided.counts) == 1


async def test_a_flood_of_inputs_lets_the_reader_have_its_turn() -> None:
    desk = Taped()
    desk.begin()
    loop = Loop(desk.floor, Paper(), nothing, lambda: desk.at(12), OfferTimes(lambda: desk.at(12)))
    for told in behind(desk):
        loop.put(told)
    turns: list[int] = []

    async def reader() -> None:
        while loop.counts.inputs < BEHIND:
            turns.append(loop.counts.inputs)
            await asyncio.sleep(0)

    running = asyncio.create_task(loop.run())
    async with asyncio.timeout(DEADLINE_S):
        await reader()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert max(b - a for a, b in pairwise(turns)) <= TURN_EVERY


async def test_a_timer_that_comes_late_is_timed_from_the_instant_at_which_it_was_due() -> None:
    desk = Taped()
    desk.begin()
    late = Micros(7_000)
    loop = Loop(desk.floor, Paper(), nothing, lambda: desk.at(12), OfferTimes(lambda: desk.at(12)))
    loop._timer(i.TimerFired(at=desk.at(12), timer=i.Timer(i.TimerKind.OFFER, "1.1")), late)
    loop.put(behind(desk)[0])
    (_, due), (_, now) = loop._inbox
    assert late <= now - due < late + 1_000_000
