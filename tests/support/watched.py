"""The core under every check that must hold after each input, whatever was told."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain import overflow, routing
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId, Instant
from callcore.domain.stages import Stage
from callcore.domain.step import Step
from tests.support.floors import Desk


@dataclass
class Watched(Desk):
    """A `Desk` that also holds the decisions against the rules: who waits beside whom, and who would be stuck."""

    outcomes_of: Counter[CallId] = field(default_factory=Counter)
    armed: dict[i.Timer, Instant] = field(default_factory=dict)
    """Timers that were asked for and have not fired."""
    told_n: int = 0
    latest: Instant = Instant(0)
    """The latest instant that was told, by the clock of now."""

    def tell(self, told: i.Input) -> Step:
        if isinstance(told, i.TimerFired) and self.armed.get(told.timer, told.at) <= told.at:
            self.armed.pop(told.timer, None)
        done = super().tell(told)
        self.told_n += 1
        self.latest = told.at if isinstance(told, i.ClockJumped) else max(self.latest, told.at)
        for effect in done.effects:
            if isinstance(effect, e.SetTimer):
                known = self.armed.get(effect.timer, effect.at)
                self.armed[effect.timer] = max(known, effect.at)
        for fact in done.facts:
            if isinstance(fact, f.CallEnded):
                self.outcomes_of[fact.call] += 1
                assert self.outcomes_of[fact.call] == 1, f"{fact.call} ended twice"
                assert fact.call not in done.floor.calls
            if isinstance(fact, f.CallArrived):
                assert self.outcomes_of[fact.call] == 0, f"{fact.call} came back"
        self._nobody_waits_for_nothing(done.floor)
        self._everybody_has_one_thing_to_do(done.floor)
        for timer, due in done.floor.deadlines():
            # A look at an estimate is repeated: what is due next is always the one after.
            known = timer in self.armed if timer.kind is i.TimerKind.WAIT else False
            if timer.kind is i.TimerKind.WAIT and not known:
                # By the floor's time, which stands still while nothing happens; by now's it may be over.
                call = done.floor.calls[CallId(timer.subject)]
                known = done.floor.wait_due(call, max(self.latest, done.floor.at)) is None
            if timer.kind is i.TimerKind.CALLBACK and due <= max(self.latest, done.floor.at):
                known = True  # it waits for an agent, or for the centre to open
            assert known or self.armed.get(timer, Instant(0)) >= due, f"no timer ends {timer} at {due}"
        return done

    def restored(self) -> None:
        """The engine starts again: what it knows is folded from its facts, its timers are gone."""
        floor = Floor()
        for fact in self.facts:
            floor = evolve(floor, fact)
        assert floor == self.floor
        self.floor = floor
        self.armed.clear()

    @staticmethod
    def _nobody_waits_for_nothing(floor: Floor) -> None:
        if floor.linked:
            assert routing.matches(floor) == [], "a fitting agent is idle beside a waiting caller"
            assert overflow.found(floor, floor.at) is None, "a caller who overflows still waits"

    @staticmethod
    def _everybody_has_one_thing_to_do(floor: Floor) -> None:
        busy = Counter(offer.agent for offer in floor.offers.values())
        busy.update(c.talking_with for c in floor.calls.values() if c.talking_with is not None)
        assert all(n == 1 for n in busy.values()), f"an agent is in two offers or talks: {busy}"
        for call in floor.calls.values():
            assert call.stage is not Stage.TALKING or call.talk_since is not None
