"""How long the after-call work of each call was, folded from facts alone: what a live board's books keep of it.

Rules
- It begins with the end of a talk that is followed by any, and ends when the agent is free, talks or calls again, or
  signs out; of several agents of one call it is added up.
- An end that we had set and that passed by while nobody watched is the end.
- Reports ask the agents' stretches (`shifts.wrap_ups`), which know more than this; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace

from immutables import Map

from callcore.domain import facts as f
from callcore.domain.ids import AgentId, CallId, Instant


@dataclass(frozen=True, slots=True)
class Going:
    """After-call work that goes on. `until`: when it ends by itself."""

    call: CallId
    since: Instant
    until: Instant


@dataclass(frozen=True, slots=True)
class WrapUps:
    going: Map[AgentId, Going] = field(default_factory=Map)
    lengths: Map[CallId, int] = field(default_factory=Map)
    """In microseconds, of calls of which one agent's at least is over."""
    watched: bool = True

    def after(self, fact: f.Fact) -> WrapUps:
        match fact:
            case f.TalkEnded(agent=agent, wrap_up_until=until) if agent is not None and until is not None:
                return replace(self, going=self.going.set(agent, Going(fact.call, fact.at, until)))
            case f.WrapUpExtended(agent=agent) if agent in self.going:
                later = replace(self.going[agent], until=fact.until)
                return replace(self, going=self.going.set(agent, later))
            case f.WrapUpEnded(agent=agent) | f.AgentSignedOut(agent=agent):
                return self._over(agent, fact.at)
            case f.CallAnswered(agent=agent):
                return self._over(agent, fact.at)
            case f.SideCallBegan(agent=agent, holds_agent=True):
                return self._over(agent, fact.at)
            case f.LinkLost() | f.RunStarted():
                return replace(self, watched=False) if self.watched else self
            case f.LinkGained():
                found = self
                for agent, one in self.going.items():
                    if not self.watched and one.until <= fact.at:
                        found = found._over(agent, fact.at)
                return replace(found, watched=True)
            case f.ClockStepped(by=by):
                moved = {
                    agent: Going(one.call, Instant(one.since + by), Instant(one.until + by))
                    for agent, one in self.going.items()
                }
                return replace(self, going=Map(moved))
        return self

    def only(self, calls: Container[CallId]) -> WrapUps:
        """Only of these calls."""
        return replace(self, lengths=Map({k: n for k, n in self.lengths.items() if k in calls}))

    def _over(self, agent: AgentId | None, at: Instant) -> WrapUps:
        one = None if agent is None else self.going.get(agent)
        if agent is None or one is None:
            return self
        end = at if self.watched else min(at, one.until)
        length = self.lengths.get(one.call, 0) + max(0, end - one.since)
        return replace(self, going=self.going.delete(agent), lengths=self.lengths.set(one.call, length))
