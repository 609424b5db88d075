"""Who gets whom.

After every input, matching runs to a fixed point: while a caller waits on the waiting line and a fitting agent is
available, an offer is made, whatever made it possible.

Order of callers: priority, then longest wait, then the call's id, so that two equal runs decide equally.
Order of agents: longest idle, then the agent's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop

from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, Instant
from callcore.domain.stages import Stage


def _line(floor: Floor) -> Iterator[Call]:
    """Callers on the waiting line, in no order; not who is in the safety net or has put down."""
    for call in floor.calls.values():
        if (
            call.stage is Stage.WAITING
            and not call.in_net
            and call.visit is not None
            and call.given_up_as is None
            and not call.caller_put_down
        ):
            yield call


def _place(call: Call) -> tuple[int, int, str]:
    """Lower is served first."""
    assert call.visit is not None
    return (call.visit.priority, call.visit.since, call.id)


def choose(floor: Floor, call: Call, agents: Iterable[AgentState]) -> AgentState | None:
    """The fitting agent who has been idle longest; None when nobody fits."""
    if call.visit is None or call.visit.queue not in floor.queues:
        return None
    queue = call.visit.queue
    fitting = [a for a in agents if queue in a.queues]
    return min(fitting, key=lambda a: (a.idle_since or 0, a.id), default=None)


def pairs(floor: Floor) -> list[tuple[Call, AgentState]]:
    """Every pair that is to be joined now, first caller first; no caller and no agent stands in two."""
    agents = {a.id: a for a in floor.agents.values() if floor.available(a)}
    found: list[tuple[Call, AgentState]] = []
    if not agents:
        return found
    # A heap: most often one agent is free and thousands may wait, so they need not all be put in order.
    line = [(_place(call), call) for call in _line(floor)]
    heapify(line)
    while line and agents:
        _, call = heappop(line)
        agent = choose(floor, call, agents.values())
        if agent is not None:
            found.append((call, agent))
            del agents[agent.id]
    return found


def reasons(floor: Floor, call: Call, agent: AgentState, at: Instant) -> tuple[str, ...]:
    """Why this agent and why this caller, in words that a supervisor reads."""
    idle = max(0, at - (agent.idle_since or at)) // SECOND
    assert call.visit is not None
    waited = max(0, at - call.visit.since) // SECOND
    place = _place(call)
    ahead = sum(1 for c in _line(floor) if _place(c) < place)
    return (
        f"最長待機 {idle} 秒 / longest idle {idle} s",
        f"優先度 {call.visit.priority}・待ち {waited} 秒・前に {ahead} 人 / "
        f"priority {call.visit.priority}, waited {waited} s, {ahead} ahead",
    )
