"""Agents who hold, ask, cancel, put through and put down at random, departments and citizens who do likewise, several
calls at a time: nobody is left without an ending. `scripts/soak` has 300 of them, the ordinary tests a sample."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections import Counter

import pytest

from callcore.domain import facts as f
from callcore.domain.ids import AgentId
from callcore.domain.stages import Presence
from tests.e2e.test_menu_walks import seed
from tests.e2e.test_reconciliation import settled
from tests.support.consults import CITY, SHUT, House, house, put_down
from tests.support.evidence import evidence
from tests.support.sip import Agent, Call, tone

pytestmark = pytest.mark.few

PAUSES_S = (0.0, 0.02, 0.1, 0.4, 0.4, 1.2, 1.2)
"""Between two things that somebody does."""
ASKS = ("*511", "*511", "*512", "*512", "*513", "*521")
ENDS = {
    "completed",
    "transferred_attended",
    "transferred_blind",
    "lost_on_hold",
    "cut_off",
    "abandoned",
    "abandoned_short",
}


class Walks:
    def __init__(self, h: House, chance: random.Random) -> None:
        self.h, self.chance = h, chance
        self.did: Counter[str] = Counter()
        """What was done, by whom."""

    async def pause(self) -> None:
        await asyncio.sleep(self.chance.choice(PAUSES_S))

    async def agent(self, desk: Agent) -> None:
        """Takes each call that rings, a colleague's question too; for ever."""
        while True:
            leg = self.h.fresh(desk)
            if leg is None:
                await asyncio.sleep(0.05)
                continue
            await self.pause()
            if leg.state != "ringing":
                continue
            if self.chance.random() < 0.05:
                leg.hang_up()
                await asyncio.sleep(0.5)
                await self.goes_on(desk)
                continue
            leg.sound = tone(self.h.hz())
            leg.answer()
            with contextlib.suppress(AssertionError, TimeoutError):  # the other side was gone meanwhile
                await self.handle(leg)
            put_down(*desk.calls)

    async def goes_on(self, desk: Agent) -> None:
        """Whom callcore paused after calls that were not taken keys `*13`."""
        agent = AgentId(self.h.s.centre.agent(self.h.desks.index(desk) + 1))
        if self.h.s.floor().agents[agent].presence is Presence.PAUSED:
            call = await desk.call("*13")
            await call.until("bye")

    async def handle(self, leg: Call) -> None:
        asked: list[Call] = []
        held = False
        for _ in range(self.chance.choice((2, 6, 12))):
            await self.pause()
            if leg.over and not asked:
                return
            asked = [each for each in asked if not each.over]
            may = ["wait", "wait"] if leg.over else ["resume" if held else "hold", "blind", "drop"]
            if not leg.over and len(asked) < 2:
                may += ["department"] * 4 + ["colleague"]
            for each in asked:
                if each.state == "ringing":
                    may += ["cancel", "cancel in the instant of an answer", "put through while it rings"]
                    may += ["wait"] * 4
                if each.state == "up":
                    may += ["end", *["put through"] * 4, *["*35"] * 3]
            does = self.chance.choice(may)
            self.did[f"agent: {does}"] += 1
            state = "up" if does in ("end", "put through", "*35") else "ringing"
            its = next((each for each in asked if each.state == state), None)
            if does in ("hold", "resume"):
                await (leg.resume() if held else leg.hold())
                held = not held
            elif does == "department":
                asked.append(await leg.agent.call(self.chance.choice(ASKS), tone(self.h.hz())))
            elif does == "colleague":
                others = [each for each in self.h.desks if each is not leg.agent]
                asked.append(await leg.agent.call(self.chance.choice(others).user, tone(self.h.hz())))
            elif does == "blind":
                await leg.refer(self.chance.choice(ASKS))
            elif does == "drop":
                put_down(leg)
            elif does.startswith("put through") and its is not None and its.far and not leg.over:
                await leg.refer("*511", its)
            elif does == "*35" and its is not None:
                its.press("*35")
            elif does == "cancel in the instant of an answer" and its is not None:
                its.crosses = True
            elif does in ("cancel", "end") and its is not None:
                put_down(its)

    async def city(self) -> None:
        async with asyncio.TaskGroup() as calls:
            while True:
                call = self.h.fresh(self.h.city)
                if call is None:
                    await asyncio.sleep(0.05)
                else:
                    calls.create_task(self.department(call))

    async def department(self, call: Call) -> None:
        does = self.chance.choice(
            ("answer", "answer", "answer", "answer when cancelled", "busy", "reject", "ring")
        )
        await self.pause()
        if call.state != "ringing":
            return
        self.did[f"department: {does}"] += 1
        call.sound = tone(self.h.hz())
        if does == "answer":
            call.answer()
            await asyncio.sleep(self.chance.choice((0.0, 0.5, 2.0, 2.0, 6.0)))
            put_down(call)
        elif does == "answer when cancelled":
            call.crosses = True
        elif does == "busy":
            call.hang_up()
        elif does == "reject":
            call.decline()

    async def citizens(self, count: int) -> None:
        """One after the other."""
        for _ in range(count):
            call = await self.h.dials()
            patience_s = self.chance.choice((3.0, 6.0, 10.0, 15.0, 30.0))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    while not call.over:
                        await asyncio.sleep(0.05)
            self.did["citizen: hang up" if not call.over else "citizen: hears the end"] += 1
            put_down(call)


async def walks(h: House, count: int, at_once: int) -> tuple[Counter[str], Counter[str]]:
    """So many citizens; the outcomes, and what was done."""
    way = Walks(h, random.Random(seed()))
    others = [asyncio.create_task(way.agent(desk)) for desk in h.desks]
    others.append(asyncio.create_task(way.city()))
    try:
        shares = [count // at_once + (n < count % at_once) for n in range(at_once)]
        await asyncio.gather(*(way.citizens(share) for share in shares))
    finally:
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    put_down(*(call for desk in (h.city, *h.desks) for call in desk.calls))
    for desk in h.desks:
        await way.goes_on(desk)
    s = h.s
    await s.ended(count, 30)
    await h.no_channel()
    await h.all_free()
    ended = [fact.call for fact in s.told(f.CallEnded)]
    assert len(ended) == len(set(ended)) == count, "each has one ending"
    assert set(ended) == set(s.call_ids())
    floor = s.floor()
    assert floor.problems() == [] and not floor.offers and not floor.channels
    assert h.faults() == []
    s.figures()
    s.books_agree()
    said = await settled(s, count)
    assert said.total("differences") == 0, said.out
    return Counter(s.outcomes()), way.did


async def test_whatever_agents_departments_and_citizens_do_each_call_has_one_end_and_nobody_stays_at_work() -> (
    None
):
    async with house(4, more=CITY + SHUT) as h:
        found, _ = await walks(h, 12, 6)
        assert set(found) <= ENDS, found


@pytest.mark.soak
async def test_three_hundred_random_ways_through_hold_consult_and_transfer() -> None:
    at_once = int(os.environ.get("CALLCORE_TEST_AT_ONCE", "12"))
    count = int(os.environ.get("CALLCORE_TEST_WALKS", "300"))
    async with house(8, more=CITY + SHUT) as h:
        found, did = await walks(h, count, at_once)
        asked = Counter("open" if one.end is None else one.end.value for one in h.asks())
        evidence(
            f"{count} random ways through hold, consult and transfer, on a real Asterisk",
            {
                "seed": seed(),
                "calls": sum(found.values()),
                "at once": at_once,
                "without one ending": 0,
                "channels left": 0,
                "agents left at work": 0,
                "differences from Asterisk's books": 0,
                "outcomes": ", ".join(f"{name} {n}" for name, n in sorted(found.items())),
                "what became of asking departments": ", ".join(
                    f"{name} {n}" for name, n in sorted(asked.items())
                ),
                "done": ", ".join(f"{name} {n}" for name, n in sorted(did.items())),
            },
        )
        assert set(found) <= ENDS, found
