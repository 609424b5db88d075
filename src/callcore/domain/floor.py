"""The floor: the whole state, and `evolve`, the fold of one fact into it.

Rules
- Only facts change the floor. `evolve` asks the tables and raises `IllegalTransition`, changing nothing.
- Folding decides nothing: no fact makes another one here, no effect comes out.
- Ended calls leave the floor; their ids stay for an hour, so that a late or doubled event cannot bring them back.
- `seq` counts facts' frames, set by the journal's writer and readers; equal `seq`, equal floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import singledispatch

from immutables import Map

from callcore.domain import facts as f
from callcore.domain.agent import WORK, AgentState
from callcore.domain.call import CALL, Call, Leg, Visit
from callcore.domain.centre import Centre, Configuration, Number, Queue
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
from callcore.domain.offer import OFFER, Offer
from callcore.domain.stages import OPEN_OFFER, Device, OfferStage, Presence, Stage, Work
from callcore.domain.transitions import IllegalTransition, advance

OFFER_GRACE_S = 5
"""Seconds after the ring time within which Asterisk must have told an offer's end. `Dial` returns at once at its
limit; 5 s is the heartbeat's bound, after which the link is held to be dead anyway."""

UNNOTICED_S = 60
"""Seconds for which a link may have been dead before that was noticed. A Ping each second with 3 s for its answer
finds it within 4; a minute covers a machine that hardly runs, and reading more of CEL than needed is harmless."""

REMEMBER_ENDED_S = 3600
"""Seconds for which an ended call's id is kept. Asterisk's events arrived 1 ms late, at worst seconds; an hour
covers a long list of events replayed by a mistaken adapter."""


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
    centres: Map[CentreId, Centre] = field(default_factory=Map)
    queues: Map[QueueId, Queue] = field(default_factory=Map)
    queue_centre: Map[QueueId, CentreId] = field(default_factory=Map)
    numbers: Map[str, CentreId] = field(default_factory=Map)
    phone_centre: Map[PhoneId, CentreId] = field(default_factory=Map)
    calls: Map[CallId, Call] = field(default_factory=Map)
    channels: Map[ChannelId, CallId] = field(default_factory=Map)
    offers: Map[OfferId, Offer] = field(default_factory=Map)
    """Open offers only."""
    offers_made: int = 0
    """In this run; makes the offers' ids."""
    agents: Map[AgentId, AgentState] = field(default_factory=Map)
    phones: Map[PhoneId, Device] = field(default_factory=Map)
    seated: Map[PhoneId, AgentId] = field(default_factory=Map)
    """Who is signed in at a phone."""
    ended: Map[CallId, Instant] = field(default_factory=Map)
    unfiled: Map[CallId, Instant] = field(default_factory=Map)
    """Answered calls that ended and whose recording was not measured yet."""

    # -- looking things up ------------------------------------------------------------------------------------

    def number(self, digits: str) -> tuple[Centre, Number] | None:
        centre = self.numbers.get(digits)
        if centre is None:
            return None
        found = self.centres[centre]
        return next((found, n) for n in found.numbers if n.digits == digits)

    def call_of(self, channel: ChannelId) -> Call | None:
        call = self.channels.get(channel)
        return None if call is None else self.calls.get(call)

    def available(self, agent: AgentState) -> bool:
        return (
            agent.presence is Presence.READY
            and agent.work is Work.IDLE
            and agent.rest_until is None
            and agent.phone is not None
            and self.phones.get(agent.phone) is Device.FREE
        )

    def deadlines(self) -> Iterator[tuple[Timer, Instant]]:
        """Every timer the state implies; a restored engine arms these."""
        for agent in self.agents.values():
            if agent.wrap_up_until is not None:
                yield Timer(TimerKind.WRAP_UP, agent.id), agent.wrap_up_until
            if agent.rest_until is not None:
                yield Timer(TimerKind.REST, agent.id), agent.rest_until
        for offer in self.offers.values():
            yield Timer(TimerKind.OFFER, offer.id), offer.overdue_at

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
        return (call.arrived_at for call in self.calls.values())

    # -- what must always hold --------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Broken invariants, in words; none is the only right answer."""
        found: list[str] = []
        for offer in self.offers.values():
            call, agent = self.calls.get(offer.call), self.agents.get(offer.agent)
            if offer.stage not in OPEN_OFFER:
                found.append(f"offer {offer.id} is kept in stage {offer.stage.value}")
            if call is None or call.stage is not Stage.OFFERED or call.offer != offer.id:
                found.append(f"offer {offer.id} names a call that is not offered by it: {offer.call}")
            if agent is None or agent.offer != offer.id or agent.work not in (Work.RESERVED, Work.RINGING):
                found.append(f"offer {offer.id} names an agent who is not reserved by it: {offer.agent}")
        talking: dict[AgentId, CallId] = {}
        for call in self.calls.values():
            if call.stage is Stage.ENDED:
                found.append(f"call {call.id} has ended and is still on the floor")
            if (call.stage is Stage.OFFERED) != (call.offer is not None):
                found.append(f"call {call.id} is {call.stage.value} with offer {call.offer}")
            if call.offer is not None and call.offer not in self.offers:
                found.append(f"call {call.id} names an offer that is not open: {call.offer}")
            if call.stage in (Stage.WAITING, Stage.OFFERED) and call.visit is None:
                found.append(f"call {call.id} waits without a visit")
            if call.stage is Stage.TALKING and call.talking_with is not None:
                if call.talking_with in talking:
                    found.append(
                        f"agent {call.talking_with} talks in {call.id} and {talking[call.talking_with]}"
                    )
                talking[call.talking_with] = call.id
            found.extend(
                f"channel {leg.channel} of call {call.id} is not known as such"
                for leg in call.legs
                if self.channels.get(leg.channel) != call.id
            )
            if call.id in self.ended:
                found.append(f"call {call.id} is open and ended")
        for agent in self.agents.values():
            busy = agent.work in (Work.RESERVED, Work.RINGING)
            if busy != (agent.offer is not None) or (
                agent.offer is not None and agent.offer not in self.offers
            ):
                found.append(f"agent {agent.id} is {agent.work.value} with offer {agent.offer}")
            if (agent.work is Work.TALKING) != (talking.get(agent.id) is not None):
                found.append(f"agent {agent.id} is {agent.work.value}, calls say {talking.get(agent.id)}")
            if (agent.work is Work.WRAPPING_UP) != (agent.wrap_up_until is not None):
                found.append(f"agent {agent.id} is {agent.work.value} until {agent.wrap_up_until}")
            if (agent.presence is Presence.READY) != (agent.phone is not None):
                found.append(f"agent {agent.id} is {agent.presence.value} at phone {agent.phone}")
            if agent.phone is not None and self.seated.get(agent.phone) != agent.id:
                found.append(
                    f"agent {agent.id} sits at {agent.phone}, where {self.seated.get(agent.phone)} is known"
                )
        return found


def evolve(floor: Floor, fact: f.Fact) -> Floor:
    """The floor after one fact. Raises `IllegalTransition` when the fact does not fit; the floor is then unchanged."""
    changed = _apply(fact, floor)
    return changed if fact.at <= changed.at else replace(changed, at=fact.at)


@singledispatch
def _apply(fact: f.Fact, floor: Floor) -> Floor:
    raise IllegalTransition(f"nobody knows how to fold a {type(fact).__name__}")


# -- helpers -------------------------------------------------------------------------------------------------


def _call(floor: Floor, name: CallId) -> Call:
    call = floor.calls.get(name)
    if call is None:
        raise IllegalTransition(f"call {name} is not on the floor")
    return call


def _put(floor: Floor, call: Call) -> Floor:
    return replace(floor, calls=floor.calls.set(call.id, call))


def _stage(call: Call, fact: f.Fact) -> Stage:
    return advance(CALL, "call", call.id, call.stage, type(fact).__name__)


def _work(agent: AgentState, fact: f.Fact) -> Work:
    return advance(WORK, "agent", agent.id, agent.work, type(fact).__name__)


def _agent(floor: Floor, name: AgentId) -> AgentState:
    agent = floor.agents.get(name)
    if agent is None:
        raise IllegalTransition(f"agent {name} is not known")
    return agent


def _replace_leg(call: Call, channel: ChannelId, bridge: str | None) -> Call:
    if call.leg(channel) is None:
        raise IllegalTransition(f"call {call.id} has no leg {channel}")
    return replace(
        call, legs=tuple(replace(leg, bridge=bridge) if leg.channel == channel else leg for leg in call.legs)
    )


# -- engine and link -----------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.RunStarted, floor: Floor) -> Floor:
    if fact.run <= floor.run:
        raise IllegalTransition(f"run {fact.run} cannot follow run {floor.run}")
    # Killed while linked: the last fact is the last that was seen. Else the blindness goes on.
    blind = floor.at if floor.linked else floor.blind_since
    return replace(
        floor, run=fact.run, linked=False, offers_made=0, blind_since=fact.at if blind is None else blind
    )


@_apply.register
def _(fact: f.Configured, floor: Floor) -> Floor:
    centres = {c.id: c for c in fact.configuration.centres}
    agents: dict[AgentId, AgentState] = {}
    for centre in centres.values():
        for spec in centre.agents:
            known = floor.agents.get(spec.id) or AgentState(
                spec.id, spec.name, centre.id, spec.queues, spec.phone
            )
            agents[spec.id] = replace(
                known, name=spec.name, centre=centre.id, queues=spec.queues, seat=spec.phone
            )
    # Somebody who was taken out of the files keeps the call in hand, and gets no other one.
    for agent in floor.agents.values():
        if agent.id not in agents and (agent.presence is Presence.READY or agent.work is not Work.IDLE):
            agents[agent.id] = replace(agent, queues=())
    phones = {p.id: floor.phones.get(p.id, Device.UNREACHABLE) for c in centres.values() for p in c.phones}
    return replace(
        floor,
        configuration=fact.configuration,
        centres=Map(centres),
        queues=Map({q.id: q for c in centres.values() for q in c.queues}),
        queue_centre=Map({q.id: c.id for c in centres.values() for q in c.queues}),
        numbers=Map({n.digits: c.id for c in centres.values() for n in c.numbers}),
        phone_centre=Map({p.id: c.id for c in centres.values() for p in c.phones}),
        agents=Map(agents),
        phones=Map(phones),
    )


@_apply.register
def _(fact: f.LinkGained, floor: Floor) -> Floor:
    return replace(floor, linked=True, blind_since=None)


@_apply.register
def _(fact: f.LinkLost, floor: Floor) -> Floor:
    return replace(floor, linked=False, blind_since=floor.at if floor.linked else floor.blind_since)


@_apply.register
def _(fact: f.Healed, floor: Floor) -> Floor:
    return floor


# -- calls ---------------------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.CallArrived, floor: Floor) -> Floor:
    if fact.call in floor.calls or fact.call in floor.ended:
        raise IllegalTransition(f"call {fact.call} has arrived before")
    call = Call(
        id=fact.call,
        node=fact.node,
        channel_name=fact.channel_name,
        centre=fact.centre,
        number=fact.number,
        queue=fact.queue,
        caller=fact.caller,
        arrived_at=fact.at,
        stage=advance(CALL, "call", fact.call, None, "CallArrived"),
        legs=(Leg(ChannelId(fact.call), None, None, None),),
    )
    return replace(
        floor,
        calls=floor.calls.set(call.id, call),
        channels=floor.channels.set(call.channel, call.id),
    )


@_apply.register
def _(fact: f.CallAdmitted, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact)))


@_apply.register
def _(fact: f.CallRefused, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), refused_as=fact.outcome))


@_apply.register
def _(fact: f.AdmissionDiffered, floor: Floor) -> Floor:
    return floor


@_apply.register
def _(fact: f.VisitBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(
        floor,
        replace(
            call,
            stage=_stage(call, fact),
            visit=Visit(fact.visit, fact.queue, fact.priority, fact.at, fact.since),
            visits=call.visits + 1,
            entered_at=fact.at if call.entered_at is None else call.entered_at,
            in_net=False,
            # An agent who put down in the talk before has no part in how this wait ends.
            asked_to_end=call.asked_to_end if call.caller_put_down else None,
        ),
    )


@_apply.register
def _(fact: f.NetEntered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), in_net=True))


@_apply.register
def _(fact: f.NetLeft, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), in_net=False))


@_apply.register
def _(fact: f.CallGivenUp, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), given_up_as=fact.outcome))


@_apply.register
def _(fact: f.LegBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if fact.channel in floor.channels:
        raise IllegalTransition(f"channel {fact.channel} is a leg already")
    leg = Leg(fact.channel, fact.phone, fact.agent, fact.offer)
    return replace(
        floor,
        calls=floor.calls.set(call.id, replace(call, legs=(*call.legs, leg))),
        channels=floor.channels.set(fact.channel, call.id),
    )


@_apply.register
def _(fact: f.LegJoined, floor: Floor) -> Floor:
    return _put(floor, _replace_leg(_call(floor, fact.call), fact.channel, fact.bridge))


@_apply.register
def _(fact: f.LegLeft, floor: Floor) -> Floor:
    return _put(floor, _replace_leg(_call(floor, fact.call), fact.channel, None))


@_apply.register
def _(fact: f.LegEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.leg(fact.channel) is None or fact.channel == call.channel:
        raise IllegalTransition(f"call {call.id} has no phone leg {fact.channel}")
    return replace(
        floor,
        calls=floor.calls.set(
            call.id,
            replace(
                call,
                legs=tuple(leg for leg in call.legs if leg.channel != fact.channel),
                last_cause=fact.cause if fact.channel == call.talking_leg else call.last_cause,
            ),
        ),
        channels=floor.channels.delete(fact.channel),
    )


@_apply.register
def _(fact: f.HangupAsked, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, asked_to_end=fact.channel))


@_apply.register
def _(fact: f.CallAnswered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.offer != fact.offer:
        raise IllegalTransition(
            f"call {call.id} is answered by offer {fact.offer} while {call.offer} is open"
        )
    stage = _stage(call, fact)
    offers = floor.offers
    if fact.offer is not None:
        advance(OFFER, "offer", fact.offer, offers[fact.offer].stage, "CallAnswered")
        offers = offers.delete(fact.offer)
    agents = floor.agents
    if fact.agent is not None:
        agent = _agent(floor, fact.agent)
        if agent.offer != fact.offer:
            raise IllegalTransition(f"agent {agent.id} answers {fact.offer} and is reserved by {agent.offer}")
        agents = agents.set(
            agent.id,
            replace(
                agent,
                work=_work(agent, fact),
                offer=None,
                call=call.id,
                state_since=fact.at,
                wrap_up_until=None,
                rest_until=None,
            ),
        )
    return replace(
        floor,
        offers=offers,
        agents=agents,
        calls=floor.calls.set(
            call.id,
            replace(
                call,
                stage=stage,
                offer=None,
                visit=None,
                in_net=False,
                answered_at=call.answered_at or fact.at,
                talking_with=fact.agent,
                talking_leg=fact.channel,
                talk_since=fact.at,
                held_since=None,
                # A caller may have put down in the instant in which the phone was picked up.
                asked_to_end=call.asked_to_end if call.caller_put_down else None,
                last_cause=None,
            ),
        ),
    )


@_apply.register
def _(fact: f.CallHeld, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), held_since=fact.at))


@_apply.register
def _(fact: f.CallResumed, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return _put(floor, replace(call, stage=_stage(call, fact), held_since=None))


@_apply.register
def _(fact: f.TalkEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.talking_with != fact.agent:
        raise IllegalTransition(f"call {call.id} talks with {call.talking_with}, not {fact.agent}")
    stage = _stage(call, fact)
    agents = floor.agents
    if fact.agent is not None:
        agent = _agent(floor, fact.agent)
        work = _work(agent, fact)
        until = fact.wrap_up_until
        agents = agents.set(
            agent.id,
            replace(
                agent,
                work=work if until is not None else Work.IDLE,
                call=None,
                state_since=fact.at,
                idle_since=fact.at,
                wrap_up_until=until,
            ),
        )
    return replace(
        floor,
        agents=agents,
        calls=floor.calls.set(call.id, replace(call, stage=stage, talking_with=None, talk_since=None)),
    )


@_apply.register
def _(fact: f.CallEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    _stage(call, fact)
    channels = floor.channels
    for leg in call.legs:
        channels = channels.delete(leg.channel)
    ended = floor.ended
    if len(ended) % 256 == 255:  # now and then, not at every end
        # What CEL tells again after the next gap must not be taken for unknown.
        oldest = min(fact.at - REMEMBER_ENDED_S * SECOND, floor.unwitnessed_since())
        ended = Map({k: v for k, v in ended.items() if v > oldest})
    answered = call.answered_at is not None
    return replace(
        floor,
        calls=floor.calls.delete(call.id),
        channels=channels,
        ended=ended.set(call.id, fact.at),
        unfiled=floor.unfiled.set(call.id, fact.at) if answered else floor.unfiled,
    )


@_apply.register
def _(fact: f.RecordingFiled, floor: Floor) -> Floor:
    if fact.call not in floor.unfiled:
        raise IllegalTransition(f"call {fact.call} has no recording to be filed")
    return replace(floor, unfiled=floor.unfiled.delete(fact.call))


# -- offers --------------------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.OfferMade, floor: Floor) -> Floor:
    call, agent = _call(floor, fact.call), _agent(floor, fact.agent)
    if fact.offer in floor.offers:
        raise IllegalTransition(f"offer {fact.offer} is open already")
    offer = Offer(
        id=fact.offer,
        call=fact.call,
        visit=fact.visit,
        agent=fact.agent,
        phone=fact.phone,
        made_at=fact.at,
        rings_until=Instant(fact.at + fact.ring_s * SECOND),
        overdue_at=Instant(fact.at + (fact.ring_s + OFFER_GRACE_S) * SECOND),
        stage=advance(OFFER, "offer", fact.offer, None, "OfferMade"),
    )
    return replace(
        floor,
        offers=floor.offers.set(offer.id, offer),
        offers_made=floor.offers_made + 1,
        calls=floor.calls.set(
            call.id, replace(call, stage=_stage(call, fact), offer=offer.id, offers=call.offers + 1)
        ),
        agents=floor.agents.set(
            agent.id, replace(agent, work=_work(agent, fact), offer=offer.id, state_since=fact.at)
        ),
    )


@_apply.register
def _(fact: f.OfferRang, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    offer = floor.offers.get(fact.offer)
    if offer is None:
        raise IllegalTransition(f"offer {fact.offer} is not open")
    agent = _agent(floor, offer.agent)
    return replace(
        floor,
        offers=floor.offers.set(
            offer.id, replace(offer, stage=advance(OFFER, "offer", offer.id, offer.stage, "OfferRang"))
        ),
        calls=floor.calls.set(call.id, replace(call, stage=_stage(call, fact))),
        agents=floor.agents.set(agent.id, replace(agent, work=_work(agent, fact), state_since=fact.at)),
    )


@_apply.register
def _(fact: f.OfferFailed, floor: Floor) -> Floor:
    call, agent = _call(floor, fact.call), _agent(floor, fact.agent)
    if fact.offer not in floor.offers:
        raise IllegalTransition(f"offer {fact.offer} is not open")
    own_doing = fact.result in (OfferStage.NO_ANSWER, OfferStage.REJECTED)
    return replace(
        floor,
        offers=floor.offers.delete(fact.offer),
        calls=floor.calls.set(call.id, replace(call, stage=_stage(call, fact), offer=None)),
        agents=floor.agents.set(
            agent.id,
            replace(
                agent,
                work=_work(agent, fact),
                offer=None,
                state_since=fact.at,
                idle_since=fact.at if own_doing else agent.idle_since,
                rest_until=fact.rest_until,
            ),
        ),
    )


# -- agents and phones ---------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.AgentSignedIn, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.presence is not Presence.SIGNED_OUT or fact.phone in floor.seated:
        raise IllegalTransition(f"agent {agent.id} cannot sign in at {fact.phone}")
    return replace(
        floor,
        agents=floor.agents.set(
            agent.id,
            replace(
                agent,
                presence=Presence.READY,
                work=Work.IDLE,
                phone=fact.phone,
                signed_in_at=fact.at,
                state_since=fact.at,
                idle_since=fact.at,
                wrap_up_until=None,
                rest_until=None,
            ),
        ),
        seated=floor.seated.set(fact.phone, agent.id),
    )


@_apply.register
def _(fact: f.AgentSignedOut, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.phone is None or agent.work not in (Work.IDLE, Work.WRAPPING_UP):
        raise IllegalTransition(f"agent {agent.id} cannot sign out while {agent.work.value}")
    out = AgentState(agent.id, agent.name, agent.centre, agent.queues, agent.seat, state_since=fact.at)
    return replace(floor, agents=floor.agents.set(agent.id, out), seated=floor.seated.delete(agent.phone))


@_apply.register
def _(fact: f.WrapUpEnded, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    work = _work(agent, fact)
    return replace(
        floor,
        agents=floor.agents.set(
            agent.id, replace(agent, work=work, wrap_up_until=None, state_since=fact.at, idle_since=fact.at)
        ),
    )


@_apply.register
def _(fact: f.RestEnded, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    return replace(floor, agents=floor.agents.set(agent.id, replace(agent, rest_until=None)))


@_apply.register
def _(fact: f.DeviceChanged, floor: Floor) -> Floor:
    return replace(floor, phones=floor.phones.set(fact.phone, fact.device))
