"""The floor: the whole state at one instant.

Rules
- Only facts change the floor, by `evolve`. Nothing here decides anything.
- Ended calls leave the floor; their ids stay for an hour, so that a late or doubled event cannot bring them back.
- What matching asks at every step is kept ready beside the state it follows from: the callers in their lines, the
  agents who are free, who is on duty, who is lent out. `put_call` and `put_agent` are the only ways in, and keep
  these indexes; `problems` counts them anew and compares.
- `seq` counts facts' frames, set by the journal's writer and readers; equal `seq`, equal floor.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from immutables import Map

from callcore.domain.agent import AgentState
from callcore.domain.blocked import Blocked
from callcore.domain.call import Call, Visit
from callcore.domain.callback import Callback, CallbackState
from callcore.domain.centre import Cause, Centre, Configuration, Number, Queue
from callcore.domain.emergency import Emergency
from callcore.domain.findings import Expected
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    OfferId,
    PhoneId,
    QueueId,
)
from callcore.domain.inputs import Timer, TimerKind
from callcore.domain.message import Message
from callcore.domain.numbering import national
from callcore.domain.offer import Offer
from callcore.domain.personal import Personal
from callcore.domain.phones import PhoneState, Policy
from callcore.domain.retention import KeepOrder
from callcore.domain.sides import Answer, SideCall
from callcore.domain.stages import OPEN_OFFER, Device, Presence, Stage, Work
from callcore.domain.tape import Tape
from callcore.domain.values import changed
from callcore.domain.watch import Thresholds, Watch

OFFER_GRACE_S = 5
"""Seconds after the ring time within which Asterisk must have told an offer's end. `Dial` returns at once at its
limit; 5 s is the heartbeat's bound, after which the link is held to be dead anyway."""

UNNOTICED_S = 60
"""Seconds for which a link may have been dead before that was noticed. A Ping each second with 3 s for its answer
finds it within 4; a minute covers a machine that hardly runs, and reading more of CEL than needed is harmless."""

ESTIMATE_EVERY_S = 5
"""Seconds between two looks at a caller's estimated wait where an overflow rule asks for it."""

Place = tuple[int, int, str]
"""Priority, since when the call waits, the call's id: lower is served first, and no two are equal."""


@dataclass(frozen=True, slots=True)
class Line:
    """Callers who wait for the same agents: of one queue, on one rung of its ladder, with the same agents added."""

    queue: QueueId
    rung: int = 0
    also: tuple[QueueId, ...] = ()
    language: str | None = None
    """That they chose, where the agents have to speak it by their skills."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a queue moves, from its own latest calls: sums in which a call weighs less with each that follows.

    `handled` talks took `handling` seconds, after-call work included; `left` callers gave up in `waited` seconds.
    """

    handled: float = 0.0
    handling: float = 0.0
    left: float = 0.0
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Tongue:
    """A language that a caller chose, remembered until then."""

    caller: Personal
    language: str
    until: Instant


@dataclass(frozen=True, slots=True)
class Floor:
    run: int = 0
    at: Instant = Instant(0)
    """The latest instant any fact bore."""
    configuration: Configuration | None = None
    linked: bool = False
    """Whether we may decide: logged in and reconciled."""
    blind_since: Instant | None = None
    """The last that is known of the time before nobody watched; None while linked."""
    lagging: bool = False
    """Asterisk's events come late: what is told now is not exact."""
    stepped_at: Instant | None = None
    """When the wall clock was last set, by the new clock."""
    stepped_by: int = 0
    """By how much, in microseconds; + = forward."""
    healed: int = 0
    """States that the watchdog mended, in this run."""
    centres: Map[CentreId, Centre] = field(default_factory=Map)
    queues: Map[QueueId, Queue] = field(default_factory=Map)
    queue_centre: Map[QueueId, CentreId] = field(default_factory=Map)
    numbers: Map[str, CentreId] = field(default_factory=Map)
    phone_centre: Map[PhoneId, CentreId] = field(default_factory=Map)
    calls: Map[CallId, Call] = field(default_factory=Map)
    channels: Map[ChannelId, CallId] = field(default_factory=Map)
    sides: Map[CallId, SideCall] = field(default_factory=Map)
    """Open calls that are no arrivals."""
    unreached: Map[CallId, SideCall] = field(default_factory=Map)
    """Outgoing calls of the last hours that reached nobody: an answer may be put on them."""
    answers: Map[CallId, Answer] = field(default_factory=Map)
    """By the outgoing call that they were put on."""
    callbacks: Map[CallId, Callback] = field(default_factory=Map)
    """Who is to be called back, by the call that asked for it."""
    callbacks_tried: int = 0
    """Ever; makes the ids of the calls that come of them."""
    messages: Map[CallId, Message] = field(default_factory=Map)
    """What callers left and somebody is to deal with; those that were dealt with stay for a while."""
    recent: Map[CallId, Personal] = field(default_factory=Map)
    """The callers of the last day, and perhaps some more: who calls again is one of them."""
    recent_most: int = 256
    """So many are kept before those that are old enough are forgotten."""
    tongues: Map[CallId, Tongue] = field(default_factory=Map)
    """The languages that callers chose and are not asked for again, by the call in which they did."""
    tongues_most: int = 256
    """As `recent_most`."""
    offers: Map[OfferId, Offer] = field(default_factory=Map)
    """Open offers only."""
    offers_made: int = 0
    """In this run; makes the offers' ids."""
    agents: Map[AgentId, AgentState] = field(default_factory=Map)
    phones: Map[PhoneId, Device] = field(default_factory=Map)
    device_since: Map[PhoneId, Instant] = field(default_factory=Map)
    """Since when Asterisk says so of a phone."""
    registered: Map[PhoneId, PhoneState] = field(default_factory=Map)
    """What stands at a phone's line of the inventory, and how it was judged; who is not here was never seen."""
    seated: Map[PhoneId, AgentId] = field(default_factory=Map)
    """Who is signed in at a phone."""
    ended: Map[CallId, Instant] = field(default_factory=Map)
    ended_most: int = 256
    """So many are remembered before those that are old enough are forgotten."""
    unfiled: Map[CallId, Instant] = field(default_factory=Map)
    """Answered calls that ended and whose recording was not measured yet."""
    expected: Map[CallId, Expected] = field(default_factory=Map)
    """What the recording of each of them should hold."""
    leaving: Map[ChannelId, CallId] = field(default_factory=Map)
    """Legs of those of them that are counted apart, whose end was not told before the call's."""
    tapes: Map[CallId, Tape] = field(default_factory=Map)
    """Those of them of which something is not to be kept."""
    chained: Map[str, tuple[str, int]] = field(default_factory=Map)
    """Up to which day and line each folder's chain of kept recordings was told of."""
    pace: Map[QueueId, Pace] = field(default_factory=Map)
    emergencies: Map[CentreId, Emergency] = field(default_factory=Map)
    """The latest emergency closure of each centre that had one."""
    blocked: Map[CallId, Blocked] = field(default_factory=Map)
    """The lists of unwelcome callers, of all centres, by the entries' names."""
    watches: Map[ChannelId, Watch] = field(default_factory=Map)
    """Supervisors' phones at the talks of agents."""
    watches_made: int = 0
    """Ever; makes the ids of their channels."""
    thresholds: Map[CentreId, Thresholds] = field(default_factory=Map)
    """Those that were set by hand."""
    lists_changed: Map[CentreId, Instant] = field(default_factory=Map)
    """When each centre's list was last changed: what was pushed of it may be a moment behind."""
    channels_changed: Map[CentreId, Instant] = field(default_factory=Map)
    """When each centre last wanted its recordings in other channels: calls that were there already are not in them."""
    keeping: Map[str, KeepOrder] = field(default_factory=Map)
    """Orders to keep calls longer that were not taken back."""
    # Indexes: each follows from what stands above.
    lines: Map[Line, tuple[Place, ...]] = field(default_factory=Map)
    """Callers who may be offered, in their order. No line is empty."""
    present: Map[CentreId, tuple[CallId, ...]] = field(default_factory=Map)
    """A centre's calls that take up one of its lines, in the order of arrival."""
    free: Map[AgentId, bool] = field(default_factory=Map)
    """The agents who are available."""
    on_duty: Map[QueueId, frozenset[AgentId]] = field(default_factory=Map)
    """The agents of a queue who are signed in and not paused."""
    own_duty: Map[CentreId, int] = field(default_factory=Map)
    """How many of a centre's own agents are on duty."""
    lent: Map[CentreId, int] = field(default_factory=Map)
    """How many of them work for another centre now."""
    guests: Map[CentreId, int] = field(default_factory=Map)
    """How many agents of others work for this centre now."""

    # -- looking things up ------------------------------------------------------------------------------------

    def caller_of(self, name: CallId) -> Personal | None:
        """Of a call that is open, or came in within the last day; None: not known, or withheld and over."""
        call = self.calls.get(name)
        return self.recent.get(name) if call is None else call.caller

    def number(self, digits: str) -> tuple[Centre, Number] | None:
        centre = self.numbers.get(digits)
        if centre is None:
            return None
        found = self.centres[centre]
        return next((found, n) for n in found.numbers if n.digits == digits)

    def call_of(self, channel: ChannelId) -> Call | None:
        call = self.channels.get(channel)
        return None if call is None else self.calls.get(call)

    def side_of(self, channel: ChannelId) -> SideCall | None:
        """The call that is counted apart to which a channel belongs; there are few."""
        own = self.sides.get(CallId(channel))
        if own is not None:
            return own
        for side in self.sides.values():
            if any(leg == channel for leg, _ in side.legs):
                return side
        return None

    def available(self, agent: AgentState) -> bool:
        return (
            agent.presence is Presence.READY
            and agent.work is Work.IDLE
            and agent.rest_until is None
            and agent.watch is None
            and agent.phone is not None
            and self.phones.get(agent.phone) is Device.FREE
            and self.may_ring(agent.phone)
        )

    def may_ring(self, phone: PhoneId) -> bool:
        """Whether nothing is known against what is registered as that phone: the dialplan would ring no other."""
        known = self.registered.get(phone)
        return known is None or known.policy is Policy.MATCHED

    def warns(self, centre: Centre) -> tuple[int, int]:
        """From how many waiting callers, and from how many seconds of a wait on, board and lamps of a centre warn."""
        by_hand = self.thresholds.get(centre.id, Thresholds())
        return by_hand.waiting or centre.staff.lamp_waiting, by_hand.wait_s or centre.service_level_s

    def offer_at(self, call: Call, phone: PhoneId | None) -> Offer | None:
        """The open offer of this call that rings, or is to ring, this phone."""
        for name in call.ringing:
            offer = self.offers[name]
            if offer.phone == phone:
                return offer
        return None

    def ahead(self, queue: QueueId, place: Place) -> int:
        """How many callers of the queue, with no phone ringing for them, are served before this place."""
        callers = sum(
            bisect_left(places, place) for line, places in self.lines.items() if line.queue == queue
        )
        return callers + sum(
            back.queue == queue and back.place < place and back.state is CallbackState.WAITING
            for back in self.callbacks.values()
        )

    def beyond(self, folder: str, day: str, line: int) -> bool:
        """Whether nobody has told of this line of a chain. A chain that was begun anew goes by its later day."""
        known = self.chained.get(folder)
        return known is None or (day, line) > known

    def callback_of(self, side: CallId) -> Callback | None:
        """The call-back that this call is an attempt of."""
        return next((back for back in self.callbacks.values() if back.side == side), None)

    def callback_due(self, back: Callback, at: Instant) -> Instant | None:
        """When this call-back may be tried next: not before its time, and inside opening hours. None: not within a
        year, or it is being tried."""
        centre = self.centres.get(back.centre)
        if centre is None or back.state is not CallbackState.WAITING:
            return None
        first = max(at, back.not_before or at)
        emergency = self.emergencies.get(back.centre)
        if emergency is not None and emergency.on(first):
            first = emergency.until
        return first if centre.calendar.judge(first)[0] else centre.calendar.decide(first).changes_at

    def callbacks_due(self, at: Instant) -> list[Callback]:
        """Who may be called back now: with the number free, as far as is known, and nobody calling from it; of one
        number, which may have asked two centres, who has the better place; nobody before a caller with a better place
        who is in a menu and may come back to the line."""
        due = [
            back
            for back in self.callbacks.values()
            if back.id not in self.calls and back.number is not None and self.callback_due(back, at) == at
        ]
        if not due:
            return []
        busy = {national(side.other.text) for side in self.sides.values() if side.other.text is not None}
        busy |= {national(call.caller.text) for call in self.calls.values() if call.caller.text is not None}
        menus: dict[QueueId, Place] = {}
        for call in self.calls.values():
            if call.in_menu and call.visit is not None:
                place = place_of(call)
                menus[call.visit.queue] = min(place, menus.get(call.visit.queue, place))
        found: dict[str, Callback] = {}
        for back in sorted(due, key=lambda each: each.place):
            assert back.number is not None
            number = national(back.number)
            if number not in busy and not menus.get(back.queue, back.place) < back.place:
                found.setdefault(number, back)
        return list(found.values())

    def deadlines(self) -> Iterator[tuple[Timer, Instant]]:
        """Every timer the state implies; a restored engine arms these."""
        for agent in self.agents.values():
            if agent.wrap_up_until is not None:
                yield Timer(TimerKind.WRAP_UP, agent.id), agent.wrap_up_until
            if agent.rest_until is not None:
                yield Timer(TimerKind.REST, agent.id), agent.rest_until
            if (over := agent.pause_due) is not None:
                yield Timer(TimerKind.PAUSE, agent.id), over
        for offer in self.offers.values():
            yield Timer(TimerKind.OFFER, offer.id), offer.overdue_at
        for call in self.calls.values():
            due = self.wait_due(call, self.at)
            if due is not None:
                yield Timer(TimerKind.WAIT, call.id), due
            if call.unrecorded_due is not None:
                yield Timer(TimerKind.RECORDING, call.id), call.unrecorded_due
            if call.hold_due is not None:
                yield Timer(TimerKind.HOLD, call.id), call.hold_due
            if call.put_down_due is not None:
                yield Timer(TimerKind.PUT_DOWN, call.id), call.put_down_due
        for side in self.sides.values():
            if side.unrecorded_due is not None:
                yield Timer(TimerKind.RECORDING, side.id), side.unrecorded_due
        for back in self.callbacks.values():
            # Openings need none: whoever signs in then, and the look at all channels every 10 s, asks anew.
            if back.state is CallbackState.WAITING and back.not_before is not None:
                yield Timer(TimerKind.CALLBACK, back.id), back.not_before
        for name, emergency in self.emergencies.items():
            if emergency.ended is None:
                yield Timer(TimerKind.EMERGENCY, name), emergency.until
        for entry in self.blocked.values():
            yield Timer(TimerKind.BLOCKED, entry.id), entry.until
        for answer in self.answers.values():
            yield Timer(TimerKind.ANSWER, answer.call), answer.until
        yield from self.closings(self.at)

    def closings(self, at: Instant) -> Iterator[tuple[Timer, Instant]]:
        """When each centre that closes at once opens or closes next."""
        for centre in self.centres.values():
            change = centre.calendar.decide(at).changes_at if centre.calendar.close_at_once else None
            if change is not None:
                yield Timer(TimerKind.CLOSING, centre.id), change

    def wait_due(self, call: Call, now: Instant) -> Instant | None:
        """When time alone next changes something for this caller; in the past: at once. None: never.

        While a phone rings the ladder goes on, and no rule sends the caller away.
        """
        visit = call.visit
        queue = self.queues.get(visit.queue) if visit is not None else None
        if visit is None or queue is None or call.stage not in (Stage.WAITING, Stage.OFFERED):
            return None
        if call.given_up_as is not None:
            return None
        due: list[int] = []
        if visit.rung < len(queue.ladder):
            due.append(visit.entered_at + queue.ladder[visit.rung].after_s * SECOND)
        if call.aside is not None:
            if self.linked and call.aside.until is not None:  # else the first look tells where the caller is
                due.append(call.aside.until)
        elif self.linked and call.may_be_offered:
            due.extend(self._overflow_due(queue, visit, call.been, now))
            comfort = self.comfort_due(queue, call)
            if comfort is not None:
                due.append(comfort)
        return Instant(min(due)) if due else None

    @staticmethod
    def comfort_due(queue: Queue, call: Call) -> Instant | None:
        """When the next phrase is to be said to a waiting caller; in the past: at once. None: never."""
        if queue.comfort is None or call.visit is None:
            return None
        if call.comfort_step:
            return call.visit.entered_at  # the round goes on
        if call.comfort_from is None:
            return Instant(call.visit.entered_at + queue.comfort.first_s * SECOND)
        return Instant(call.comfort_from + queue.comfort.every_s * SECOND)

    @staticmethod
    def _overflow_due(queue: Queue, visit: Visit, been: tuple[QueueId, ...], now: Instant) -> Iterator[int]:
        not_before = visit.not_before or 0
        if not_before > now:
            yield not_before
        menus = dict(visit.menus)
        for rule in queue.overflow:
            if rule.target is not None and rule.target in (*visit.also, *been):
                continue
            left = menus.get(rule.menu) if rule.menu is not None else None
            again = 0 if left is None else left + rule.again_s * SECOND
            if left is not None and (not rule.again_s or again > now):
                if rule.again_s:
                    yield again
                continue
            if rule.cause is Cause.LONGEST_WAIT:
                yield max(visit.entered_at + round(rule.limit * SECOND), not_before)
            elif rule.cause is Cause.ESTIMATED_WAIT:
                every = ESTIMATE_EVERY_S * SECOND
                yield visit.entered_at + every * (max(0, now - visit.entered_at) // every + 1)

    def unwitnessed_since(self) -> Instant:
        """From where on Asterisk's CEL must be read to know what nobody saw: every call that is open now, and
        every one that came since nobody watched. Calls of that time that are known already are in `ended`.
        """
        return Instant(min([self.watched_until, *self._arrivals()]) - UNNOTICED_S * SECOND)

    @property
    def watched_until(self) -> Instant:
        """Up to here nothing that happened in Asterisk was missed."""
        return self.at if self.blind_since is None else self.blind_since

    def _arrivals(self) -> Iterator[Instant]:
        yield from (call.arrived_at for call in self.calls.values())
        yield from (side.began_at for side in self.sides.values())

    # -- what must always hold --------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Broken invariants, in words; none is the only right answer."""
        return [
            *self._of_offers(),
            *self._of_calls(),
            *self._of_agents(),
            *self._of_watches(),
            *self._of_indexes(),
        ]

    def _of_offers(self) -> Iterator[str]:
        for offer in self.offers.values():
            call, agent = self.calls.get(offer.call), self.agents.get(offer.agent)
            if offer.stage not in OPEN_OFFER:
                yield f"offer {offer.id} is kept in stage {offer.stage.value}"
            if call is None or call.stage is not Stage.OFFERED or call.offer != offer.round:
                yield f"offer {offer.id} names a call that is not offered by it: {offer.call}"
            elif offer.id not in call.ringing:
                yield f"offer {offer.id} is not among those of call {call.id}: {call.ringing}"
            if agent is None or agent.offer != offer.id or agent.work not in (Work.RESERVED, Work.RINGING):
                yield f"offer {offer.id} names an agent who is not reserved by it: {offer.agent}"

    def _of_calls(self) -> Iterator[str]:
        for call in self.calls.values():
            if call.stage is Stage.ENDED:
                yield f"call {call.id} has ended and is still on the floor"
            if (call.stage is Stage.OFFERED) != (call.offer is not None):
                yield f"call {call.id} is {call.stage.value} with offer {call.offer}"
            if (call.offer is not None) != bool(call.ringing):
                yield f"call {call.id} has the round {call.offer} of {call.ringing}"
            for name in call.ringing:
                if name not in self.offers:
                    yield f"call {call.id} names an offer that is not open: {name}"
            if call.stage in (Stage.WAITING, Stage.OFFERED) and call.visit is None:
                yield f"call {call.id} waits without a visit"
            if call.leaving_as is not None and call.stage is not Stage.WAITING:
                yield f"call {call.id} is leaving its wait and is {call.stage.value}"
            if call.aside is not None:
                if call.stage not in (Stage.WAITING, Stage.OFFERED) or call.in_net:
                    yield f"call {call.id} was led aside and is {call.stage.value}, in the net: {call.in_net}"
                if call.in_menu and call.stage is Stage.OFFERED:
                    yield f"call {call.id} is offered in the menu {call.aside.menu}"
            for leg in call.legs:
                if self.channels.get(leg.channel) != call.id:
                    yield f"channel {leg.channel} of call {call.id} is not known as such"
            if call.id in self.ended:
                yield f"call {call.id} is open and ended"
        for side in self.sides.values():
            if side.id in self.ended or side.id in self.calls:
                yield f"call {side.id} is counted apart and is an arrival, or has ended"

    def _of_agents(self) -> Iterator[str]:
        talking: dict[AgentId, CallId] = {}
        for call in self.calls.values():
            if call.stage is Stage.TALKING and call.talking_with is not None:
                if call.talking_with in talking:
                    yield f"agent {call.talking_with} talks in {call.id} and {talking[call.talking_with]}"
                talking[call.talking_with] = call.id
        for agent in self.agents.values():
            busy = agent.work in (Work.RESERVED, Work.RINGING)
            if busy != (agent.offer is not None) or (
                agent.offer is not None and agent.offer not in self.offers
            ):
                yield f"agent {agent.id} is {agent.work.value} with offer {agent.offer}"
            if (agent.work is Work.TALKING) != (talking.get(agent.id) is not None):
                yield f"agent {agent.id} is {agent.work.value}, calls say {talking.get(agent.id)}"
            calling = agent.side is not None and agent.side in self.sides
            if (agent.work is Work.CALLING_OUT) != calling:
                yield f"agent {agent.id} is {agent.work.value} with the call {agent.side} of his own"
            if (agent.work is Work.WRAPPING_UP) != (agent.wrap_up_until is not None):
                yield f"agent {agent.id} is {agent.work.value} until {agent.wrap_up_until}"
            if (agent.presence is Presence.SIGNED_OUT) == (agent.phone is not None):
                yield f"agent {agent.id} is {agent.presence.value} at phone {agent.phone}"
            if (agent.presence is Presence.PAUSED) != (agent.pause is not None):
                yield f"agent {agent.id} is {agent.presence.value} with the pause {agent.pause}"
            if (agent.work is Work.IDLE) != (agent.at_work_for is None):
                yield f"agent {agent.id} is {agent.work.value} and at work for {agent.at_work_for}"
            watch = self.watches.get(agent.watch) if agent.watch is not None else None
            if agent.watch is not None and (watch is None or watch.watcher != agent.id):
                yield f"agent {agent.id} is at the talk {agent.watch}, which is {watch}"
            if agent.phone is not None and self.seated.get(agent.phone) != agent.id:
                yield f"agent {agent.id} sits at {agent.phone}, where {self.seated.get(agent.phone)} is known"

    def _of_watches(self) -> Iterator[str]:
        for watch in self.watches.values():
            watcher = self.agents.get(watch.watcher)
            if watcher is not None and watcher.watch != watch.id:
                yield f"watch {watch.id} is agent {watch.watcher}'s, who is at {watcher.watch}"

    def _of_indexes(self) -> Iterator[str]:
        anew = reindexed(self)
        for name in INDEXES:
            if getattr(self, name) != getattr(anew, name):
                yield f"the index {name} is {getattr(self, name)}, counted anew {getattr(anew, name)}"


INDEXES = ("lines", "present", "free", "on_duty", "own_duty", "lent", "guests")


# -- the ways in ---------------------------------------------------------------------------------------------


def place_of(call: Call) -> Place:
    """Where the call stands among the callers of its line. It must be in a queue."""
    assert call.visit is not None
    return (call.visit.priority, call.visit.since, call.id)


def line_of_visit(visit: Visit) -> Line:
    """The line in which callers with such a visit stand."""
    return Line(visit.queue, visit.rung, visit.also, visit.language)


def line_of(call: Call) -> Line | None:
    """The line the call stands in; None: it may not be offered now."""
    return line_of_visit(call.visit) if call.visit is not None and call.may_be_offered else None


def put_call(floor: Floor, call: Call, **changes: Any) -> Floor:
    """The floor with this call as it is now, its indexes, and whatever else changes with it."""
    before = floor.calls.get(call.id)
    lines = _moved(floor.lines, before, call)
    if lines is not floor.lines:
        changes["lines"] = lines
    if before is None or _takes_line(before) != _takes_line(call) or before.arrived_at != call.arrived_at:
        changes["present"] = _present(floor.present, floor.calls, before, call)
    return changed(floor, calls=floor.calls.set(call.id, call), **changes)


def drop_call(floor: Floor, call: CallId, **changes: Any) -> Floor:
    """The floor without this call."""
    before = floor.calls[call]
    return changed(
        floor,
        calls=floor.calls.delete(call),
        lines=_moved(floor.lines, before, None),
        present=_present(floor.present, floor.calls, before, None),
        **changes,
    )


def _moved(
    lines: Map[Line, tuple[Place, ...]], before: Call | None, now: Call | None
) -> Map[Line, tuple[Place, ...]]:
    old = line_of(before) if before is not None else None
    new = line_of(now) if now is not None else None
    if old is None and new is None:
        return lines
    old_place = place_of(before) if old is not None and before is not None else None
    new_place = place_of(now) if new is not None and now is not None else None
    if old == new and old_place == new_place:
        return lines
    if old is not None and old_place is not None:
        places = list(lines[old])
        del places[bisect_left(places, old_place)]
        lines = lines.set(old, tuple(places)) if places else lines.delete(old)
    if new is not None and new_place is not None:
        places = list(lines.get(new, ()))
        insort(places, new_place)
        lines = lines.set(new, tuple(places))
    return lines


def _takes_line(call: Call) -> bool:
    """Whether the call takes up one of the centre's lines; who hears why not, and goes, is not counted."""
    return call.refused_as is None and call.given_up_as is None and call.leaving_as is None


def _present(
    present: Map[CentreId, tuple[CallId, ...]],
    calls: Map[CallId, Call],
    before: Call | None,
    now: Call | None,
) -> Map[CentreId, tuple[CallId, ...]]:
    call = now or before
    assert call is not None
    here = present.get(call.centre, ())
    if before is not None and _takes_line(before):
        here = tuple(name for name in here if name != before.id)
    if now is not None and _takes_line(now):
        # Most often it is the last to have come.
        at = len(here)
        while at and (calls[here[at - 1]].arrived_at, here[at - 1]) > (now.arrived_at, now.id):
            at -= 1
        here = (*here[:at], now.id, *here[at:])
    if here:
        return present.set(call.centre, here)
    return present.delete(call.centre) if call.centre in present else present


def put_agent(floor: Floor, agent: AgentState, **changes: Any) -> Floor:
    """The floor with this agent as he is now, the indexes, and whatever else changes with him."""
    before = floor.agents.get(agent.id)
    floor = changed(floor, agents=floor.agents.set(agent.id, agent), **changes)
    return _agent_indexed(floor, before, agent)


def _agent_indexed(floor: Floor, before: AgentState | None, now: AgentState) -> Floor:
    changes: dict[str, Any] = {}
    available = floor.available(now)
    if available != (now.id in floor.free):
        changes["free"] = floor.free.set(now.id, True) if available else floor.free.delete(now.id)
    old = (before.queues if before.on_duty else ()) if before is not None else ()
    new = now.queues if now.on_duty else ()
    if old != new:
        duty = floor.on_duty
        for queue in old:
            left = duty[queue] - {now.id}
            duty = duty.set(queue, left) if left else duty.delete(queue)
        for queue in new:
            duty = duty.set(queue, duty.get(queue, frozenset()) | {now.id})
        changes["on_duty"] = duty
    was_own = before is not None and before.on_duty
    if was_own != now.on_duty:
        changes["own_duty"] = _counted(floor.own_duty, now.centre, 1 if now.on_duty else -1)
    old_guest = before.at_work_for if before is not None and before.at_work_for != before.centre else None
    new_guest = now.at_work_for if now.at_work_for != now.centre else None
    if old_guest != new_guest:
        guests = floor.guests
        for centre, by in ((old_guest, -1), (new_guest, 1)):
            if centre is not None:
                guests = _counted(guests, centre, by)
        changes["guests"] = guests
    was_lent, is_lent = was_own and old_guest is not None, now.on_duty and new_guest is not None
    if was_lent != is_lent:
        changes["lent"] = _counted(floor.lent, now.centre, 1 if is_lent else -1)
    return changed(floor, **changes) if changes else floor


def _counted(count: Map[CentreId, int], centre: CentreId, by: int) -> Map[CentreId, int]:
    n = count.get(centre, 0) + by
    return count.set(centre, n) if n else count.delete(centre)


def put_device(floor: Floor, phone: PhoneId, device: Device, at: Instant) -> Floor:
    """The floor with this phone as Asterisk says it is from `at` on."""
    return _seat_indexed(
        changed(
            floor, phones=floor.phones.set(phone, device), device_since=floor.device_since.set(phone, at)
        ),
        phone,
    )


def put_registered(floor: Floor, phone: PhoneId, state: PhoneState) -> Floor:
    """The floor with what is registered as this phone."""
    return _seat_indexed(changed(floor, registered=floor.registered.set(phone, state)), phone)


def _seat_indexed(floor: Floor, phone: PhoneId) -> Floor:
    """Whoever sits at that phone may have become available, or not to be so any more."""
    name = floor.seated.get(phone)
    agent = floor.agents.get(name) if name is not None else None
    return floor if agent is None else _agent_indexed(floor, agent, agent)


def reindexed(floor: Floor) -> Floor:
    """The floor with every index counted anew, as after a change of the configuration."""
    empty: Floor = changed(
        floor,
        calls=Map(),
        agents=Map(),
        lines=Map(),
        present=Map(),
        free=Map(),
        on_duty=Map(),
        own_duty=Map(),
        lent=Map(),
        guests=Map(),
    )
    for call in _in_order(floor.calls.values()):
        empty = put_call(empty, call)
    for agent in floor.agents.values():
        empty = put_agent(empty, agent)
    return changed(empty, calls=floor.calls, agents=floor.agents)


def _in_order(calls: Iterable[Call]) -> list[Call]:
    return sorted(calls, key=lambda call: (call.arrived_at, call.id))
