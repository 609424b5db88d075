"""How long a caller will wait, from the present state (EWT), and how good that was.

The queue is taken for a line in front of n agents with exponential handling times and impatient callers (M/M/n+M;
Palm 1957; Mandelbaum and Zeltyn, "Service engineering in action", 2007). With k callers ahead and all n agents at
work, the one in question is served after k + 1 departures, of which each comes at the rate n/h + jθ while j callers
stand before it: h is the mean handling time, 1/θ the mean patience. So the expected wait is Σ 1 ÷ (n/h + jθ) for
j = 0 … k. An agent who is free counts as one caller less ahead.

- n are the agents of the queue who are on duty now, have the skills that the last rung of its ladder asks for, and
  speak the language that the caller chose. Callers of other queues and languages who are served before count by the
  share of their agents who serve this caller as well.
- h and θ come from the queue's own latest calls, beginning with what the centre file expects.
"""

from __future__ import annotations

from bisect import bisect_left
from math import fsum

from callcore.domain.callback import CallbackState
from callcore.domain.centre import Queue
from callcore.domain.floor import Floor, Pace, Place
from callcore.domain.ids import AgentId, QueueId
from callcore.domain.routing import accepted, skilled

PRIOR = 10.0
"""So many calls weighs what the centre file expects, against the queue's own latest ones."""


def handling_s(queue: Queue, pace: Pace) -> float:
    """Mean time of talk and after-call work, in seconds."""
    return (PRIOR * queue.handling_s + pace.handling) / (PRIOR + pace.handled)


def patience_s(queue: Queue, pace: Pace) -> float:
    """Mean patience in seconds: time waited ÷ callers who gave up, the estimate for times that are cut off."""
    return (PRIOR * queue.patience_s + pace.waited) / (PRIOR + pace.left)


def wait_s(floor: Floor, name: QueueId, place: Place, language: str | None = None) -> float | None:
    """The expected wait, in seconds from now on, of a caller at this place of a queue; None: nobody is on duty.

    `language`: what the agent must speak by skill, as of the visit."""
    return Waits(floor, name, language).at(place)


class Waits:
    """The expected waits at the places of one queue, of callers who chose one language, on one floor. What is the same
    at every place is looked up once."""

    def __init__(self, floor: Floor, name: QueueId, language: str | None = None) -> None:
        queue = floor.queues.get(name)
        duty = able(floor, queue, language=language) if queue is not None else None
        self._staffed = bool(duty)
        if queue is None or not duty:
            return
        self._free = float(sum(map(duty.__contains__, floor.free)))
        self._lines: list[tuple[tuple[Place, ...], float]] = []
        serving: dict[tuple[QueueId, str | None], frozenset[AgentId] | None] = {(name, language): duty}
        for line, places in floor.lines.items():
            spoken = line.queue, line.language
            if spoken not in serving:
                serving[spoken] = _serving(floor, line.queue, line.language, queue)
            others = serving[spoken]
            if others:
                self._lines.append((places, len(duty & others) / len(others)))
        self._backs = [
            back.place
            for back in floor.callbacks.values()
            if back.queue == name and back.state is CallbackState.WAITING
        ]
        pace = floor.pace.get(name, Pace())
        self._rate = len(duty) / max(1.0, handling_s(queue, pace))
        self._leaving = 1 / max(1.0, patience_s(queue, pace))
        self._sums = [1 / self._rate]
        """Of the terms up to each j."""

    def at(self, place: Place) -> float | None:
        """Seconds from now on; None: nobody is on duty."""
        if not self._staffed:
            return None
        before = [-self._free]
        before.extend(bisect_left(places, place) * share for places, share in self._lines)
        before.extend(1.0 for back in self._backs if back < place)
        ahead = fsum(before)  # exact, for the lines come in no order
        if ahead < 0:
            return 0.0
        whole = int(ahead)
        while len(self._sums) <= whole:
            self._sums.append(self._sums[-1] + 1 / (self._rate + len(self._sums) * self._leaving))
        return self._sums[whole] + (ahead - whole) / (self._rate + (whole + 1) * self._leaving)


def _serving(floor: Floor, name: QueueId, language: str | None, ours: Queue) -> frozenset[AgentId] | None:
    """Who serves another line's callers, who may be before ours."""
    queue = floor.queues.get(name)
    if queue is None or (language is None and queue is not ours):
        return floor.on_duty.get(name)
    return able(floor, queue, language=language)


def able(
    floor: Floor, queue: Queue, also: tuple[QueueId, ...] = (), language: str | None = None
) -> frozenset[AgentId]:
    """The agents on duty, of this queue and of those whose agents were added, who can serve its callers, if not at
    once."""
    duty = floor.on_duty.get(queue.id, frozenset()).union(*(floor.on_duty.get(name, ()) for name in also))
    needs = accepted(queue, len(queue.ladder), language)
    return duty if not needs else frozenset(name for name in duty if skilled(floor.agents[name], needs))
