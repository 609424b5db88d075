"""Which lamps of the desk phones burn: read from the floor, nothing is kept here.

Rules
- A lamp bears the name of the code whose key it sits beside, so that one key dials and shows: `*15` pauses, and its
  lamp is on while the agent at that phone is paused.
- Off, steady and flashing have one meaning each for one lamp; the table stands in the operations pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import Enum

from callcore.domain.agent import NO_ANSWER_PAUSE, AgentState
from callcore.domain.call import Call
from callcore.domain.centre import Centre
from callcore.domain.floor import Floor
from callcore.domain.sides import SideCall
from callcore.domain.stages import Presence, Stage, Work


class Lamp(Enum):
    OFF = "off"
    STEADY = "steady"
    FLASHING = "flashing"


HOLD = "hold"
"""To look at, no code."""
PHONE_LAMPS = ("*11", "*13", "*14", "*15", "*20", "*31", "*32", "*33", "*34", HOLD)
"""What every phone has; beside these `*15` with each reason's digit."""
HELP = "*30"
"""The centre's: somebody asks for help."""
EMERGENCY = "*90"
"""The centre's: it is closed in an emergency."""


def of_phone(
    centre: Centre, agent: AgentState | None, call: Call | None, out: SideCall | None = None
) -> Iterator[tuple[str, Lamp]]:
    """Code and lamp of one phone. `agent`: who is signed in there; `call`: with whom he talks; `out`: whom he calls."""
    yield "*11", _on(agent is not None)
    yield "*13", _on(agent is not None and agent.presence is Presence.READY)
    yield "*14", _on(agent is not None and agent.work is Work.WRAPPING_UP)
    yield "*15", _pause(agent)
    for reason in centre.staff.pauses:
        away = agent is not None and agent.pause == reason.name
        yield f"*15{reason.key}", _pause(agent) if away else Lamp.OFF
    yield "*20", _result(centre, agent)
    talk = call if call is not None and call.stage is Stage.TALKING else None
    yield "*31", _help(talk)
    yield "*32", _on(talk is not None and talk.abuse)
    yield "*33", _on(talk is not None and talk.relay)
    yield "*34", _on(any(each is not None and each.unrecorded_since is not None for each in (talk, out)))
    yield HOLD, _hold(call)


def _on(on: bool) -> Lamp:
    return Lamp.STEADY if on else Lamp.OFF


def _pause(agent: AgentState | None) -> Lamp:
    """Flashing: the agent has to do something, for it is too long or was not his own wish."""
    if agent is None or agent.presence is not Presence.PAUSED:
        return Lamp.OFF
    return Lamp.FLASHING if agent.pause_overran or agent.pause == NO_ANSWER_PAUSE else Lamp.STEADY


def _help(talk: Call | None) -> Lamp:
    """Steady: asked for; flashing: somebody is coming."""
    if talk is None or talk.help_since is None:
        return Lamp.OFF
    return Lamp.STEADY if talk.help_by is None else Lamp.FLASHING


def _hold(call: Call | None) -> Lamp:
    """Steady: a caller is held; flashing: for too long."""
    if call is None or call.held_since is None:
        return Lamp.OFF
    return Lamp.FLASHING if call.hold_overran else Lamp.STEADY


def _result(centre: Centre, agent: AgentState | None) -> Lamp:
    """Flashing: after-call work, and no result yet. Steady: it is keyed."""
    if agent is None or agent.last_call is None or not centre.staff.results:
        return Lamp.OFF
    if agent.result is not None:
        return Lamp.STEADY
    return Lamp.FLASHING if agent.work is Work.WRAPPING_UP else Lamp.OFF


def of_queues(floor: Floor) -> Iterator[tuple[str, Lamp]]:
    """Queue and lamp. Steady: somebody waits; flashing: as many as the centre, or a supervisor, says, or more."""
    waiting = Counter(
        call.visit.queue
        for call in floor.calls.values()
        if call.visit is not None and call.stage in (Stage.WAITING, Stage.OFFERED)
    )
    for centre in floor.centres.values():
        for queue in centre.queues:
            n = waiting[queue.id]
            many = n >= floor.warns(centre)[0]
            yield queue.id, Lamp.FLASHING if many else _on(n > 0)


def of_emergency(floor: Floor) -> Iterator[tuple[str, Lamp]]:
    """Centre and lamp. Steady: closed in an emergency. By the floor's own facts: its end is one."""
    for centre in floor.centres:
        known = floor.emergencies.get(centre)
        yield centre, _on(known is not None and known.ended is None)


def of_help(floor: Floor) -> Iterator[tuple[str, Lamp]]:
    """Centre and lamp. Flashing: an agent of it asks for help, and nobody sees to it yet; steady: somebody does."""
    asked = [call for call in floor.calls.values() if call.help_since is not None]
    for centre in floor.centres:
        of_it = [call for call in asked if call.centre == centre]
        waits = any(call.help_by is None for call in of_it)
        yield centre, Lamp.FLASHING if waits else _on(bool(of_it))
