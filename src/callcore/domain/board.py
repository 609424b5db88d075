"""What a board shows of the floor: the words for agents and callers, and which calls are today's.

Rules
- One word per agent, the first that fits: signed out; what we gave the agent to do; paused; what Asterisk says of the
  phone; resting; ready. Resting counts as ready in every figure and is shown apart.
- Who works for another centre (兼務) is busy here: neither ready nor talking for this one.
- Who hears an announcement and is due an agent waits, with no place in the line yet; a ringing offer is waiting.
- "Today" is the local day of the centre, and a call belongs to the day it arrived.

The live board and `/metrics` both ask here, so that they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from callcore.domain.agent import BREAKS, NO_ANSWER_PAUSE, AgentState
from callcore.domain.call import Call
from callcore.domain.centre import Centre
from callcore.domain.estimate import Waits
from callcore.domain.floor import Floor, Line, line_of_visit, place_of
from callcore.domain.ids import SECOND, CentreId, Instant, QueueId
from callcore.domain.measures import Books, Figures, figures
from callcore.domain.routing import accepted, pools, skilled
from callcore.domain.stages import Device, Outcome, Presence, Stage, Work


class AgentWord(Enum):
    """An agent's state in one word."""

    READY = "ready"
    RESTING = "resting"
    """Ready, and passed over for some seconds after an offer that failed."""
    RESERVED = "reserved"
    RINGING = "ringing"
    TALKING = "talking"
    CALLING_OUT = "calling_out"
    """In a call of the agent's own making."""
    ACW = "acw"
    PAUSED = "paused"
    BUSY = "busy"
    """Ready, but the phone is in another call, or the agent works for another centre."""
    UNREACHABLE = "unreachable"
    """Ready, but Asterisk cannot reach the phone, or what is registered there does not match the inventory."""
    SIGNED_OUT = "signed_out"


_BY_WORK = {
    Work.RESERVED: AgentWord.RESERVED,
    Work.RINGING: AgentWord.RINGING,
    Work.TALKING: AgentWord.TALKING,
    Work.CALLING_OUT: AgentWord.CALLING_OUT,
    Work.WRAPPING_UP: AgentWord.ACW,
}


def agent_word(floor: Floor, agent: AgentState, centre: CentreId) -> AgentWord:
    """The agent's state as this centre sees it."""
    if agent.presence is Presence.SIGNED_OUT or agent.phone is None:
        return AgentWord.SIGNED_OUT
    if agent.at_work_for not in (None, centre):
        return AgentWord.BUSY
    if agent.work is not Work.IDLE:
        return _BY_WORK[agent.work]
    if agent.presence is Presence.PAUSED:
        return AgentWord.PAUSED
    match floor.phones.get(agent.phone):
        case Device.FREE if floor.may_ring(agent.phone):
            return AgentWord.READY if agent.rest_until is None else AgentWord.RESTING
        case Device.BUSY:
            return AgentWord.BUSY
    return AgentWord.UNREACHABLE


def word_since(floor: Floor, word: AgentWord, agent: AgentState) -> Instant | None:
    """Since when the word holds; None: not known."""
    match word:
        case AgentWord.PAUSED:
            return agent.paused_at
        case AgentWord.BUSY if agent.at_work_for is None:
            return _since(floor, agent)
        case AgentWord.UNREACHABLE:
            return _since(floor, agent)
    return agent.state_since


def _since(floor: Floor, agent: AgentState) -> Instant | None:
    """What the phone is, and the agent at it, is so since the later of the two began."""
    if agent.phone is None or agent.state_since is None:
        return None
    since = floor.device_since.get(agent.phone)
    return None if since is None else max(since, agent.state_since)


def agents_of(floor: Floor, centre: CentreId) -> list[AgentState]:
    """A centre's own agents and its guests, in the order of their numbers."""
    found = floor.centres.get(centre)
    queues = {queue.id for queue in found.queues} if found is not None else set()
    mine = (a for a in floor.agents.values() if a.centre == centre or not queues.isdisjoint(a.queues))
    return sorted(mine, key=lambda a: (len(a.id), a.id))


def agents_by_word(floor: Floor, centre: CentreId) -> dict[AgentWord, int]:
    """How many agents of a centre are in each state; every word is there."""
    count = Counter(agent_word(floor, a, centre) for a in agents_of(floor, centre))
    return {word: count[word] for word in AgentWord}


def staffed(floor: Floor, centre: CentreId) -> int:
    """配置人数 at this instant: signed in, and not in a break."""
    return sum(
        a.presence is not Presence.SIGNED_OUT and a.pause not in BREAKS for a in agents_of(floor, centre)
    )


def attention(floor: Floor, agent: AgentState, word: AgentWord) -> int:
    """How much an agent needs somebody's look, 0 (not at all) to 6: help asked for; on hold too long, or abuse; a phone
    that nobody reaches; a pause that is too long or came of missed offers; missed offers; a hold."""
    call = None if agent.call is None else floor.calls.get(agent.call)
    signs = (
        (6, call is not None and call.help_since is not None),
        (5, call is not None and (call.hold_overran or call.abuse)),
        (4, word is AgentWord.UNREACHABLE),
        (3, agent.pause_overran or agent.pause == NO_ANSWER_PAUSE),
        (2, agent.misses > 0),
        (1, call is not None and call.held_since is not None),
    )
    return max((rank for rank, holds in signs if holds), default=0)


class Reason(NamedTuple):
    """Why nobody serves some callers now: the same words for all of them."""

    id: str
    """Stays the same while the words' counts change."""
    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """One caller without an agent. `position` is 1 for the first of the queue, None before the queue is entered."""

    call: Call
    queue: QueueId
    position: int | None
    since: Instant | None
    """The first entry into a queue."""
    estimate_s: float | None
    """The estimated wait from now on, in seconds; None: nobody is on duty, or not in a queue yet."""
    because: Reason | None
    """Why nobody serves this caller now; None: a phone rings, or not in a queue yet."""


def waiting_callers(floor: Floor, centre: CentreId) -> list[Waiting]:
    """Every caller of a centre who waits for an agent: in the order of the lines, then who still hears an
    announcement, first come first."""
    placed: list[tuple[tuple[int, int, str], Call]] = []
    announced: list[Call] = []
    why = _Why(floor)
    waits: dict[tuple[QueueId, str | None], Waits] = {}
    for call in floor.calls.values():
        if call.centre != centre:
            continue
        if call.stage in (Stage.WAITING, Stage.OFFERED) and call.visit is not None:
            placed.append(((call.visit.priority, call.visit.since, call.id), call))
        elif call.stage is Stage.ANNOUNCED and call.refused_as is None:
            announced.append(call)
    places: Counter[QueueId] = Counter()
    line: list[Waiting] = []
    for _, call in sorted(placed, key=lambda pair: pair[0]):
        assert call.visit is not None
        places[call.visit.queue] += 1
        name = call.visit.queue
        spoken = name, call.visit.language
        if spoken not in waits:
            waits[spoken] = Waits(floor, *spoken)
        estimate_s = waits[spoken].at(place_of(call))
        line.append(Waiting(call, name, places[name], call.visit.since, estimate_s, why.of(call)))
    announced.sort(key=lambda call: (call.arrived_at, call.id))
    return line + [Waiting(call, call.queue, None, None, None, None) for call in announced]


_WORDS = {
    AgentWord.READY: ("受付可", "ready"),
    AgentWord.RESTING: ("休止", "resting"),
    AgentWord.RESERVED: ("呼出開始", "reserved"),
    AgentWord.RINGING: ("呼出中", "ringing"),
    AgentWord.TALKING: ("通話中", "talking"),
    AgentWord.CALLING_OUT: ("発信中", "calling out"),
    AgentWord.ACW: ("後処理", "in after-call work"),
    AgentWord.PAUSED: ("離席", "paused"),
    AgentWord.BUSY: ("他の通話中", "busy"),
    AgentWord.UNREACHABLE: ("電話機不通", "unreachable"),
}


_NET = Reason("net", "非常時分配が分配中", "the safety net distributes")
_TOLD = Reason("told", "あふれの案内中", "is told that nobody can serve")
_OTHER = Reason("other", "メニューでほかを選んだ", "chose something else in the overflow menu")
_MENU = Reason("menu", "あふれのメニューの中", "is in the overflow menu")


class _Why:
    """Why nobody serves the callers of a line, in words; the same for all of them, so asked once."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._known: dict[Line, Reason] = {}

    def of(self, call: Call) -> Reason | None:
        if call.stage is Stage.OFFERED or call.visit is None:
            return None
        if call.in_net:
            return _NET
        if call.leaving_as is not None or call.given_up_as is not None:
            return _TOLD
        if call.aside is not None and call.in_menu:
            return _OTHER if call.aside.outcome is Outcome.OVERFLOW_KEY else _MENU
        line = line_of_visit(call.visit)
        if line not in self._known:
            ja, en = self._counted(line, call.centre)
            self._known[line] = Reason(
                ":".join((line.queue, line.language or "", str(line.rung), *line.also)), ja, en
            )
        return self._known[line]

    def _counted(self, line: Line, centre: CentreId) -> tuple[str, str]:
        queue = self._floor.queues.get(line.queue)
        if queue is None:
            return ("待ち行列が設定にない", "the queue is in no centre file")
        serving, needs = pools(queue, line), accepted(queue, line.rung, line.language)
        able = [
            agent
            for agent in self._floor.agents.values()
            if skilled(agent, needs) and not set(serving).isdisjoint(agent.queues)
        ]
        count = Counter(agent_word(self._floor, agent, centre) for agent in able)
        del count[AgentWord.SIGNED_OUT]
        if not count:
            return ("受け持てるオペレーターが受付していない", "no agent who could serve is signed in")
        words = [(word, _WORDS[word]) for word in AgentWord if count[word]]
        ja = "、".join(f"{each[0]} {count[word]}" for word, each in words)
        en = ", ".join(f"{count[word]} {each[1]}" for word, each in words)
        return (f"受け持ち {count.total()} 人: {ja}", f"{count.total()} could serve: {en}")


@dataclass(frozen=True, slots=True)
class Window:
    """[first, before): the local day that `first` begins."""

    first: Instant
    before: Instant
    date: str
    """ISO date by the centre's wall clock."""


def today(centre: Centre, now: Instant) -> Window:
    """The centre's local day that holds `now`."""
    return day_of(centre, centre.calendar.local_date(now))


def day_of(centre: Centre, day: date) -> Window:
    """One local day of a centre."""
    zone = ZoneInfo(centre.time_zone)
    edges = (datetime.combine(d, time(), zone).timestamp() for d in (day, day + timedelta(days=1)))
    first, before = (Instant(round(edge) * SECOND) for edge in edges)
    return Window(first, before, day.isoformat())


HALF_HOUR = 1800 * SECOND


def half_hours(window: Window) -> list[tuple[Instant, Instant]]:
    """A local day in half hours, [first, before), by the wall clock, which summer time moves by whole ones."""
    edges = [*range(window.first, window.before, HALF_HOUR), window.before]
    return [(Instant(a), Instant(b)) for a, b in pairwise(edges)]


def todays_figures(books: Books, centre: Centre, now: Instant) -> tuple[Window, Figures]:
    """The figures of the calls that arrived today, as known at `now`."""
    window = today(centre, now)
    calls = books.of(centre.id, window.first, window.before)
    return window, figures(calls, at=now, service_level_s=centre.service_level_s)
