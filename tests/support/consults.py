"""Agents at desk phones, the city hall behind the carrier, and citizens who are held and put through."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from callcore.demo.centre import NUMBER, TEXTS, DemoCentre
from callcore.domain import facts as f
from callcore.domain.asks import Ask
from callcore.domain.ids import AgentId, CallId, PhoneId
from callcore.domain.stages import Outcome, Stage, Work
from callcore.prompts import shelf
from callcore.recordings.sides import joined
from tests.support.menus import brief_prompts
from tests.support.prompts import put_prompt
from tests.support.sip import RATE, Agent, Call, decoded, encoded, loudness, sip_agent, tone
from tests.support.station import PIN, Station, music, station, until

CITY = f"""
[outgoing]
number = "{NUMBER}"
ring_s = 10
acw_s = 1

[transfers]
blind = true
back_s = 3
""" + "".join(
    f'\n[[departments]]\nid = "d{short}"\nshort = "{short}"\nname = "部署{short}"\nnumber = "09700001{short}"\n'
    for short in ("11", "12", "13")
)
OTHER_DAY = f"{datetime.now(ZoneInfo('Asia/Tokyo')) + timedelta(days=3):%A}".lower()
SHUT = f"""
[[departments]]
id = "d21"
short = "21"
name = "北支所"
number = "0970000121"

[departments.hours.weekly]
{OTHER_DAY} = ["08:30-18:00"]
"""
"""`*521`: closed today."""
REGISTERS_S = 50
"""Phones register for two minutes."""


@dataclass(slots=True)
class Consult:
    """What an agent asks beside a talk."""

    asked: Call
    """The phone's second line."""
    far: Call
    """The department's, or the colleague's."""


@dataclass(slots=True, eq=False)
class Talk:
    """A citizen and the agent who answered."""

    house: House
    id: CallId
    citizen: Call
    leg: Call
    """The phone's."""
    n: int
    """Of agent and phone, from 1."""

    @property
    def desk(self) -> Agent:
        return self.leg.agent

    @property
    def agent(self) -> AgentId:
        return AgentId(self.house.s.centre.agent(self.n))

    @property
    def stage(self) -> Stage | None:
        """None: it has ended."""
        call = self.house.s.floor().calls.get(self.id)
        return None if call is None else call.stage

    @property
    def work(self) -> Work:
        """Of the agent who answered."""
        return self.house.s.floor().agents[self.agent].work

    async def at(self, *stages: Stage) -> None:
        await until(lambda: self.stage in stages, what=f"{self.id} is {stages}, not {self.stage}")

    async def hold(self) -> None:
        await self.leg.hold()
        await self.house.s.fact(f.CallHeld, lambda x: x.call == self.id)

    async def ask(self, code: str, *, answered: bool = True) -> Consult:
        """Call a department by `*5` and its short number, or a colleague's phone."""
        house, desk = self.house, self.desk
        async with house.one_rings:
            asked = await desk.call(code, tone(house.hz()))
            if code.startswith("*"):
                far = await house.rung(house.city, of=f"sip:09700001{code[2:]}@")
            else:
                far = await house.rung(next(each for each in house.desks if each.user == code))
        far.sound = tone(house.hz())
        await asked.until("ringing")
        if answered:
            far.answer()
            await talking(asked, far)
        return Consult(asked, far)

    async def consult(self, code: str = "*511", *, answered: bool = True) -> Consult:
        await self.hold()
        return await self.ask(code, answered=answered)

    async def put_through(self, consult: Consult, code: str = "*511") -> None:
        """By the phone's transfer key; then the phone hangs up what is left of its lines."""
        assert (await self.leg.refer(code, consult.asked)).status == 202
        await talking(self.citizen, consult.far)
        put_down(self.leg, consult.asked)

    async def outcome(self) -> Outcome:
        ended = await self.house.s.fact(f.CallEnded, lambda x: x.call == self.id)
        return ended.outcome

    async def recorded(self, *calls: Call) -> list[float]:
        """For how many seconds each of these is heard in the call's recording."""
        return recorded(await self.house.s.recording(self.id), *(pitch(call) for call in calls))

    async def apart(self, *calls: Call) -> list[tuple[float, float]]:
        """The same on the left and on the right of one in two channels, which is still in the spool."""
        return apart(await self.house.s.recording(self.id), *(pitch(call) for call in calls))


class House:
    def __init__(self, s: Station, desks: list[Agent], city: Agent, people: Agent) -> None:
        self.s, self.desks, self.city, self.people = s, desks, city, people
        self.neighbour: Agent
        """A phone of another centre, if a test has one."""
        self.one_rings = asyncio.Lock()
        """Else nobody could tell who calls a department."""
        self._met: set[str] = set()
        self._pitches = itertools.cycle(range(700, 3000, 60))
        self._numbers = itertools.count(10_000_000)

    def hz(self) -> int:
        """A pitch that nobody has who is here now."""
        return next(self._pitches)

    async def dials(self) -> Call:
        """A new citizen."""
        self.people.user = f"03{next(self._numbers):08}"
        return await self.people.call(NUMBER, tone(self.hz()))

    def fresh(self, *agents: Agent, of: str = "") -> Call | None:
        """A call that rings at one of these and was not given out before; `of`: a number that its INVITE shows."""
        for call in (call for agent in agents for call in agent.calls):
            rings = call.incoming and call.state == "ringing" and call.ident not in self._met
            if rings and call.invite is not None and of in call.invite.text:
                self._met.add(call.ident)
                return call
        return None

    async def rung(self, *agents: Agent, of: str = "") -> Call:
        found: list[Call] = []

        def rings() -> bool:
            call = self.fresh(*agents, of=of)
            found.extend([] if call is None else [call])
            return call is not None

        await until(rings, what=f"{[each.user for each in agents]} ring: {of}")
        return found[0]

    async def talk(self) -> Talk:
        """A citizen, and whichever agent is rung."""
        return await self.taken(await self.dials())

    async def taken(self, citizen: Call) -> Talk:
        """The citizen is answered, by whichever agent is rung."""
        leg = await self.rung(*self.desks, of=number(citizen))
        n = self.desks.index(leg.agent) + 1
        leg.sound = tone(self.hz())
        leg.answer()
        await talking(citizen, leg)
        name = AgentId(self.s.centre.agent(n))
        await until(lambda: self.s.floor().agents[name].call is not None, what="the answer is told")
        call = self.s.floor().agents[name].call
        assert call is not None
        return Talk(self, call, citizen, leg, n)

    def asks(self, call: CallId | None = None) -> list[Ask]:
        """What departments were called for: all callers, or one."""
        asks = self.s.books().asks
        return [one for name in asks if call in (None, name) for one in asks[name]]

    async def all_free(self) -> None:
        """Nobody is in a call, and every agent could take one who is there."""
        await until(
            lambda: not (floor := self.s.floor()).calls and not floor.sides, what="all calls are over"
        )
        for n, desk in enumerate(self.desks, 1):
            if not desk.dead:
                await self.s.available(n)

    def faults(self) -> list[str]:
        """What the engine's log calls an error."""
        log = (self.s.settings.home / "engine.log").read_text("utf-8", "replace")
        return [line for line in log.splitlines() if '"level": "error"' in line]

    async def no_channel(self) -> None:
        for _ in range(200):
            left = await self.s.asterisk.command("core show channels concise")
            if not left.strip():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(left)

    async def stay(self) -> None:
        """Phones register again."""
        while True:
            await asyncio.sleep(REGISTERS_S)
            for desk in self.desks:
                if not desk.dead:
                    await desk.register()


def number(citizen: Call) -> str:
    return citizen.local.partition("sip:")[2].partition("@")[0]


def pitch(call: Call) -> float:
    """Of the tone that this side says."""
    return float(np.abs(np.fft.rfft(decoded(call.sound))).argmax() * RATE / len(call.sound))


def put_down(*calls: Call) -> None:
    for call in calls:
        if not call.over:
            call.hang_up()


async def hears(call: Call, judge: Callable[[bytes], bool], what: str, seconds: float = 0.5) -> None:
    """The newest so many seconds of what this side hears, awaited."""
    size = int(seconds * RATE)
    seen = len(call.heard)
    await until(
        lambda: len(call.heard) >= seen + size and judge(bytes(call.heard[-size:])),
        what=f"{call.agent.user} hears {what}",
    )


async def talking(one: Call, other: Call) -> None:
    """Each hears the other and nobody else."""
    for listens, speaks in ((one, other), (other, one)):
        hz = pitch(speaks)
        await hears(listens, lambda sound, hz=hz: loudness(sound, hz) > 0.9, f"{hz} Hz")  # type: ignore[misc]


async def hears_music(call: Call) -> None:
    await hears(call, lambda sound: bool(music(decoded(sound))), "the music", 1)


async def hears_ringing(call: Call) -> None:
    """Japan's: 400 Hz, modulated by 15 Hz, one second of three."""
    await hears(call, lambda sound: loudness(sound, 400) > 0.8, "the ringing tone", 0.25)


def recorded(path: Path, *pitches: float) -> list[float]:
    """Seconds of each tone in a recording, in fifths."""
    with wave.open(str(path), "rb") as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16) / 32768.0
    return seconds_of(samples, *pitches)


def apart(path: Path, *pitches: float) -> list[tuple[float, float]]:
    """The same on the left and on the right of one in two channels, which is still in the spool."""
    with joined(path) as both, wave.open(both, "rb") as sound:
        frames = np.frombuffer(sound.readframes(sound.getnframes()), np.int16).reshape(-1, 2) / 32768.0
    left, right = (seconds_of(side, *pitches) for side in frames.T)
    return list(zip(left, right, strict=True))


def seconds_of(samples: np.ndarray, *pitches: float) -> list[float]:
    step = RATE // 5
    parts = [encoded(samples[at : at + step]) for at in range(0, len(samples) - step + 1, step)]
    return [round(sum(0.2 for part in parts if loudness(part, hz) > 0.2), 1) for hz in pitches]


async def sits_down(s: Station, phone: str, agent: str, *, host: int) -> Agent:
    """The agent signs in on the phone, which has the address `host` of the station's."""
    pbx = (f"{s.net}.1", s.settings.sip_port)
    desk = await s.stack.enter_async_context(
        sip_agent(f"{s.net}.{host}", phone, pbx, s.secrets.phones[PhoneId(phone)])
    )
    await desk.register()
    await until(lambda: s.judged(PhoneId(phone)), what="it is held against the inventory")
    name = AgentId(agent)
    for _ in range(3):  # on a busy machine a key may get lost
        call = await desk.call(f"*11{agent}", tone(600))
        await call.until("up")
        await call.hears(0.3)
        call.press(f"{PIN}#")
        await call.until("bye", within_s=60)  # eight of them sign in at once
        with contextlib.suppress(AssertionError):
            await until(lambda: (floor := s.floor()).available(floor.agents[name]), 5)
            break
    else:
        raise AssertionError(f"{agent} has not signed in")
    return desk


def briefly(home: Path) -> Path:
    """All announcements, of phones too, are over after half a second."""
    folder = brief_prompts(home)
    for owner, kinds in ((f"{shelf.COMMON}/ja", shelf.COMMON_KINDS), ("demo/ja", tuple(TEXTS))):
        for kind in kinds:
            name = f"{owner}/{kind}"
            text = TEXTS.get(kind) or shelf.text(folder, name) or ""
            put_prompt(folder, name, text, tone(300, 0.5))
    return folder


@asynccontextmanager
async def house(
    agents: int = 2,
    *,
    more: str = CITY,
    prompts: Callable[[Path], Path] = briefly,
    **options: object,
) -> AsyncIterator[House]:
    """After-call work of a second, and announcements as short."""
    centre = DemoCentre(agents=agents, acw_s=1, rest_s=1, more=more)
    async with station(centre, prompts=prompts, **options) as s:  # type: ignore[arg-type]
        people = await s.stack.enter_async_context(
            sip_agent(f"{s.net}.131", "0975551234", (f"{s.net}.1", s.settings.sip_port))
        )
        made = House(s, [], await s.carrier(), people)
        made.desks += await asyncio.gather(
            *(sits_down(s, centre.phone(n), centre.agent(n), host=20 + n) for n in range(1, agents + 1))
        )
        stays = asyncio.create_task(made.stay())
        try:
            yield made
        finally:
            stays.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await stays
