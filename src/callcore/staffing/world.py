"""A virtual telephone centre around the core: callers, phones and after-call work, on a clock that is only a number.

The world plays what is outside: people and Asterisk. What it tells is what a healthy Asterisk on a perfect link would
tell, at the instant at which it happens, and no more than the core needs to decide and to count:

    arrival       ChannelArrived, CallerHeld
    OfferCall     DialBegan for each phone; after the answer time BridgeEntered for caller and first phone, ChannelGone
                  for the others
    end of talk   HangupRequested, ChannelGone (the caller's), RecordingMeasured; ReadyAsked after drawn after-call work
    patience out  HangupRequested, ChannelGone
    WithdrawOffer ChannelGone (the phone's)
    EndWait       CallerOverflowed, ChannelGone: the announcement is not lived
    SetTimer      TimerFired, unless it was set anew or its offer or call is over

All decisions are the core's. Facts are folded into one record per call by `domain.measures`; a record is handed over
when its call has ended, so that the world holds open calls only.

Chance is drawn from `random.Random` seeded with text, one source for each kind of arrival, and everything of a caller
is drawn at the arrival: two runs with one seed and other seats or rules meet the same callers.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import AgentState
from callcore.domain.centre import Configuration
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, NodeId, OfferId, PhoneId
from callcore.domain.measures import Record, record
from callcore.domain.stages import Device, Presence, Work
from callcore.domain.step import Step, step
from callcore.staffing.erlang import StaffingError

START = Instant(1_775_001_600 * SECOND)
"""2026-04-01 00:00 UTC. Where virtual time begins; no figure hangs on it."""

HALF_HOUR = 1800 * SECOND
NEVER_H = 1000
"""Virtual hours of run-out after which a caller is taken to wait for ever. Where every seat is busy 99.9 % of the time
the wait is of the order of a thousand handling times: a hundred hours."""
NODE = NodeId("sim")
PHRASE_S, MENU_S = 4, 15
"""Seconds that a phrase lasts, and that a caller stays in an overflow menu: about what is shipped."""
CLEARED = 16
"""Q.850: normal clearing."""

Shape = Literal["exponential", "constant", "lognormal"]


Watch = Callable[[Step], None]
"""Sees each step of the core."""


class BrokenFloor(AssertionError):
    """An invariant of the core does not hold. Ours to mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long something lasts. `variation`: standard deviation ÷ mean, of `lognormal` only (exponential has 1)."""

    mean_s: float
    shape: Shape = "exponential"
    variation: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean_s) and self.mean_s > 0):
            raise StaffingError(
                f"平均は 0 より大きい秒数です: {self.mean_s} / a mean is a number of seconds above 0: {self.mean_s}"
            )
        if not (math.isfinite(self.variation) and self.variation > 0):
            raise StaffingError(
                f"変動係数は 0 より大きい数です: {self.variation} / "
                f"a coefficient of variation is a number above 0: {self.variation}"
            )

    def draw(self, chance: Random) -> int:
        """Microseconds."""
        if self.shape == "exponential":
            s = chance.expovariate(1 / self.mean_s)
        elif self.shape == "constant":
            s = self.mean_s
        else:
            width = math.log1p(self.variation**2)
            s = chance.lognormvariate(math.log(self.mean_s) - width / 2, math.sqrt(width))
        return round(s * SECOND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Poisson arrivals at one number, and what those callers are like."""

    number: str
    per_hour: tuple[float, ...]
    """Arrivals per hour in each half hour from the beginning, again and again; a single value: always."""
    handling: Length
    """From the answer until the agent is free again: talk and after-call work."""
    patience: Length | None = None
    """From the first entry into a queue until the caller hangs up; None: waits for ever."""
    acw_share: float = 0.0
    """What of the handling is after-call work, 0 to 1. With 0 the queue's own `acw_s` follows the talk."""

    def __post_init__(self) -> None:
        if not self.per_hour or not all(math.isfinite(rate) and rate >= 0 for rate in self.per_hour):
            raise StaffingError(
                f"1 時間の着信数は 0 以上の数です: {self.per_hour} / "
                f"arrivals per hour: numbers, 0 or more, not {self.per_hour}"
            )
        if not any(self.per_hour):
            raise StaffingError(
                "着信数がすべて 0 です。一つ以上を 0 より大きくしてください / "
                "every arrival rate is 0: give at least one above 0"
            )
        if not 0 <= self.acw_share < 1:
            raise StaffingError(
                f"後処理の割合は 0 以上 1 未満です: {self.acw_share} / "
                f"the share of after-call work is from 0 to below 1: {self.acw_share}"
            )


@dataclass(slots=True)
class _Caller:
    id: CallId
    kind: Callers
    patience: int | None
    handling: int
    channel: ChannelId
    ringing: list[ChannelId] = field(default_factory=list)
    rounds: int = 0
    """Counts the rounds of offers: what was planned for an earlier one is void."""
    talks: bool = False


@dataclass(frozen=True, slots=True)
class Spent:
    """What all agents together did since the beginning, in microseconds. Ringing and resting count as ready."""

    talk: int = 0
    acw: int = 0
    ready: int = 0

    def since(self, before: Spent) -> Spent:
        return Spent(self.talk - before.talk, self.acw - before.acw, self.ready - before.ready)

    @property
    def worked(self) -> int:
        return self.talk + self.acw

    @property
    def present(self) -> int:
        return self.talk + self.acw + self.ready


_TALK, _ACW, _READY, _AWAY = range(4)


def _doing(agent: AgentState) -> int:
    if agent.work is Work.TALKING:
        return _TALK
    if agent.work is Work.WRAPPING_UP:
        return _ACW
    return _READY if agent.presence is Presence.READY else _AWAY


class World:
    """Everybody in the configuration signs in, as far as phones reach; then callers come until nobody asks for more.

    `ended` gets each call's record at its end. `watch` sees each step. Every `check_every` inputs the floor's
    invariants are looked at; `BrokenFloor` is raised when one does not hold. `answer_s`: how long a phone rings.
    """

    def __init__(
        self,
        configuration: Configuration,
        callers: Sequence[Callers],
        *,
        seed: int,
        ended: Callable[[Record], None],
        answer_s: float = 0.0,
        watch: Watch | None = None,
        check_every: int = 1000,
    ) -> None:
        self.floor = Floor()
        self.now = START
        self.inputs = 0
        self.open: dict[CallId, Record] = {}
        self._ended = ended
        self._watch = watch
        self._check_every = check_every
        self._answer = round(answer_s * SECOND)
        self._callers: dict[CallId, _Caller] = {}
        self.arrived = 0
        self._legs = 0
        self._queue: list[tuple[int, int, Callable[[Any], None], Any]] = []
        self._n = 0
        self._armed: dict[i.Timer, Instant] = {}
        self._doing: dict[AgentId, int] = {}
        self._counts = [0, 0, 0, 0]
        self._spent = [0, 0, 0, 0]
        self._counted_to = START
        self._check_rings(configuration, answer_s)
        self._begin(configuration)
        for n, kind in enumerate(callers):
            chance = Random(f"{seed}/{n}/{kind.number}")  # noqa: S311 (chance of a simulation, not a secret)
            self._plan_arrival((kind, chance, START))

    # -- the clock -------------------------------------------------------------------------------------------

    def run(self, until: Instant) -> None:
        """Live everything before `until`."""
        queue = self._queue
        while queue and queue[0][0] < until:
            self._next()
        self.now = max(self.now, until)

    def run_out(self) -> None:
        """Live on, arrivals going on, until every call that is open now has ended.

        Raises `StaffingError` when somebody still waits after `NEVER_H`: nobody is there for that caller, or too few.
        """
        waiting_for = set(self.open)
        bound = self.now + NEVER_H * 3600 * SECOND
        while waiting_for:
            for _ in range(50):
                self._next()
            waiting_for &= self.open.keys()
            if self.now > bound:
                raise StaffingError(
                    f"{len(waiting_for)} 人が {NEVER_H} 時間たっても応答されません。担当できるオペレーターを増やすか、"
                    f"我慢時間を指定してください / {len(waiting_for)} callers are not answered within {NEVER_H} h: "
                    "take more agents who can serve them, or give a patience"
                )

    def spent(self) -> Spent:
        """Agents' time from the beginning up to now."""
        self._count_time()
        talk, acw, ready, _ = self._spent
        return Spent(talk, acw, ready)

    def _next(self) -> None:
        at, _, do, what = heapq.heappop(self._queue)
        self.now = Instant(at)
        do(what)

    def _later(self, at: int, do: Callable[[Any], None], what: Any) -> None:
        self._n += 1
        heapq.heappush(self._queue, (at, self._n, do, what))

    # -- the core --------------------------------------------------------------------------------------------

    def _tell(self, told: i.Input) -> None:
        self.inputs += 1
        done = step(self.floor, told)
        self.floor = done.floor
        for fact in done.facts:
            self._note(fact)
        if self._watch is not None:
            self._watch(done)
        if self.inputs % self._check_every == 0:
            self._check()
        for effect in done.effects:
            self._perform(effect)

    def _note(self, fact: f.Fact) -> None:
        agent: AgentId | None = getattr(fact, "agent", None)
        if agent is not None:
            self._look_at(agent)
        call: CallId | None = getattr(fact, "call", None)
        if call is None:
            return
        known = record(self.open.get(call), fact)
        if known is None:
            return
        if known.outcome is None:
            self.open[call] = known
        elif self.open.pop(call, None) is not None:
            self._ended(known)

    def _look_at(self, agent: AgentId) -> None:
        """What the agent does after this step; the time up to now belongs to what was done before."""
        before = self._doing.get(agent, _AWAY)
        after = _doing(self.floor.agents[agent])
        if after != before:
            self._count_time()
            self._counts[before] -= 1
            self._counts[after] += 1
            self._doing[agent] = after

    def _count_time(self) -> None:
        length = self.now - self._counted_to
        if length:
            self._spent = [s + n * length for s, n in zip(self._spent, self._counts, strict=True)]
            self._counted_to = self.now

    def _check(self) -> None:
        problems = self.floor.problems()
        if set(self.open) != set(self.floor.calls):
            problems.append("the open records are not the open calls")
        if problems:
            raise BrokenFloor("; ".join(problems))

    def _perform(self, effect: e.Effect) -> None:
        match effect:
            case e.OfferCall():
                # An event of its own: the rest of this step's effects comes first.
                self._later(self.now, self._ring, effect)
            case e.SetTimer():
                self._armed[effect.timer] = effect.at
                self._later(max(self.now, effect.at), self._fire, effect)
            case e.WithdrawOffer():
                self._later(self.now, self._stops_ringing, effect)
            case e.EndWait():
                self._later(self.now, self._is_sent_away, effect)
            case e.LeadAside():
                length = PHRASE_S if effect.menu is None else MENU_S
                self._later(self.now + length * SECOND, self._comes_back, effect)
            case _:
                pass  # what mirrors into the safety net, and replies to feature codes, moves nobody here

    def _fire(self, asked: e.SetTimer) -> None:
        timer = asked.timer
        if self._armed.get(timer) != asked.at:
            return
        del self._armed[timer]
        match timer.kind:
            case i.TimerKind.OFFER:
                void = OfferId(timer.subject) not in self.floor.offers
            case i.TimerKind.WAIT:
                void = CallId(timer.subject) not in self._callers
            case _:
                void = False
        if not void:
            self._tell(i.TimerFired(at=self.now, timer=timer))

    # -- the centre opens ------------------------------------------------------------------------------------

    def _begin(self, configuration: Configuration) -> None:
        self._tell(i.RunBegins(at=self.now, run=1, software="simulation", configuration=configuration))
        self._tell(i.Snapshot(at=self.now, node=NODE, first=True, channels=(), devices=(), members=()))
        for centre in configuration.centres:
            fixed = {a.phone for a in centre.agents if a.phone is not None}
            free = iter([p.id for p in centre.phones if p.id not in fixed])
            for agent in centre.agents:
                phone = agent.phone or next(free, None)
                if phone is not None:
                    self._sign_in(agent.id, phone)

    def _sign_in(self, agent: AgentId, phone: PhoneId) -> None:
        self._tell(i.DeviceReported(at=self.now, phone=phone, device=Device.FREE))
        self._tell(i.SignInAsked(at=self.now, agent=agent, phone=phone, channel="sim", verified=True))

    @staticmethod
    def _check_rings(configuration: Configuration, answer_s: float) -> None:
        shortest = min((q.ring_s for c in configuration.centres for q in c.queues), default=0)
        if not 0 <= answer_s < shortest:
            raise StaffingError(
                f"応答までの秒数は 0 以上、呼出時間 {shortest} 秒未満です: {answer_s} / the seconds until an agent "
                f"answers are from 0 to below the ring time of {shortest} s: {answer_s}"
            )

    # -- callers ---------------------------------------------------------------------------------------------

    def _plan_arrival(self, what: tuple[Callers, Random, Instant]) -> None:
        """The next arrival after `since`. An exponential gap has no memory, so each half hour begins it anew."""
        kind, chance, since = what
        at, per_hour = float(since), kind.per_hour
        while True:
            if len(per_hour) == 1:
                at += chance.expovariate(per_hour[0]) * 3600 * SECOND
                break
            period = int(at - START) // HALF_HOUR
            ends = START + (period + 1) * HALF_HOUR
            rate = per_hour[period % len(per_hour)]
            gap = chance.expovariate(rate) * 3600 * SECOND if rate else math.inf
            if at + gap < ends:
                at += gap
                break
            at = float(ends)
        self._later(round(at), self._comes, (kind, chance))

    def _comes(self, what: tuple[Callers, Random]) -> None:
        kind, chance = what
        self.arrived += 1
        name = f"sim-{self.arrived}"
        patience = None if kind.patience is None else kind.patience.draw(chance)
        caller = _Caller(CallId(name), kind, patience, kind.handling.draw(chance), ChannelId(name))
        self._plan_arrival((kind, chance, self.now))
        self._callers[caller.id] = caller
        self._tell(
            i.ChannelArrived(
                at=self.now, node=NODE, channel=caller.channel, name=name, number=kind.number, caller=None
            )
        )
        if caller.id not in self.open:
            raise StaffingError(
                f"番号 {kind.number} はどのセンターの着信番号でもありません / {kind.number} is no centre's number"
            )
        self._tell(i.CallerHeld(at=self.now, call=caller.id))
        if patience is not None:
            self._later(self.now + patience, self._loses_patience, caller)

    def _loses_patience(self, caller: _Caller) -> None:
        if not caller.talks and caller.id in self._callers:
            self._hangs_up(caller)

    def _hangs_up(self, caller: _Caller) -> None:
        """The caller puts down, in the talk or before it."""
        del self._callers[caller.id]
        agent = self.floor.calls[caller.id].talking_with
        self._tell(i.HangupRequested(at=self.now, channel=caller.channel))
        self._tell(i.ChannelGone(at=self.now, channel=caller.channel, cause=CLEARED))
        if not caller.talks:
            return
        # The floor keeps an answered call's id until its recording is filed.
        self._tell(
            i.RecordingMeasured(
                at=self.now, call=caller.id, file="", size=0, seconds=0.0, sha256=None, problem=None
            )
        )
        if agent is not None and caller.kind.acw_share:
            acw = caller.handling - self._talk(caller)
            self._later(self.now + acw, self._has_finished, (agent, self.now))

    def _comes_back(self, led: e.LeadAside) -> None:
        """After a phrase; and out of a menu everybody goes on waiting, for what people choose is not known."""
        caller = self._callers.get(led.call)
        if caller is not None and not caller.talks:
            self._tell(i.CallerHeld(at=self.now, call=led.call, aside=led.number))

    def _is_sent_away(self, end: e.EndWait) -> None:
        """The overflow's treatment begins, and ends at once: how long it lasts is no part of any figure's question."""
        caller = self._callers.get(end.call)
        if caller is None or caller.talks:
            self._tell(i.WaitNotEnded(at=self.now, call=end.call, reason="gone", caller_gone=caller is None))
            return
        del self._callers[caller.id]
        self._tell(i.CallerOverflowed(at=self.now, call=caller.id, outcome=end.outcome))
        self._tell(i.ChannelGone(at=self.now, channel=caller.channel, cause=CLEARED))

    # -- phones ----------------------------------------------------------------------------------------------

    def _ring(self, offer: e.OfferCall) -> None:
        caller = self._callers.get(offer.call)
        if caller is None or self.floor.calls[caller.id].offer != offer.offer:
            return  # gone, or thought better of, in the very microsecond of the offer
        caller.rounds += 1
        caller.ringing = []
        for phone in offer.phones:
            self._legs += 1
            leg = ChannelId(f"sim-leg-{self._legs}")
            caller.ringing.append(leg)
            self._tell(i.DialBegan(at=self.now, call=caller.id, channel=leg, phone=phone, offer=offer.offer))
        if self._answer:
            self._later(self.now + self._answer, self._picks_up, (caller, caller.rounds))
        else:
            self._picks_up((caller, caller.rounds))

    def _picks_up(self, what: tuple[_Caller, int]) -> None:
        """The first phone of the round answers; the others stop ringing."""
        caller, rounds = what
        if caller.id not in self._callers or caller.rounds != rounds or not caller.ringing:
            return
        winner, *others = caller.ringing
        caller.ringing = []
        caller.talks = True
        for channel in (winner, caller.channel):
            self._tell(i.BridgeEntered(at=self.now, bridge=winner, channel=channel))
        for leg in others:
            self._tell(i.ChannelGone(at=self.now, channel=leg, cause=CLEARED))
        self._later(self.now + self._talk(caller), self._hangs_up, caller)

    def _stops_ringing(self, offer: e.WithdrawOffer) -> None:
        call = self.floor.channels.get(offer.channel)
        caller = self._callers.get(call) if call is not None else None
        if caller is not None and offer.channel in caller.ringing:
            caller.ringing.remove(offer.channel)
            self._tell(i.ChannelGone(at=self.now, channel=offer.channel, cause=CLEARED))

    def _talk(self, caller: _Caller) -> int:
        return round(caller.handling * (1 - caller.kind.acw_share))

    def _has_finished(self, what: tuple[AgentId, Instant]) -> None:
        """The after-call work that was drawn is over, unless the queue's own bound was quicker."""
        name, since = what
        agent = self.floor.agents[name]
        if agent.work is Work.WRAPPING_UP and agent.talk_ended_at == since:
            self._tell(i.ReadyAsked(at=self.now, agent=name))
