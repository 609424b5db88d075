"""A simulated Asterisk: callers, desk phones, the dialplan, the safety net, the link and CEL, on a virtual clock.

It carries out the effects that `step` wants and tells what a real Asterisk would tell, in the order in which a real
one did. While the link is down nothing is told: the dialplan goes on alone, CEL keeps what happened, and a snapshot
stands at the beginning of the next link. `Wire` says what the way between them does to the inputs.

The world knows the truth (`truth`), so that what the core believes can be held against it.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, OfferId, PhoneId, QueueId
from callcore.domain.stages import Choice, Device, OfferStage, Outcome, Party, Presence, Stage
from tests.support.floors import MONDAY_NOON, NODE, NUMBER, centre, configuration, rich
from tests.support.watched import Watched

STALE_S = 5.0
"""Seconds without a heartbeat after which held callers fall into the safety net."""
LOOK_S, JUDGE_S = 10, 1.0
NET_LIMIT_S = 90.0
CLEARED, FAULT = 16, 38


@dataclass(frozen=True)
class Wire:
    """Chances (0 to 1) per input to be told twice, to come late (and so out of order), not to come at all."""

    double: float = 0.0
    late: float = 0.0
    drop: float = 0.0


@dataclass
class Truth:
    """What a caller really lived through."""

    answered: Instant | None = None
    ended: Instant | None = None
    by: Party = Party.SYSTEM
    open: bool = True
    talk: int = 0
    hold: int = 0
    """In microseconds, like the talk."""
    held: Instant | None = None
    given_up: Outcome | None = None
    """Heard the safety net's apology, or was sent to the treatment of an overflow."""
    outcome: Outcome | None = None


@dataclass
class Caller:
    id: ChannelId
    name: str
    created: Instant
    context: str = "callcore-in"
    application: str = "Playback"
    bridge: str | None = None
    offer: OfferId | None = None
    entered: Instant | None = None
    queue: QueueId = QueueId("")
    number: str = NUMBER
    legs: list[Leg] = field(default_factory=list)
    """The phones that ring, or the one that talks."""
    since: Instant = Instant(0)
    would_be: Outcome | None = None
    """What the call ends as if it ends in the overflow menu where the caller is."""
    moves: int = 0
    """Counts the places it was in: what was planned for an earlier place is void."""

    @property
    def leg(self) -> Leg | None:
        return self.legs[0] if self.legs else None


@dataclass(eq=False)
class Leg:
    id: ChannelId
    caller: Caller
    phone: Phone
    offer: OfferId | None
    began: Instant
    bridge: str | None = None
    held: bool = False


@dataclass
class Phone:
    id: PhoneId
    device: Device = Device.FREE
    leg: Leg | None = None
    rests_until: Instant = Instant(0)
    """In the safety net: app_queue's own wrap-up."""


@dataclass
class Sim:
    seed: int
    agents: int = 3
    wire: Wire = field(default_factory=Wire)
    hasty: bool = False
    """Agents answer within a second and talk for seconds: more calls in the same time."""
    rich: bool = False
    """The centre with skills, several queues and overflow rules."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.core = Watched()
        self.now = MONDAY_NOON
        small = rich(self.agents) if self.rich else centre(self.agents, ring_s=10, acw_s=15)
        self.config: Configuration = configuration(small)
        self.phones = {p.id: Phone(p.id) for p in self.config.centres[0].phones}
        self.callers: dict[ChannelId, Caller] = {}
        self.truth: dict[CallId, Truth] = {}
        self.cel: dict[CallId, i.CallTraced] = {}
        self.members: dict[tuple[QueueId, PhoneId], bool] = {}
        """Whether paused."""
        self.link = False
        self.links = 0
        self.engine_up = False
        self.beat = Instant(0)
        self.under_way = 0
        """Inputs, effects and judgements that are neither there nor lost yet."""
        self.inputs = 0
        self._events: list[tuple[Instant, int, Callable[[], None]]] = []
        self._n = 0
        self._told_at = Instant(0)
        self._offers_done: set[OfferId] = set()

    # -- the clock -------------------------------------------------------------------------------------------

    def later(self, s: float, do: Callable[[], None]) -> None:
        self._n += 1
        heapq.heappush(self._events, (Instant(self.now + round(s * SECOND)), self._n, do))

    def run(self, s: float) -> None:
        """Let so many seconds go by."""
        until = Instant(self.now + round(s * SECOND))
        while self._events and self._events[0][0] <= until:
            self.now, _, do = heapq.heappop(self._events)
            do()
        self.now = until

    def between(self, low: float, high: float) -> float:
        return self.chance.uniform(low, high)

    # -- the way to the engine -------------------------------------------------------------------------------

    def emit(self, told: i.Input) -> None:
        """An AMI event. Stamped now; there half a millisecond later, unless the wire does something to it."""
        if not self.link:
            return
        if self.chance.random() < self.wire.drop:
            return
        delay = 0.0005
        if self.chance.random() < self.wire.late:
            delay = self.between(0.001, 1.5)
        self._bring(delay, told)
        if self.chance.random() < self.wire.double:
            self._bring(self.between(0.001, 1.5), told)

    def _bring(self, delay: float, told: i.Input) -> None:
        run, self.under_way = self.core.floor.run, self.under_way + 1

        def arrive() -> None:
            self.under_way -= 1
            if self.engine_up and self.core.floor.run == run:
                self.tell(told)

        self.later(delay, arrive)

    def tell(self, told: i.Input) -> None:
        self.inputs += 1
        done = self.core.tell(told)
        for effect in done.effects:
            if isinstance(effect, e.SetTimer):
                self._set_timer(effect)
            else:
                self._soon(effect)

    def _set_timer(self, effect: e.SetTimer) -> None:
        run = self.core.floor.run

        def fire() -> None:
            if self.engine_up and self.core.floor.run == run:
                self.tell(i.TimerFired(at=max(self.now, effect.at), timer=effect.timer))

        self.later(max(0.0, (effect.at - self.now) / SECOND), fire)

    def _soon(self, effect: e.Effect) -> None:
        run, self.under_way = self.core.floor.run, self.under_way + 1

        def do() -> None:
            self.under_way -= 1
            if self.engine_up and self.core.floor.run == run:
                self._perform(effect)

        self.later(0.001, do)

    # -- the engine, its link and its looks ------------------------------------------------------------------

    def engine_starts(self) -> None:
        if self.core.facts:
            self.core.restored()
        self.engine_up = True
        run = self.core.floor.run + 1
        self.tell(i.RunBegins(at=self.now, run=run, software="test", configuration=self.config))
        self.link_up()
        if self.links == 1:
            self.later(1.0, self._tick)
            self.later(LOOK_S, self._look)

    def engine_killed(self) -> None:
        """Whatever it had under way is lost with it."""
        self.engine_up = False
        self.link = False

    def link_lost(self) -> None:
        if self.link:
            self._bring(0.0005, i.LinkDropped(at=self.now, node=NODE))
            self.link = False

    def link_up(self) -> None:
        if self.link or not self.engine_up:
            return
        self.link = True
        self.links += 1
        self._devices()
        self._bring(0.0005, self._snapshot(first=True))

    def _devices(self) -> None:
        for phone in self.phones.values():
            self._bring(0.0005, i.DeviceReported(at=self.now, phone=phone.id, device=phone.device))

    def _snapshot(self, *, first: bool) -> i.Snapshot:
        since = self.core.floor.unwitnessed_since()
        return i.Snapshot(
            at=self.now,
            node=NODE,
            first=first,
            channels=tuple(self._seen()),
            devices=(),
            members=tuple(i.Member(*m, paused) for m, paused in sorted(self.members.items())),
            traces=tuple(t for t in self.cel.values() if t.arrived >= since) if first else (),
        )

    def _seen(self) -> list[i.ChannelSeen]:
        found: list[i.ChannelSeen] = []
        for c in self.callers.values():
            second = Instant(c.created // SECOND * SECOND)
            entered = None if c.entered is None else Instant(c.entered // SECOND * SECOND)
            own = i.ChannelSeen(
                id=c.id,
                name=c.name,
                context=c.context,
                application=c.application,
                bridge=c.bridge,
                call=CallId(c.id),
                offer=c.offer,
                phone=None,
                number=c.number,
                caller="0312345678",
                created=second,
                entered=entered,
            )
            found.append(own)
            for leg in c.legs:
                other = replace(
                    own,
                    id=leg.id,
                    name=f"PJSIP/{leg.phone.id}-1",
                    context="callcore-phones",
                    application="AppDial",
                    bridge=leg.bridge,
                    phone=leg.phone.id,
                    number=None,
                    created=Instant(leg.began // SECOND * SECOND),
                )
                found.append(other)
        return found

    def _look(self) -> None:
        """All channels against the floor; judged a second later, as the engine does."""
        if self.link and self.core.floor.linked:
            self._devices()
            seen, links = self._snapshot(first=False), self.links
            self.under_way += 1

            def judge() -> None:
                self.under_way -= 1
                if self.links == links and self.link and self.engine_up and self.core.floor.linked:
                    self.tell(seen)

            self.later(JUDGE_S, judge)
        self.later(LOOK_S, self._look)

    def _tick(self) -> None:
        if self.link and self.engine_up and self.core.floor.linked:
            self.beat = self.now
        for caller in list(self.callers.values()):
            if caller.application == "WaitForCondition" and self._stale():
                self._net(caller)
        self._distribute()
        self.later(1.0, self._tick)

    def _stale(self) -> bool:
        return self.now - self.beat > STALE_S * SECOND

    # -- effects ---------------------------------------------------------------------------------------------

    def _perform(self, effect: e.Effect) -> None:
        match effect:
            case e.OfferCall():
                assert effect.offer not in self._offers_done, "an offer is carried out at most once"
                self._offers_done.add(effect.offer)
                self._place(effect, Instant(self.now + SECOND // 2))
            case e.ReclaimCaller() if self.link:
                caller = self.callers.get(ChannelId(effect.call))
                if caller is not None and caller.application == "Queue" and caller.bridge is None:
                    for leg in list(caller.legs):
                        self._ring_ends(leg, OfferStage.CALLER_GONE, back=False)
                    self._hold(caller)
            case e.AddMember() if self.link:
                self.members[effect.queue, effect.phone] = effect.paused
            case e.PauseMember() if self.link and (effect.queue, effect.phone) in self.members:
                self.members[effect.queue, effect.phone] = effect.paused
            case e.RemoveMember() if self.link:
                self.members.pop((effect.queue, effect.phone), None)
            case e.LeadAside():
                self._lead(effect, Instant(self.now + SECOND // 2))
            case e.EndWait():
                self._end_wait(effect, Instant(self.now + SECOND // 2))
            case e.MoveCaller() if self.link and ChannelId(effect.call) in self.callers:
                self.callers[ChannelId(effect.call)].queue = effect.queue
            case e.WithdrawOffer() if self.link:
                ringing = (leg for c in self.callers.values() for leg in c.legs)
                for leg in [leg for leg in ringing if leg.id == effect.channel and leg.bridge is None]:
                    told = (OfferStage.NO_ANSWER, OfferStage.CALLER_GONE, OfferStage.REJECTED)
                    self._ring_ends(leg, self.chance.choice(told))
            case e.Look() if self.link:
                self._devices()
                self._bring(0.0005, self._snapshot(first=False))

    def _lead(self, effect: e.LeadAside, deadline: Instant) -> None:
        """To a phrase of 3 s, or into a menu where most go on waiting and some end the call by key."""
        caller = self.callers.get(ChannelId(effect.call))
        if not self.link or caller is None or caller.application != "WaitForCondition":
            if not self.link or caller is None or self.now >= deadline:
                told = i.AsideNotBegun(
                    at=self.now,
                    call=effect.call,
                    number=effect.number,
                    reason="not there",
                    caller_gone=caller is None,
                )
                self._bring(0.0, told)
            else:
                self._again(lambda: self._lead(effect, deadline))
            return
        if effect.menu is None:
            self._move(caller, "callcore-comfort", "Playback")
            self.later(3, self._still(caller, lambda: self._hold(caller, aside=effect.number)))
            return
        self._move(caller, "callcore-menu", "Read")
        aside = self.core.floor.calls[effect.call].aside
        caller.would_be = aside.cause if aside is not None else None
        if self.chance.random() < 0.2:
            self.later(5, self._still(caller, lambda: self._ends_by_key(caller)))
        self.later(9, self._still(caller, lambda: self._hold(caller, aside=effect.number)))

    def _ends_by_key(self, caller: Caller) -> None:
        call = CallId(caller.id)
        caller.would_be = Outcome.OVERFLOW_KEY
        keyed = i.MenuKeyed(at=self.now, call=call, menu="demo-full", key="9", choice=Choice.END)
        self._trace(caller, menus=(*self.cel[call].menus, keyed))
        self.emit(keyed)
        self._caller_goes(caller, Party.SYSTEM)

    def _end_wait(self, effect: e.EndWait, deadline: Instant) -> None:
        caller = self.callers.get(ChannelId(effect.call))
        if not self.link or caller is None or not self._may_leave(caller, effect.cut):
            if not self.link or caller is None or self.now >= deadline:
                gone = caller is None
                self._bring(
                    0.0, i.WaitNotEnded(at=self.now, call=effect.call, reason="not there", caller_gone=gone)
                )
            else:
                self._again(lambda: self._end_wait(effect, deadline))
            return
        self._move(caller, "callcore-overflow", "Playback")
        self.truth[effect.call].given_up = effect.outcome
        self._trace(caller, overflow=(self.now, effect.outcome))
        self.emit(i.CallerOverflowed(at=self.now, call=effect.call, outcome=effect.outcome))
        self.later(4, self._still(caller, lambda: self._caller_goes(caller, Party.SYSTEM)))

    def _place(self, effect: e.OfferCall, deadline: Instant) -> None:
        caller = self.callers.get(ChannelId(effect.call))
        if self.link and caller is not None and self._may_leave(caller, effect.cut):
            self._offer(caller, effect)
        elif not self.link or caller is None or self.now >= deadline:
            self._bring(
                0.0,
                i.OfferNotPlaced(
                    at=self.now, call=effect.call, offer=effect.offer, reason="not on the waiting line"
                ),
            )
        else:
            self._again(lambda: self._place(effect, deadline))

    def _again(self, do: Callable[[], None]) -> None:
        """A moment later, if the same engine still runs."""
        run, self.under_way = self.core.floor.run, self.under_way + 1

        def again() -> None:
            self.under_way -= 1
            if self.engine_up and self.core.floor.run == run:
                do()

        self.later(0.05, again)

    # -- the dialplan ----------------------------------------------------------------------------------------

    def _move(self, caller: Caller, context: str, application: str) -> None:
        caller.context, caller.application = context, application
        caller.would_be = None
        caller.since = self.now
        caller.moves += 1

    def _still(self, caller: Caller, do: Callable[[], None]) -> Callable[[], None]:
        """Only if the caller is where it is now."""
        moves = caller.moves

        def unless_moved() -> None:
            if caller.id in self.callers and caller.moves == moves:
                do()

        return unless_moved

    def comes(self, patience_s: float, *, open: bool = True) -> CallId:
        """A caller who hangs up after so many seconds unless the talk is over before."""
        n = len(self.truth) + 1
        channel = ChannelId(f"node1-{self.now // SECOND}.{n}")
        number = self.chance.choice(self.config.centres[0].numbers)
        who = self.chance.choice(("0312345678", "0612345678", "0312340000"))
        caller = Caller(channel, f"PJSIP/trunk-{n:08x}", self.now, queue=number.queue, number=number.digits)
        self.callers[channel] = caller
        call = CallId(channel)
        self.truth[call] = Truth(open=open)
        self.cel[call] = i.CallTraced(
            call=call,
            number=caller.number,
            caller=who,
            name=caller.name,
            arrived=self.now,
            open=open,
            entered=None,
            net=None,
            answered=None,
            phone=None,
            talk_ended=None,
            ended=None,
            hung_up_by=Party.UNKNOWN,
        )
        self.emit(
            i.ChannelArrived(
                at=self.now, node=NODE, channel=channel, name=caller.name, number=caller.number, caller=who
            )
        )
        self._move(caller, "callcore-admit", "Playback")
        self.emit(i.AdmissionDecided(at=self.now, call=call, open=open, source="pushed"))
        if open:
            self.later(self.between(1, 4), self._still(caller, lambda: self._hold(caller)))
        else:
            self.later(8, self._still(caller, lambda: self._caller_goes(caller, Party.SYSTEM)))
        self.later(patience_s, lambda: self._hangs_up(caller))
        return call

    def _trace(self, caller: Caller, **told: object) -> None:
        call = CallId(caller.id)
        self.cel[call] = replace(self.cel[call], **told)  # type: ignore[arg-type]

    def _back(self, caller: Caller) -> None:
        traced = self.cel[CallId(caller.id)]
        if traced.talk_ended is not None:
            self._trace(caller, back=traced.back or self.now)

    @staticmethod
    def _may_leave(caller: Caller, cut: bool) -> bool:
        return caller.application == "WaitForCondition" or (cut and caller.context == "callcore-comfort")

    def _hold(self, caller: Caller, aside: int | None = None) -> None:
        self._move(caller, "callcore-hold", "StartMusicOnHold")
        caller.offer = None
        if caller.entered is None:
            caller.entered = self.now
        self._trace(caller, entered=self.cel[CallId(caller.id)].entered or self.now, held=self.now)
        self._back(caller)
        self.emit(i.CallerHeld(at=self.now, call=CallId(caller.id), aside=aside))

        def wait() -> None:
            caller.application = "WaitForCondition"
            if self._stale():
                self._net(caller)

        self.later(0.002, self._still(caller, wait))

    def _net(self, caller: Caller) -> None:
        self._move(caller, "callcore-net", "Queue")
        self._trace(caller, net=self.now)
        self._back(caller)
        self.emit(i.CallerInNet(at=self.now, call=CallId(caller.id)))
        self.later(NET_LIMIT_S, self._still(caller, lambda: self._apology(caller)))
        self._distribute()

    def _apology(self, caller: Caller) -> None:
        if caller.bridge is not None:
            return
        for leg in list(caller.legs):
            self._ring_ends(leg, OfferStage.NO_ANSWER, back=False)
        self._move(caller, "callcore-net", "Playback")
        self.truth[CallId(caller.id)].given_up = Outcome.FAILED
        self._trace(caller, apology=self.now)
        self.emit(i.CallerApologised(at=self.now, call=CallId(caller.id)))
        self.later(3, self._still(caller, lambda: self._caller_goes(caller, Party.SYSTEM)))

    def _distribute(self) -> None:
        """app_queue: who entered the waiting line first rings a free member."""
        waiting = [c for c in self.callers.values() if c.application == "Queue" and not c.legs]
        for caller in sorted(waiting, key=lambda c: (c.entered or c.created, c.id)):
            for (queue, name), paused in sorted(self.members.items()):
                phone = self.phones[name]
                if queue != caller.queue or paused:
                    continue
                if phone.device is Device.FREE and phone.rests_until <= self.now:
                    self._ring(caller, phone, None, 15)
                    break

    def _offer(self, caller: Caller, effect: e.OfferCall) -> None:
        self._move(caller, "callcore-offer", "Dial")
        caller.offer = effect.offer
        phones = [self.phones[name] for name in effect.phones]
        free = [phone for phone in phones if phone.device is Device.FREE]
        for phone in free:
            self._ring(caller, phone, effect.offer, effect.ring_s)
        if not free:
            result = OfferStage.BUSY if phones[-1].device is Device.BUSY else OfferStage.UNREACHABLE
            self._returned(caller, effect.offer, result)
            self._hold(caller)

    def _returned(self, caller: Caller, offer: OfferId, result: OfferStage | None) -> None:
        self.emit(i.OfferReturned(at=self.now, call=CallId(caller.id), offer=offer, result=result))

    # -- phones ----------------------------------------------------------------------------------------------

    def _device(self, phone: Phone, device: Device) -> None:
        if phone.device is not device:
            phone.device = device
            self.emit(i.DeviceReported(at=self.now, phone=phone.id, device=device))

    def _ring(self, caller: Caller, phone: Phone, offer: OfferId | None, ring_s: float) -> None:
        self._n += 1
        leg = Leg(ChannelId(f"node1-{self.now // SECOND}.{self._n}p"), caller, phone, offer, self.now)
        caller.legs.append(leg)
        phone.leg = leg
        self.emit(
            i.DialBegan(at=self.now, call=CallId(caller.id), channel=leg.id, phone=phone.id, offer=offer)
        )
        self._device(phone, Device.BUSY)

        def unless_over(do: Callable[[], None]) -> Callable[[], None]:
            return lambda: do() if phone.leg is leg and leg.bridge is None else None

        self.later(ring_s, unless_over(lambda: self._ring_ends(leg, OfferStage.NO_ANSWER)))
        habit = self.chance.random()
        s = self.between(0.2, 1.0 if self.hasty else 9.0)
        if habit < 0.7:
            self.later(s, unless_over(lambda: self._answers(leg)))
        elif habit < 0.82:
            self.later(s, unless_over(lambda: self._ring_ends(leg, OfferStage.REJECTED)))
        elif habit < 0.9:
            self.later(s, unless_over(lambda: self._ring_ends(leg, OfferStage.UNREACHABLE)))

    def _ring_ends(self, leg: Leg, result: OfferStage, *, back: bool = True) -> None:
        """One phone rings no more. When it was the last of its round, the dialplan goes on."""
        caller, phone = leg.caller, leg.phone
        caller.legs.remove(leg)
        phone.leg = None
        call = CallId(caller.id)
        self.emit(
            i.DialEnded(
                at=self.now, call=call, channel=leg.id, offer=leg.offer, result=result, phone=phone.id
            )
        )
        cause = 20 if result is OfferStage.UNREACHABLE else CLEARED
        self.emit(i.ChannelGone(at=self.now, channel=leg.id, cause=cause))
        if result is OfferStage.UNREACHABLE:
            self._device(phone, Device.UNREACHABLE)
            self.later(self.between(1, 20), lambda: self._reachable_again(phone))
        else:
            self._device(phone, Device.FREE)
        phone.rests_until = Instant(self.now + 5 * SECOND)
        if back and leg.offer is not None and not caller.legs:
            self._returned(caller, leg.offer, result)
            self._hold(caller)

    def _reachable_again(self, phone: Phone) -> None:
        if phone.device is Device.UNREACHABLE:
            self._device(phone, Device.FREE)

    def _answers(self, leg: Leg) -> None:
        caller = leg.caller
        leg.bridge = caller.bridge = f"bridge-{leg.id}"
        caller.since = self.now
        call = CallId(caller.id)
        others = [other for other in caller.legs if other is not leg]
        late = self.chance.random() < 0.5
        for other in [] if late else others:
            self._ring_ends(other, OfferStage.CALLER_GONE, back=False)
        self.emit(
            i.DialEnded(
                at=self.now, call=call, channel=leg.id, offer=leg.offer, result=None, phone=leg.phone.id
            )
        )
        for other in others if late else []:
            self._ring_ends(other, OfferStage.CALLER_GONE, back=False)
        pair = [leg.id, caller.id]
        self.chance.shuffle(pair)
        for channel in pair:
            self.emit(i.BridgeEntered(at=self.now, bridge=leg.bridge, channel=channel))
        self.truth[call].answered = self.truth[call].answered or self.now
        answered = self.cel[call].answered or self.now
        before = self.cel[call]
        if before.talk_since is not None and before.talk_ended is not None:
            over = i.TalkTraced(before.phone, before.talk_since, before.talk_ended, before.back)
            self._trace(caller, earlier=(*before.earlier, over))
        told = {"talk_since": self.now, "talk_ended": None, "back": None}
        self._trace(caller, answered=answered, phone=leg.phone.id, **told)

        def while_on(do: Callable[[], None]) -> Callable[[], None]:
            return lambda: do() if leg.phone.leg is leg else None

        talk = self.between(1, 6 if self.hasty else 60)
        if self.chance.random() < 0.3:
            self.later(talk * 0.3, while_on(lambda: self._holds(leg, True)))
            if self.chance.random() < 0.7:
                self.later(talk * 0.6, while_on(lambda: self._holds(leg, False)))
        end = self.chance.random()
        if end < 0.5:
            self.later(talk, while_on(lambda: self._agent_puts_down(leg)))
        elif end < 0.85:
            self.later(talk, while_on(lambda: self._hangs_up(caller)))
        else:
            self.later(talk, while_on(lambda: self._phone_fails(leg)))

    def _holds(self, leg: Leg, held: bool) -> None:
        leg.held = held
        truth = self.truth[CallId(leg.caller.id)]
        if not held and truth.held is not None:
            truth.hold += self.now - truth.held
        truth.held = self.now if held else None
        self.emit(i.HoldChanged(at=self.now, channel=leg.id, held=held))

    def _leave(self, leg: Leg, first: ChannelId) -> None:
        second = leg.caller.id if first == leg.id else leg.id
        assert leg.bridge is not None
        for channel in (first, second):
            self.emit(i.BridgeLeft(at=self.now, bridge=leg.bridge, channel=channel))
        leg.caller.bridge = leg.phone.leg = None
        leg.caller.legs.remove(leg)
        self._trace(leg.caller, talk_ended=self.now)
        truth = self.truth[CallId(leg.caller.id)]
        truth.talk += self.now - leg.caller.since
        if leg.held:
            truth.hold += self.now - (truth.held or self.now)
        leg.phone.rests_until = Instant(self.now + 15 * SECOND)

    def _agent_puts_down(self, leg: Leg) -> None:
        self.emit(i.HangupRequested(at=self.now, channel=leg.id))
        self._leave(leg, leg.id)
        self.emit(i.ChannelGone(at=self.now, channel=leg.id, cause=CLEARED))
        self._device(leg.phone, Device.FREE)
        if leg.offer is not None:
            self._returned(leg.caller, leg.offer, None)
        self._caller_goes(leg.caller, Party.AGENT, Outcome.COMPLETED)

    def _phone_fails(self, leg: Leg) -> None:
        """The phone is gone in the middle of a talk; the dialplan leads the caller back to the waiting line."""
        self._leave(leg, leg.id)
        self.emit(i.ChannelGone(at=self.now, channel=leg.id, cause=FAULT))
        self._device(leg.phone, Device.UNREACHABLE)
        self.later(self.between(1, 20), lambda: self._reachable_again(leg.phone))
        if leg.offer is not None:
            self._returned(leg.caller, leg.offer, None)
        self._hold(leg.caller)

    def _hangs_up(self, caller: Caller) -> None:
        if caller.id not in self.callers:
            return
        self.emit(i.HangupRequested(at=self.now, channel=caller.id))
        leg = caller.leg
        if leg is not None and leg.bridge is not None:
            self._leave(leg, caller.id)
            self.emit(i.ChannelGone(at=self.now, channel=leg.id, cause=CLEARED))
            self._device(leg.phone, Device.FREE)
        else:
            for ringing in list(caller.legs):
                self._ring_ends(ringing, OfferStage.CALLER_GONE, back=False)
        held = leg is not None and leg.held
        talked = leg is not None and leg.id in (leg.bridge or "")
        self._caller_goes(
            caller, Party.CALLER, Outcome.LOST_ON_HOLD if held else Outcome.COMPLETED if talked else None
        )

    def _caller_goes(self, caller: Caller, by: Party, after_talk: Outcome | None = None) -> None:
        """`after_talk`: what it is when it goes out of a talk; None: it had none, or was back on the line."""
        call = CallId(caller.id)
        del self.callers[caller.id]
        truth = self.truth[call]
        truth.ended, truth.by = self.now, by
        if not truth.open:
            truth.outcome = Outcome.CLOSED
        elif truth.answered is not None:
            truth.outcome = after_talk or Outcome.CUT_OFF
        elif truth.given_up is not None:
            truth.outcome = truth.given_up
        elif caller.would_be is not None:
            truth.outcome = caller.would_be
        elif by is Party.CALLER:
            short = self.now - self.cel[call].arrived <= 5 * SECOND
            truth.outcome = Outcome.ABANDONED_SHORT if short else Outcome.ABANDONED
        else:
            truth.outcome = Outcome.FAILED
        self._trace(caller, ended=self.now, hung_up_by=by)
        self.emit(i.ChannelGone(at=self.now, channel=caller.id, cause=CLEARED))

    # -- agents ----------------------------------------------------------------------------------------------

    def keys_in(self, agent: int) -> None:
        """Signs in on the phone of the same number, if the dialplan takes feature codes now."""
        phone = self.phones[PhoneId(f"demo-p{agent}")]
        if phone.device is not Device.FREE or self._stale():
            return
        self._device(phone, Device.BUSY)
        self.emit(
            i.SignInAsked(
                at=self.now, agent=AgentId(str(1000 + agent)), phone=phone.id, channel="x", verified=True
            )
        )
        self.later(2, lambda: self._free_again(phone))

    def keys_out(self, agent: int) -> None:
        phone = self.phones[PhoneId(f"demo-p{agent}")]
        if phone.device is not Device.FREE or self._stale():
            return
        self._device(phone, Device.BUSY)
        self.emit(i.SignOutAsked(at=self.now, phone=phone.id, channel="x"))
        self.later(2, lambda: self._free_again(phone))

    def _keys(self, agent: int, told: type[i.PauseAsked | i.ReadyAsked | i.WrapUpExtendAsked]) -> None:
        phone = self.phones[PhoneId(f"demo-p{agent}")]
        if phone.device is not Device.FREE or self._stale():
            return
        self._device(phone, Device.BUSY)
        more = {"reason": "離席"} if told is i.PauseAsked else {}
        self.emit(told(at=self.now, phone=phone.id, channel="x", **more))
        self.later(2, lambda: self._free_again(phone))

    def pauses(self, agent: int) -> None:
        self._keys(agent, i.PauseAsked)

    def is_ready(self, agent: int) -> None:
        self._keys(agent, i.ReadyAsked)

    def takes_longer(self, agent: int) -> None:
        self._keys(agent, i.WrapUpExtendAsked)

    def is_set_to_pause(self, agent: int) -> None:
        """By somebody else, whatever the agent is doing."""
        if self.engine_up:
            name = AgentId(str(1000 + agent))
            self._bring(0.0, i.PauseAsked(at=self.now, reason="研修", agent=name, by="上長 / supervisor"))

    def dials_out(self, agent: int) -> None:
        """A call of the agent's own: the phone is busy for a while."""
        phone = self.phones[PhoneId(f"demo-p{agent}")]
        if phone.device is Device.FREE:
            self._device(phone, Device.BUSY)
            self.later(self.between(1, 20), lambda: self._free_again(phone))

    def _free_again(self, phone: Phone) -> None:
        if phone.device is Device.BUSY and phone.leg is None:
            self._device(phone, Device.FREE)

    # -- what the core believes, against the truth -----------------------------------------------------------

    def differences(self) -> list[str]:
        """Where the floor is not what the world is, with all news delivered and nothing under way."""
        floor = self.core.floor
        gone = [name for name in floor.calls if ChannelId(name) not in self.callers]
        found = [f"{name} is on the floor and has gone" for name in gone]
        for caller in self.callers.values():
            call = floor.calls.get(CallId(caller.id))
            if call is None:
                found.append(f"{caller.id} is there and not on the floor")
                continue
            if caller.bridge is not None:
                right = call.stage is Stage.TALKING
            elif caller.application == "WaitForCondition":
                right = call.stage in (Stage.WAITING, Stage.OFFERED) and not call.in_net
                right = right and call.leaving_as is None
            elif caller.application == "Queue":
                right = call.stage is Stage.WAITING and call.in_net
            elif caller.application == "Dial":
                right = call.stage is Stage.OFFERED and call.offer == caller.offer
            elif caller.context == "callcore-comfort":
                right = call.stage in (Stage.WAITING, Stage.OFFERED) and call.aside is not None
            else:
                right = call.stage in (Stage.ARRIVED, Stage.ANNOUNCED, Stage.WAITING)
            if not right:
                found.append(f"{caller.id} in {caller.application} ({caller.bridge}) is {call.stage.value}")
        found.extend(
            f"{phone.id} is {phone.device.value}, believed {floor.phones.get(phone.id)}"
            for phone in self.phones.values()
            if floor.phones.get(phone.id) is not phone.device
        )
        members = {
            (queue, agent.phone): agent.presence is Presence.PAUSED
            for agent in floor.agents.values()
            if agent.phone is not None
            for queue in agent.queues
        }
        if members != self.members:
            found.append(f"the safety net has {self.members}, signed in are {members}")
        return found

    def ended_otherwise(self, *, watched: bool) -> list[str]:
        """Calls whose record is not what their callers lived through. For a wire that loses nothing.

        What CEL cannot tell (hold) is asked for only if the core `watched` all the time.
        """
        found = []
        for call, truth in self.truth.items():
            record = self.core.books.records.get(call)
            if record is None or record.outcome is None:
                found.append(f"{call} has no end in the books")
                continue
            lived = [truth.outcome, truth.answered, truth.ended, truth.by]
            booked = [record.outcome, record.answered_at, record.ended_at, record.hung_up_by]
            if watched:
                lived += [truth.talk, truth.hold]
                booked += [record.talk, record.hold]
            else:
                unknown = (Outcome.LOST_ON_HOLD, Outcome.COMPLETED)
                lived, booked = (
                    [Outcome.COMPLETED if x in unknown else x for x in row] for row in (lived, booked)
                )
            if not truth.open:
                lived, booked = lived[:1], booked[:1]
            if lived != booked:
                found.append(f"{call}: {lived} became {booked}")
        return found
