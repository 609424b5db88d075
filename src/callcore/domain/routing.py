"""Who gets whom.

After every input, matching runs to a fixed point: while a caller waits on the waiting line and a fitting agent is
available, an offer is made, whatever made it possible. It runs over all queues of all centres at once.

Order of callers: priority, then longest wait, then the call's id, so that two equal runs decide equally.
Fitting agents: available, of the caller's queue or of one whose agents were added, with every skill needed at the
level that is accepted by now, and within the centres' shares.
Order of agents: the queue's own before added ones; then the best level in what is needed; then the queue's order
(longest idle, unless the centre file says otherwise); then the agent's number.

All callers of one `Line` ask for the same agents. So when nobody fits the first of a line, nobody fits the others,
and the work of a step does not grow with the number of callers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2s
from heapq import heapify, heappop, heapreplace
from typing import Protocol

from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.callback import Callback
from callcore.domain.centre import Order, Queue
from callcore.domain.floor import Floor, Line, Place, place_of
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, QueueId

LANGUAGES = {
    "ja": "日本語",
    "en": "英語",
    "zh": "中国語",
    "ko": "韓国語",
    "es": "スペイン語",
    "pt": "ポルトガル語",
    "vi": "ベトナム語",
    "th": "タイ語",
    "id": "インドネシア語",
    "tl": "タガログ語",
    "ne": "ネパール語",
}
"""A skill that is a language, by its code (ISO 639-1; tl is Filipino's usual one)."""


@dataclass(frozen=True, slots=True)
class Match:
    """One caller and those who are to be rung for, the first of them first."""

    call: Call
    agents: tuple[AgentState, ...]


@dataclass(slots=True)
class _Shares:
    """How many agents work for whom, this step's matches included."""

    floor: Floor
    lent: Counter[CentreId]
    guests: Counter[CentreId]

    def allow(self, agent: AgentState, centre: CentreId) -> bool:
        """Whether the agent may work for this centre now."""
        if agent.centre == centre:
            return True
        home, host = self.floor.centres.get(agent.centre), self.floor.centres.get(centre)
        if host is not None and host.guests_most is not None and self._guests(centre) >= host.guests_most:
            return False
        if home is None or home.keep == 0:
            return True
        left = self.floor.own_duty.get(home.id, 0) - self.floor.lent.get(home.id, 0) - self.lent[home.id]
        return left - 1 >= home.keep

    def _guests(self, centre: CentreId) -> int:
        return self.floor.guests.get(centre, 0) + self.guests[centre]

    def took(self, agent: AgentState, centre: CentreId) -> None:
        if agent.centre != centre:
            self.lent[agent.centre] += 1
            self.guests[centre] += 1


@dataclass(frozen=True, slots=True)
class Recall:
    """One caller whose turn to be called back has come, and who calls."""

    back: Callback
    agent: AgentState


class _Asking(Protocol):
    """What the choice of agents looks at of who waits."""

    @property
    def id(self) -> CallId: ...
    @property
    def centre(self) -> CentreId: ...
    @property
    def offers(self) -> int: ...


def matches(floor: Floor) -> list[Match]:
    """Every caller who is to be offered now, the first first; no caller and no agent stands in two."""
    return [match for match in in_order(floor, ()) if isinstance(match, Match)]


def in_order(floor: Floor, backs: Sequence[Callback]) -> list[Match | Recall]:
    """The same, with those who may be called back now at their places among the callers. One agent for each."""
    if not floor.free or not (floor.lines or backs):
        return []
    free = {name: floor.agents[name] for name in floor.free}
    shares = _Shares(floor, Counter(), Counter())
    heads: list[tuple[Place, int, int, Line | Callback]] = [
        (places[0], 0, n, line) for n, (line, places) in enumerate(floor.lines.items())
    ]
    heads += [(back.place, 0, len(floor.lines) + n, back) for n, back in enumerate(backs)]
    heapify(heads)
    found: list[Match | Recall] = []
    while heads and free:
        place, at, n, line = heads[0]
        if isinstance(line, Callback):
            heappop(heads)
            asked = floor.queues.get(line.queue)
            able = (
                []
                if asked is None
                else _fitting(
                    floor, asked, Line(line.queue, language=line.language), line, free.values(), shares
                )
            )
            if able:
                found.append(Recall(line, able[0]))
                shares.took(able[0], line.centre)
                del free[able[0].id]
            continue
        queue = floor.queues.get(line.queue)
        call = floor.calls[CallId(place[2])]
        agents = _fitting(floor, queue, line, call, free.values(), shares) if queue is not None else []
        if queue is None or not agents:
            heappop(heads)
            continue
        chosen: list[AgentState] = []
        for agent in agents:
            if len(chosen) < queue.ring_at_once and shares.allow(agent, call.centre):
                chosen.append(agent)
                shares.took(agent, call.centre)
                del free[agent.id]
        found.append(Match(call, tuple(chosen)))
        places = floor.lines[line]
        if at + 1 < len(places):
            heapreplace(heads, (places[at + 1], at + 1, n, line))
        else:
            heappop(heads)
    return found


def pools(queue: Queue, line: Line) -> tuple[QueueId, ...]:
    """The queues whose agents may serve this line, its own first."""
    borrowed = (name for rung in queue.ladder[: line.rung] for name in rung.agents_of)
    return (queue.id, *borrowed, *line.also)


ANY_LEVEL = 9
"""A caller who chose a language is served by whoever speaks it at all."""


def accepted(queue: Queue, rung: int, language: str | None = None) -> tuple[tuple[str, int], ...]:
    """(skill, the worst level that will do) after so many rungs of the ladder, and the language that was chosen."""
    level = max((r.level for r in queue.ladder[:rung] if r.level is not None), default=0)
    needs = tuple((skill, max(worst, level)) for skill, worst in queue.needs)
    return needs if language is None or language in dict(needs) else (*needs, (language, ANY_LEVEL))


def skilled(agent: AgentState, needs: Iterable[tuple[str, int]]) -> bool:
    for skill, worst in needs:
        level = agent.level(skill)
        if level is None or level > worst:
            return False
    return True


def _fitting(
    floor: Floor, queue: Queue, line: Line, call: _Asking, free: Iterable[AgentState], shares: _Shares
) -> list[AgentState]:
    """The free agents who may serve this line, the first to be rung first."""
    serving, needs = frozenset(pools(queue, line)), accepted(queue, line.rung, line.language)
    # All agents of a large centre may be free: what most of them pass is asked without a call.
    fitting = [
        agent
        for agent in free
        if not serving.isdisjoint(agent.queues)
        and (not needs or skilled(agent, needs))
        and (agent.centre == call.centre or shares.allow(agent, call.centre))
    ]
    return sorted(fitting, key=lambda agent: _rank(queue, needs, call, agent))


def _rank(
    queue: Queue, needs: tuple[tuple[str, int], ...], call: _Asking, agent: AgentState
) -> tuple[bool, int, int, AgentId]:
    worst = max(agent.level(skill) or 0 for skill, _ in needs) if needs else 0
    return (queue.id not in agent.queues, worst, _turn(queue, call, agent), agent.id)


def _turn(queue: Queue, call: _Asking, agent: AgentState) -> int:
    match queue.order:
        case Order.LONGEST_IDLE:
            return agent.idle_since or 0
        case Order.LINEAR:
            return agent.rank
        case Order.FEWEST_CALLS:
            return agent.answered
        case Order.RANDOM:
            drawn = f"{queue.seed}/{call.id}/{call.offers}/{agent.id}"
            return int.from_bytes(blake2s(drawn.encode(), digest_size=8).digest())


# -- in words ------------------------------------------------------------------------------------------------


def reasons(floor: Floor, match: Match, agent: AgentState, at: Instant) -> tuple[str, ...]:
    """Why this agent and why this caller, in words that a supervisor reads."""
    call = match.call
    assert call.visit is not None
    queue = floor.queues[call.visit.queue]
    words = [_why_agent(queue, agent, at)]
    for skill, _ in accepted(queue, call.visit.rung, call.visit.language):
        level = agent.level(skill)
        words.append(f"{LANGUAGES.get(skill, skill)} level {level} / {skill} level {level}")
    if queue.id not in agent.queues:
        words.append("ほかの待ち行列の応援 / from another queue's agents")
    if agent.centre != call.centre:
        words.append("ほかのセンターの応援 (兼務) / from another centre's agents")
    if call.visit.rung:
        words.append(f"条件緩和 {call.visit.rung} 段目 / rung {call.visit.rung} of the ladder")
    if len(match.agents) > 1:
        words.append(f"同時呼出 {len(match.agents)} 台 / {len(match.agents)} phones at once")
    waited = max(0, at - call.visit.since) // SECOND
    ahead = floor.ahead(queue.id, place_of(call))
    words.append(
        f"優先度 {call.visit.priority}・待ち {waited} 秒・前に {ahead} 人 / "
        f"priority {call.visit.priority}, waited {waited} s, {ahead} ahead"
    )
    return tuple(words)


def recall_reasons(match: Recall, queue: Queue, at: Instant) -> tuple[str, ...]:
    """Why this agent calls this citizen back now."""
    back = match.back
    waited = max(0, at - back.since) // SECOND
    return (
        _why_agent(queue, match.agent, at),
        f"折り返し {back.attempts + 1} 回目・優先度 {back.priority}・待ち {waited} 秒 / "
        f"call-back, attempt {back.attempts + 1}, priority {back.priority}, waited {waited} s",
    )


def _why_agent(queue: Queue, agent: AgentState, at: Instant) -> str:
    idle = max(0, at - (agent.idle_since or at)) // SECOND
    match queue.order:
        case Order.LONGEST_IDLE:
            return f"最長待機 {idle} 秒 / longest idle {idle} s"
        case Order.LINEAR:
            return f"名簿順 {agent.rank + 1} 番目 / number {agent.rank + 1} in the files"
        case Order.FEWEST_CALLS:
            return f"応答数最少 {agent.answered} 件 / fewest calls, {agent.answered}"
        case Order.RANDOM:
            return f"抽選 (種 {queue.seed}) / drawn by lot, seed {queue.seed}"
