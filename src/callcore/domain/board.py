"""What a board shows of the floor: the words for agents and callers, and which calls are today's.

Rules
- One word per agent, the first that fits: signed out; what we gave the agent to do; what Asterisk says of the phone;
  resting; ready. Resting counts as ready in every figure and is shown apart.
- Who hears an announcement and is due an agent waits, with no place in the line yet; a ringing offer is waiting.
- "Today" is the local day of the centre, and a call belongs to the day it arrived.

The live board and `/metrics` both ask here, so that they cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.centre import Centre
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CentreId, Instant, QueueId
from callcore.domain.measures import Books, Figures, figures
from callcore.domain.stages import Device, Presence, Stage, Work


class AgentWord(Enum):
    """An agent's state in one word."""

    READY = "ready"
    RESTING = "resting"
    """Ready, and passed over for some seconds after an offer that failed."""
    RESERVED = "reserved"
    RINGING = "ringing"
    TALKING = "talking"
    ACW = "acw"
    BUSY = "busy"
    """Ready, but the phone is in another call."""
    UNREACHABLE = "unreachable"
    """Ready, but Asterisk cannot reach the phone."""
    SIGNED_OUT = "signed_out"


_BY_WORK = {
    Work.RESERVED: AgentWord.RESERVED,
    Work.RINGING: AgentWord.RINGING,
    Work.TALKING: AgentWord.TALKING,
    Work.WRAPPING_UP: AgentWord.ACW,
}


def agent_word(floor: Floor, agent: AgentState) -> AgentWord:
    if agent.presence is Presence.SIGNED_OUT or agent.phone is None:
        return AgentWord.SIGNED_OUT
    if agent.work is not Work.IDLE:
        return _BY_WORK[agent.work]
    match floor.phones.get(agent.phone):
        case Device.FREE:
            return AgentWord.READY if agent.rest_until is None else AgentWord.RESTING
        case Device.BUSY:
            return AgentWord.BUSY
    return AgentWord.UNREACHABLE


def word_since(word: AgentWord, agent: AgentState) -> Instant | None:
    """Since when the word holds; None: not known, for the floor keeps no instant of a phone's own changes."""
    return None if word in (AgentWord.BUSY, AgentWord.UNREACHABLE) else agent.state_since


def agents_by_word(floor: Floor, centre: CentreId) -> dict[AgentWord, int]:
    """How many agents of a centre are in each state; every word is there."""
    count = Counter(agent_word(floor, a) for a in floor.agents.values() if a.centre == centre)
    return {word: count[word] for word in AgentWord}


@dataclass(frozen=True, slots=True)
class Waiting:
    """One caller without an agent. `position` is 1 for the first of the queue, None before the queue is entered."""

    call: Call
    queue: QueueId
    position: int | None
    since: Instant | None
    """The first entry into a queue."""


def waiting_callers(floor: Floor, centre: CentreId) -> list[Waiting]:
    """Every caller of a centre who waits for an agent: in the order of the lines, then who still hears an
    announcement, first come first."""
    placed: list[tuple[tuple[int, int, str], Call]] = []
    announced: list[Call] = []
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
        line.append(Waiting(call, call.visit.queue, places[call.visit.queue], call.visit.since))
    announced.sort(key=lambda call: (call.arrived_at, call.id))
    return line + [Waiting(call, call.queue, None, None) for call in announced]


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


def todays_figures(books: Books, centre: Centre, now: Instant) -> tuple[Window, Figures]:
    """The figures of the calls that arrived today, as known at `now`."""
    window = today(centre, now)
    calls = books.of(centre.id, window.first, window.before)
    return window, figures(calls, at=now, service_level_s=centre.service_level_s)
