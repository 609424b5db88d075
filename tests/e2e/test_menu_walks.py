"""Callers who key at random, say nothing, put down at any moment, or wait for what comes: nobody is left without an
ending, and no channel stays. `scripts/soak` walks a thousand times, the ordinary tests a sample of it.

Ways are written as what is done one after the other: a key, `.` a second of patience, `@` patience until the menu for
who is beyond the agents, and `^` in front: the number is withheld."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from callcore.demo.centre import NUMBER
from callcore.domain import facts as f
from callcore.domain.ids import CallId
from callcore.domain.stages import Party
from tests.e2e.test_agents_keys import phone, signs_in
from tests.e2e.test_reconciliation import settled
from tests.support.evidence import evidence
from tests.support.menus import (
    BEYOND,
    NATIONAL,
    Waits,
    brief_prompts,
    comfort,
    full,
    languages,
    menu,
    says,
)
from tests.support.sip import Agent, Call, Habit, sip_agent, tone
from tests.support.station import Station, station, until

SUBJECT = {
    "1": 'queue = "general"',
    "2": 'say = "emergency"',
    "3": 'menu = "further"',
    "5": "callback = true",
    "6": "message = true",
    "#": "end = true",
}
FURTHER = {"1": f'forward = "{NATIONAL}"', "*": 'menu = "subject"', "9": 'queue = "other"'}
NIGHT = {"1": f'forward = "{NATIONAL}"', "2": 'say = "emergency"', "6": "message = true", "#": "end = true"}
MENUS = (
    languages("language", "subject")
    + menu("subject", "please_wait", SUBJECT)
    + menu("further", "overflow", FURTHER)
    + full(timeout_s=2)
    + languages("night-language", "night")
    + menu("night", "wrong_key", NIGHT)
    + """
[outgoing]
acw_s = 0
ring_s = 10

[callbacks]
attempts = 1

[messages]
silence_s = 3
longest_s = 10

[unwelcome]
withheld = "announce"
"""
    + says("full", "ja", "en")
    + says("language_choice", "ja", "en")
    + f'[[queues]]\nid = "other"\nname = "ほか"\nlongest_wait_s = 60\n{comfort(3)}'
)
DAY = {
    "caller": "^.",
    "language": "",
    "language wrong_key": "8",
    "language no_key": ".....",
    "subject": "1",
    "subject say_back": "12",
    "subject wrong_key": "28",
    "subject no_key": "1....",
    "subject: message": "16",
    "subject: message at the tone": "16..",
    "subject: ask-back": "15",
    "subject: ask-back taken": "251",
    "further": "13",
    "further wrong_key": "138",
    "further forward": "131",
    "welcome": "11",
    "hold": "139..",
    "comfort": "139.....",
    "full": "11@",
    "full say_back": "21@2",
    "full wrong_key": "11@8",
    "full no_key": "11@.......",
    "full forward": "11@3",
    "full: message": "11@6",
    "full: message at the tone": "21@6..",
    "full: ask-back": "11@5",
    "full: ask-back taken": "11@51",
}
"""The steps on which callers stand in hours, as `Places` names them, and a way to each."""
AFTER = {
    "night-language": "",
    "night-language wrong_key": "8",
    "night-language no_key": ".....",
    "night": "1",
    "night say_back": "22",
    "night wrong_key": "18",
    "night no_key": "1.....",
    "night forward": "11",
    "night: message": "16",
    "night: message at the tone": "26..",
    "refused": "188",
}
"""The same out of hours."""
KEYS = "11235566993*#0"
"""What is keyed at random, the better ones more often."""
PATIENCE_S = 30.0
"""Seconds that who only waits stays on the line."""
SAID = ("say_back", "forward", "wrong_key", "no_key", "at the tone", "taken")
NUMBERS = itertools.count(10_000_000)
TALK_S = 3.0
"""Seconds after which the other side of a forward or a call-back puts down."""


@dataclass(frozen=True, slots=True)
class TwoQueues(Waits):
    """In `general` who finds somebody waiting is led aside, in `other` nobody is."""

    def toml(self) -> str:
        return Waits.toml(self).replace('queues = ["general"]', 'queues = ["general", "other"]')


def centre(closed: bool, *, longest_wait_s: int = 30) -> TwoQueues:
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date()
    return TwoQueues(
        agents=2,
        acw_s=6,
        rest_s=5,
        longest_wait_s=longest_wait_s,
        days=tuple((f"{today + timedelta(days=n)}", ()) for n in range(2 if closed else 0)),
        menu="language",
        closed_menu="night-language",
        more=MENUS,
        rules=comfort(3) + BEYOND,
        two=True,
    )


def seed() -> int:
    return int(os.environ.get("CALLCORE_SEED", "20261128"))


async def citizens(s: Station, count: int) -> list[Agent]:
    await until(lambda: "opening hours pushed" in s.log("engine"), what="the hours are in Asterisk")
    pbx = (f"{s.net}.1", s.settings.sip_port)
    return [
        await s.stack.enter_async_context(sip_agent(f"{s.net}.{140 + n}", f"03{n:08}", pbx))
        for n in range(1, count + 1)
    ]


async def desks(s: Station) -> list[Agent]:
    """Two agents whose phones answer at once."""
    found = []
    for n in (1, 2):
        desk = await phone(s, n)
        desk.habit = Habit.ANSWER
        await signs_in(desk, agent=s.centre.agent(n))
        await s.available(n)
        found.append(desk)
    return found


async def stays(desks: Sequence[Agent]) -> None:
    """Phones register again before the two minutes are over."""
    while True:
        await asyncio.sleep(50)
        for desk in desks:
            await desk.register()


@dataclass(slots=True)
class Places:
    """On which step each call stood when its caller put down, by Asterisk's own books."""

    s: Station
    found: Counter[str] = field(default_factory=Counter)

    def look(self) -> None:
        by_caller = {fact.call for fact in self.s.told(f.CallEnded) if fact.hung_up_by is Party.CALLER}
        told: dict[str, tuple[str, str]] = {}
        self.found.clear()
        for row in self.s.cel():
            call, kind = row["uniqueid"], row["userdeftype"]
            name, _ = told.get(call, ("", ""))
            if kind == "callcore-menu":
                name, _, choice, *_ = json.loads(row["extra"])["extra"].split("~")
                told[call] = (name.removeprefix("demo-"), choice)
            elif kind in ("callcore-message", "callcore-callback"):
                told[call] = (name, "at the tone" if kind == "callcore-message" else "taken")
            elif row["eventenum"] == "HANGUP" and CallId(call) in by_caller:
                self.found[_step(row, *told.get(call, ("", "")))] += 1

    def missing(self, wanted: Iterable[str]) -> list[str]:
        self.look()
        return [each for each in wanted if each not in self.found]


def _step(row: Mapping[str, str], name: str, said: str) -> str:
    """The menu and what it said last; elsewhere the context, behind the menu that led there if that may be several."""
    place = row["context"].removeprefix("callcore-")
    if place == "menu":
        here = row["exten"].removeprefix("demo-")
        return f"{here} {said}" if here == name and said in SAID else here
    if place in ("message", "ask-back"):
        return f"{name}: {place} {said}" if said in SAID else f"{name}: {place}"
    return place


async def dial(citizen: Agent, way: str, *, again: bool = False) -> Call:
    """`again`: by the number of the call before, which is remembered for its language and may be called back."""
    hidden = way.startswith("^")
    if hidden or not again:
        citizen.user = "anonymous" if hidden else f"03{next(NUMBERS):08}"
    citizen.display, citizen.more = ("Anonymous", "Privacy: id\r\n") if hidden else ("", "")
    return await citizen.call(NUMBER, tone(400))


@dataclass(slots=True)
class Aside:
    """Who has been led into the menu for who is beyond the agents, or was answered, or is gone; looked at four times a
    second for all callers together: the journal read by each of them would keep their sound from being sent in time."""

    s: Station
    numbers: dict[str, CallId] = field(default_factory=dict)
    """Of each number the latest call."""
    calls: set[CallId] = field(default_factory=set)

    async def look(self) -> None:
        seen = 0
        while True:
            facts = self.s.facts()
            for fact in facts[seen:]:
                if isinstance(fact, f.CallArrived) and fact.caller.text is not None:
                    self.numbers[fact.caller.text] = fact.call
                elif isinstance(fact, f.OverflowMenuBegan | f.CallAnswered | f.CallEnded):
                    self.calls.add(fact.call)
            seen = len(facts)
            await asyncio.sleep(0.25)

    def led(self, number: str) -> bool:
        return self.numbers.get(number) in self.calls


async def go(call: Call, way: str, aside: Aside, pause: float = 0.3, patience_s: float = 15) -> None:
    """As far as the call and the patience last."""
    now = asyncio.get_running_loop().time
    for sign in way.lstrip("^"):
        if call.over:
            return
        if sign == ".":
            await asyncio.sleep(1)
        elif sign == "@":
            end = now() + patience_s
            while not call.over and now() < end and not aside.led(call.agent.user):
                await asyncio.sleep(0.1)
        else:
            call.press(sign)
            await asyncio.sleep(pause)


async def walk(citizen: Agent, chance: random.Random, ways: Sequence[str], aside: Aside) -> None:
    """One caller's way, often along a known one; at its end the call is over."""
    way = chance.choice(ways) if chance.random() < 0.7 else ""
    call = await dial(citizen, way, again=not way and chance.random() < 0.5)
    now = asyncio.get_running_loop().time
    while call.state in ("new", "ringing"):
        await asyncio.sleep(0.02)
    await go(call, way, aside, chance.choice((0.2, 0.5)), chance.uniform(2, 8))
    if way and chance.random() < 0.6:
        await asyncio.sleep(chance.uniform(0.1, 0.9))
    else:
        waits = chance.random() < 0.1
        until_s = now() + (PATIENCE_S if waits else chance.uniform(0.1, 10))
        keys = 0 if waits else chance.choice((0, 1, 2, 5, 12))
        while not call.over and now() < until_s:
            await asyncio.sleep(chance.choice((0.02, 0.4, 1.3, 2.6)))
            if keys and call.state == "up":
                call.press("".join(chance.choice(KEYS) for _ in range(chance.choice((1, 1, 1, 2, 5)))))
                keys -= 1
    if not call.over:
        call.hang_up()


async def others(carrier: Agent, chance: random.Random) -> None:
    """The other sides of forwards and call-backs: they answer, are busy, or let it ring, and put down after a while."""
    since: dict[int, float] = {}
    now = asyncio.get_running_loop().time
    while True:
        carrier.habit = chance.choice((Habit.ANSWER, Habit.BUSY, Habit.RING))
        for _ in range(6):
            await asyncio.sleep(0.5)
            for n, call in enumerate(carrier.calls):
                if call.state == "up" and now() - since.setdefault(n, now()) > TALK_S:
                    call.hang_up()


async def walks(
    s: Station, count: int, ways: Sequence[str], staff: Sequence[Agent], at_once: int = 8
) -> Counter[str]:
    """So many ways; the calls' outcomes."""
    people, aside = await citizens(s, at_once), Aside(s)
    chance = random.Random(seed())

    async def one(citizen: Agent, share: list[int]) -> None:
        for own in share:
            await walk(citizen, random.Random(own), ways, aside)

    seeds = [chance.getrandbits(32) for _ in range(count)]
    meanwhile = [
        asyncio.create_task(others(await s.carrier(), random.Random(seed()))),
        asyncio.create_task(stays(staff)),
        asyncio.create_task(aside.look()),
    ]
    try:
        await asyncio.gather(*(one(each, seeds[n :: len(people)]) for n, each in enumerate(people)))
        await s.ended(count)
        if staff:
            await until(
                lambda: not s.floor().callbacks, 30 * at_once, "everybody was called back, or in vain"
            )
        await over(s, count)
    finally:
        for job in meanwhile:
            job.cancel()
    return Counter(s.outcomes())


async def over(s: Station, count: int) -> None:
    """Each of so many calls has one ending, no channel is left, and the books of Asterisk say the same."""
    await s.ended(count)
    ended = [fact.call for fact in s.told(f.CallEnded)]
    assert len(ended) == len(set(ended)) == count, "each has one ending"
    assert {fact.call for fact in s.told(f.CallArrived)} == set(ended)
    assert not s.floor().calls
    async with asyncio.timeout(30):
        while "0 active channels" not in await s.asterisk.command("core show channels count"):
            await asyncio.sleep(0.1)
    assert (await settled(s, count)).named == set(), "Asterisk's own books say the same"


OUTCOMES = {
    "completed",
    "abandoned",
    "abandoned_short",
    "blocked",
    "ivr_only",
    "message_left",
    "callback_requested",
    "overflow_full",
    "overflow_key",
}


@pytest.mark.parametrize("closed", [False, True])
async def test_whatever_a_caller_keys_the_call_has_one_end_and_no_channel_stays(closed: bool) -> None:
    async with station(centre(closed), prompts=brief_prompts) as s:
        staff = [] if closed else await desks(s)
        found = await walks(s, 16, list((AFTER if closed else DAY).values()), staff)
        assert set(found) <= ({"closed"} if closed else OUTCOMES), found


@pytest.mark.soak
@pytest.mark.parametrize("closed", [False, True])
async def test_five_hundred_random_ways_through_the_menus_of_issue_6(closed: bool) -> None:
    at_once = int(os.environ.get("CALLCORE_TEST_AT_ONCE", "24"))
    steps = AFTER if closed else DAY
    async with station(centre(closed), prompts=brief_prompts) as s:
        staff = [] if closed else await desks(s)
        found = await walks(s, 500, list(steps.values()), staff, at_once)
        places = Places(s)
        missing = places.missing(steps)
        evidence(
            f"500 random ways through the menus, {'out of' if closed else 'in'} hours",
            {
                "calls": sum(found.values()),
                "at once": at_once,
                "without one ending": 0,
                "channels left": 0,
                "outcomes": ", ".join(f"{name} {n}" for name, n in sorted(found.items())),
                "steps on which nobody put down": ", ".join(missing) or "none",
                "put down on": ", ".join(f"{name} {n}" for name, n in sorted(places.found.items())),
            },
        )
        assert not missing, places.found
        assert set(found) <= ({"closed"} if closed else OUTCOMES), found


@pytest.mark.parametrize("closed", [False, True])
async def test_who_puts_down_at_any_step_of_any_menu_has_one_ending(closed: bool) -> None:
    """At each step as soon as the key was sent, or a second later; and again where Asterisk was elsewhere by then."""
    steps = AFTER if closed else DAY
    async with station(centre(closed, longest_wait_s=600), prompts=brief_prompts) as s:
        first, *people = await citizens(s, 12)
        carrier = await s.carrier()
        carrier.habit = Habit.RING
        aside = Aside(s)
        look = asyncio.create_task(aside.look())
        waits = await dial(first, "11")  # so that who comes to the line is one too many
        await waits.until("up")
        await go(waits, "11", aside)
        places, count = Places(s), 1

        async def some(citizen: Agent, share: list[tuple[str, float]]) -> None:
            for way, pause in share:
                call = await dial(citizen, way)
                await call.until("up")
                await call.hears(0.3)
                await go(call, way, aside)
                await asyncio.sleep(pause)
                if not call.over:
                    call.hang_up()

        todo = list(zip(steps.values(), itertools.cycle((0.1, 0.9)), strict=False))
        for _ in range(4):
            await asyncio.gather(*(some(each, todo[n :: len(people)]) for n, each in enumerate(people)))
            count += len(todo)
            await until(lambda: len(s.told(f.CallEnded)) >= count - (not waits.over))  # noqa: B023
            todo = [(steps[each], pause) for each in places.missing(steps) for pause in (0.2, 0.5, 0.8)]
            if not todo:
                break
        assert not todo, f"never put down on {places.missing(steps)}, but on {places.found}"
        look.cancel()
        if not waits.over:
            waits.hang_up()
        await over(s, count)
