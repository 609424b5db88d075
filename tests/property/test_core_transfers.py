"""Random ways through hold, consult and transfer: whatever agent, department, colleague and citizen do, each call has
one end, nobody stays at work for it, and the books balance."""

from __future__ import annotations

import random

import pytest

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.by_department import together as by_departments
from callcore.domain.ids import CallId, CentreId, ChannelId
from callcore.domain.measures import figures
from callcore.domain.shifts import Doing
from callcore.domain.stages import ANSWERED, SideKind, Stage, Work
from callcore.reports import day_report
from callcore.reports.report import Ledger
from tests.property.test_shifts_and_reports import adds_up
from tests.support.evidence import evidence
from tests.support.tapes import Taped
from tests.unit.test_core_transfer import CALLER, CITY, TAX, Moves

SEED = 20261128


class Way(Moves):
    """Does what is possible now, in the order in which Asterisk tells it; now and then some of it is not told."""

    def walk(self, rng: random.Random, steps: int = 12) -> None:
        self.begin()
        self.d.sign_in(2, 2)
        s, consults, far, name, answered = 4.0, 0, None, "", False
        for _ in range(steps):
            s += rng.choice((0.0, 0.01, 1.0, 7.0))
            if CallId("c1") not in self.d.floor.calls:
                break
            stage = self.call.stage
            if (
                stage is Stage.TALKING
                and self.call.talking_leg != self.leg
                and self.call.talking_leg is not None
            ):
                self.leg, self.bridge, far = self.call.talking_leg, self.call.bridge or "", None
            does = [self.caller_puts_down]
            if stage is Stage.TALKING:
                does.append(self._held if self.call.held_since is None else self._resumed)
                does += [self._agent_puts_down, self._unasked]
                if far is None:
                    does.append(self._consult)
                else:
                    does += [self._consult_ends] + (
                        [self.passes_on, self._joined] if answered else [self._answer, self.lets_go]
                    )
            elif stage is Stage.PARTED:
                does.append(self._again)
                if far is not None or self.call.moving_to is not None:
                    does.append(self._city_answers)
            elif stage is Stage.TRANSFERRED:
                does.append(self._city_leaves)
            elif stage is Stage.OFFERED:
                does += [self._picked_up] * 3
            action = rng.choice(does)
            self.rng, self.far, self.name = rng, far, name
            if action == self._consult:
                consults += 1
                name = f"k{consults}"
                kind = rng.choice((SideKind.DEPARTMENT, SideKind.DEPARTMENT, SideKind.COLLEAGUE))
                far, answered = self.ask(s, name, kind, rng.choice((CITY, TAX))), False
            elif action == self._answer:
                assert far is not None
                self.answers(s, far, name)
                answered = True
            elif action in (self.passes_on, self.lets_go):
                action(s, name)
            else:
                action(s)
            if action in (self._consult_ends, self._unasked, self._joined, self.passes_on):
                far = None if action == self._consult_ends else far
            assert self.d.floor.problems() == [], action.__name__
        if CallId("c1") in self.d.floor.calls:
            self.caller_puts_down(s + 1)
        self._rest(s + 2)

    def _held(self, s: float) -> None:
        self.hold(s)

    def _resumed(self, s: float) -> None:
        self.tell(i.HoldChanged(at=self.d.at(s), channel=self.leg, held=False))

    def _consult(self, s: float) -> None: ...

    def _answer(self, s: float) -> None: ...

    def _agent_puts_down(self, s: float) -> None:
        """Held or beside a consult the dialplan gives the caller back; else it ends the call."""
        back = self.call.held_since is not None or self.far is not None
        at = self.d.at(s)
        self.tell(
            i.HangupRequested(at=at, channel=self.leg),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=self.leg),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=CALLER),
            i.ChannelGone(at=at, channel=self.leg, cause=16),
        )
        self.back(s) if back else self.over(s)

    def _unasked(self, s: float) -> None:
        self.unasked(s, f"u{s}", self.rng.choice((CITY, TAX)))

    def _consult_ends(self, s: float) -> None:
        at, far, name = self.d.at(s), self.far, self.name
        assert far is not None
        self.tell(
            i.ChannelGone(at=at, channel=far, cause=self.rng.choice((16, 17, 0))),
            i.ChannelGone(at=at, channel=ChannelId(name), cause=16),
        )

    def _joined(self, s: float) -> None:
        """*35: both are moved into a bridge of their own."""
        at, far, name = self.d.at(s), self.far, self.name
        assert far is not None
        self.tell(
            i.BridgeLeft(at=at, bridge=self.bridge, channel=CALLER),
            i.BridgeLeft(at=at, bridge=f"with-{name}", channel=far),
            i.BridgeEntered(at=at, bridge="new", channel=CALLER),
            i.BridgeEntered(at=at, bridge="new", channel=far),
            i.ChannelGone(at=at, channel=self.leg, cause=16),
            i.ChannelGone(at=at, channel=ChannelId(name), cause=16),
        )

    def _city_answers(self, s: float) -> None:
        legs = [leg for leg in self.call.legs[1:] if leg.bridge is None]
        if legs:
            for channel in (legs[-1].channel, CALLER):
                self.tell(i.BridgeEntered(at=self.d.at(s), bridge=f"city-{s}", channel=channel))

    def _city_leaves(self, s: float) -> None:
        transfer = self.call.transfer
        assert transfer is not None
        self.city_puts_down(s, transfer.channel, self.call.bridge or "")
        self.back(s) if self.rng.random() < 0.5 else self.over(s)

    def _again(self, s: float) -> None:
        for leg in self.call.legs[1:]:
            self.tell(i.ChannelGone(at=self.d.at(s), channel=leg.channel, cause=17))
        self.back(s)

    def _picked_up(self, s: float) -> None:
        self.leg = self.d.pick_up(s)
        self.bridge = self.call.bridge or ""

    def _rest(self, s: float) -> None:
        """What is left hangs up, and all after-call work ends."""
        for side in list(self.d.floor.sides.values()):
            for channel in [leg for leg, _ in side.legs] + [side.channel]:
                self.tell(i.ChannelGone(at=self.d.at(s), channel=channel, cause=16))
        for agent in list(self.d.floor.agents.values()):
            if agent.wrap_up_until is not None:
                self.tell(i.TimerFired(at=self.d.at(s + 3600), timer=i.Timer(i.TimerKind.WRAP_UP, agent.id)))


def ways(seed: int, count: int) -> dict[str, int]:
    """That many ways; how they ended."""
    ends: dict[str, int] = {}
    for n in range(count):
        way = Way(d=Taped())
        way.walk(random.Random(seed * 1_000_003 + n))
        floor = way.d.floor
        assert floor.problems() == []
        assert not floor.calls and not floor.sides and not floor.channels, n
        assert all(agent.work is Work.IDLE for agent in floor.agents.values()), n
        ended = way.ended()
        assert ended.outcome in ANSWERED, n
        told = figures(way.d.books.records.values(), at=way.d.at(9999), service_level_s=20)
        assert (told.arrived, told.offered, told.answered) == (1, 1, 1), n
        record = way.d.books.records[CallId("c1")]
        assert 0 <= record.hold <= record.talk
        assert record.away_since is None and record.held_since is None and record.talk_since is None
        moves = sum(isinstance(fact, f.CallTransferred) for fact in way.d.facts)
        assert moves >= ended.outcome.value.startswith("transferred"), n
        _figures_agree(way, n)
        ends[ended.outcome.value] = ends.get(ended.outcome.value, 0) + 1
    return ends


def _figures_agree(way: Way, n: int) -> None:
    """Each department's figures, their sum, the half hours' and the talk of each agent, out of the journal alone."""
    assert isinstance(way.d, Taped)
    [record] = way.d.books.records.values()
    made = day_report(way.d.frames, CentreId("demo"), None)
    adds_up(made)
    told = made.total.asks
    assert told == by_departments(way.d.books.records.values(), way.d.books.asks), n
    assert told.open == 0, n
    asked = [fact for fact in way.d.facts if isinstance(fact, f.SideCallBegan)]
    assert told.asked == sum(fact.kind is SideKind.DEPARTMENT for fact in asked), n
    assert told.unasked == len(way.d.told(f.TransferBegan)), n
    assert told.ends[AskEnd.PUT_THROUGH] == len(way.d.told(f.CallTransferred)), n
    assert told.ends[AskEnd.LOST_ON_HOLD] <= told.lost_on_hold, n
    ledger = Ledger()
    for frame in way.d.frames:
        ledger.take(frame)
    talks = [s for s in ledger.roster.stretches(ledger.at) if s.doing is Doing.TALKING]
    assert sum(s.before - s.first for s in talks) == record.talk, n
    assert record.talk + record.away <= (record.ended_at or 0) - (record.answered_at or 0), n


def test_whatever_is_done_each_call_has_one_end_and_nobody_stays_at_work_for_it() -> None:
    ends = ways(7, 400)
    assert set(ends) == {each.value for each in ANSWERED}, "each end was met"


@pytest.mark.soak
def test_ten_thousand_ways_through_hold_consult_and_transfer() -> None:
    evidence("ways through hold, consult and transfer, in the core", {"seed": SEED, **ways(SEED, 10_000)})
