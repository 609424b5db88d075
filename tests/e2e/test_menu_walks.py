"""Callers who key at random, say nothing, put down at any moment, or wait for what comes: nobody is left without an
ending, and no channel stays. `scripts/soak` walks a thousand times, the ordinary tests a sample of it."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from datetime import datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from callcore.demo.centre import NUMBER, DemoCentre
from callcore.domain import facts as f
from tests.e2e.test_reconciliation import settled
from tests.support.evidence import evidence
from tests.support.sip import Agent, Call, Habit, sip_agent, tone
from tests.support.station import Station, station, until

MENUS = """
[[menus]]
id = "first"
say = "please_wait"
timeout_s = 2
tries = 2

[[menus.keys]]
key = "1"
queue = "general"

[[menus.keys]]
key = "2"
say = "emergency"

[[menus.keys]]
key = "3"
menu = "second"

[[menus.keys]]
key = "6"
message = true

[[menus.keys]]
key = "#"
end = true

[[menus]]
id = "second"
say = "overflow"
timeout_s = 1
tries = 3

[[menus.keys]]
key = "1"
forward = "0120950178"

[[menus.keys]]
key = "*"
menu = "first"

[[menus.keys]]
key = "9"
queue = "general"

[[menus]]
id = "night"
say = "wrong_key"
timeout_s = 1
tries = 2

[[menus.keys]]
key = "1"
forward = "0120950178"

[[menus.keys]]
key = "2"
say = "emergency"

[[menus.keys]]
key = "6"
message = true
"""
KEYS = "11236993*#0"
"""What is keyed, the better ones more often."""
PATIENCE_S = 30.0
"""Seconds that who only waits stays on the line."""


def centre(closed: bool) -> DemoCentre:
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    return DemoCentre(
        agents=2,
        acw_s=1,
        longest_wait_s=30,
        days=tuple((f"{today + timedelta(days=n)}", ()) for n in range(2 if closed else 0)),
        menu="first",
        closed_menu="night",
        more=MENUS,
    )


async def citizens(s: Station, count: int) -> list[Agent]:
    await until(lambda: "opening hours pushed" in s.log("engine"), what="the hours are in Asterisk")
    pbx = (f"{s.net}.1", s.settings.sip_port)
    return [
        await s.stack.enter_async_context(sip_agent(f"{s.net}.{140 + n}", f"03{n:08}", pbx))
        for n in range(1, count + 1)
    ]


async def desks(s: Station) -> None:
    """Two agents whose phones answer at once."""
    for n in (1, 2):
        name = s.centre.phone(n)
        desk = await s.stack.enter_async_context(
            sip_agent(
                f"{s.net}.{20 + n}",
                name,
                (f"{s.net}.1", s.settings.sip_port),
                s.secrets.phones[name],  # type: ignore[index]
            )
        )
        desk.habit = Habit.ANSWER
        await desk.register()
        await until(lambda name=name: s.judged(name), what="it is held against the inventory")  # type: ignore[misc]
        call = await desk.call(f"*11{s.centre.agent(n)}", tone(600))
        await call.until("up")
        await call.hears(0.3)
        call.press("271828#")
        await call.until("bye")
        await s.available(n)


async def walk(citizen: Agent, chance: random.Random) -> Call:
    """One caller's way; at its end the call is over."""
    call = await citizen.call(NUMBER, tone(400))
    now = asyncio.get_running_loop().time
    waits = chance.random() < 0.15
    until_s = now() + (PATIENCE_S if waits else chance.uniform(0.1, 12))
    keys = 0 if waits else chance.choice((0, 1, 2, 5, 12))
    while not call.over and now() < until_s:
        await asyncio.sleep(chance.choice((0.02, 0.4, 1.3, 2.6)))
        if keys and call.state == "up":
            call.press("".join(chance.choice(KEYS) for _ in range(chance.choice((1, 1, 1, 2, 5)))))
            keys -= 1
    if not call.over:
        call.hang_up()
    return call


async def walks(s: Station, count: int, seed: int, at_once: int = 8) -> Counter[str]:
    """So many ways; the calls' outcomes."""
    people = await citizens(s, at_once)
    carrier = await s.carrier()
    chance = random.Random(seed)
    carrier.habit = Habit.ANSWER

    async def one(citizen: Agent, share: list[int]) -> None:
        for own in share:
            await walk(citizen, random.Random(own))

    seeds = [chance.getrandbits(32) for _ in range(count)]
    jobs = [asyncio.create_task(one(person, seeds[n :: len(people)])) for n, person in enumerate(people)]

    async def moods() -> None:
        while True:
            carrier.habit = chance.choice((Habit.ANSWER, Habit.BUSY, Habit.RING))
            await asyncio.sleep(3)

    mood = asyncio.create_task(moods())
    try:
        await asyncio.gather(*jobs)
    finally:
        mood.cancel()
    await s.ended(count)
    ended = [fact.call for fact in s.told(f.CallEnded)]
    assert len(ended) == len(set(ended)) == count, "each has one ending"
    assert {fact.call for fact in s.told(f.CallArrived)} == set(ended)
    assert not s.floor().calls
    await nobody_left(s)
    assert (await settled(s, count)).named == set(), "Asterisk's own books say the same"
    return Counter(s.outcomes())


async def nobody_left(s: Station) -> None:
    async with asyncio.timeout(15):
        while "0 active channels" not in await s.asterisk.command("core show channels count"):
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("closed", [False, True])
async def test_whatever_a_caller_keys_the_call_has_one_end_and_no_channel_stays(closed: bool) -> None:
    async with station(centre(closed)) as s:
        if not closed:
            await desks(s)
        found = await walks(s, 16, int(os.environ.get("CALLCORE_SEED", "20261128")))
        allowed = (
            {"closed"}
            if closed
            else {"completed", "abandoned", "abandoned_short", "ivr_only", "message_left"}
        )
        assert set(found) <= allowed, found


@pytest.mark.soak
@pytest.mark.parametrize("closed", [False, True])
async def test_five_hundred_random_ways_through_the_menus(closed: bool) -> None:
    seed = int(os.environ.get("CALLCORE_SEED", "20261128"))
    async with station(centre(closed)) as s:
        if not closed:
            await desks(s)
        found = await walks(s, 500, seed, at_once=24)
    evidence(
        f"500 random ways through the menus, {'out of' if closed else 'in'} hours",
        {"calls": sum(found.values()), "without one ending": 0, "channels left": 0, **dict(found)},
    )


STEPS = ("", "1", "2", "3", "6", "8", "22", "31", "3*", "39", "38", "3*2", "#")
NIGHT = ("", "1", "2", "6", "7", "22", "77")


@pytest.mark.parametrize("closed", [False, True])
async def test_who_puts_down_at_any_step_of_any_menu_has_one_ending(closed: bool) -> None:
    """At each step twice: as soon as the key was sent, and a second later."""
    async with station(centre(closed)) as s:
        people = await citizens(s, 6)
        carrier = await s.carrier()
        carrier.habit = Habit.RING
        places = list(product(NIGHT if closed else STEPS, (0.3, 1.2)))

        async def one(citizen: Agent, keys: str, pause: float) -> None:
            call = await citizen.call(NUMBER, tone(400))
            await call.until("up")
            await call.hears(0.3)
            if keys:
                call.press(keys)
                await asyncio.sleep(0.2 * len(keys))
            await asyncio.sleep(pause)
            if not call.over:
                call.hang_up()

        async def some(citizen: Agent, share: list[tuple[str, float]]) -> None:
            for keys, pause in share:
                await one(citizen, keys, pause)

        await asyncio.gather(*(some(person, places[n :: len(people)]) for n, person in enumerate(people)))
        await s.ended(len(places))
        ended = [fact.call for fact in s.told(f.CallEnded)]
        assert len(ended) == len(set(ended)) == len(places)
        assert not s.floor().calls
        await nobody_left(s)
        assert (await settled(s, len(places))).named == set(), "Asterisk's own books say the same"
