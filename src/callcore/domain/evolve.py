"""`evolve`: the fold of one fact into the floor.

Rules
- `evolve` asks the tables and raises `IllegalTransition`, changing nothing.
- Folding decides nothing: no fact makes another one here, no effect comes out.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, TypeVar

from immutables import Map

from callcore.domain import facts as f
from callcore.domain.agent import WORK, AgentState
from callcore.domain.blocked import Blocked
from callcore.domain.call import CALL, Aside, Call, Forward, Leg, Transfer, Visit
from callcore.domain.callback import CALLBACK, Callback, CallbackState
from callcore.domain.centre import Centre, Configuration, RecordAfter
from callcore.domain.emergency import Emergency
from callcore.domain.findings import Apart, Expected, worst
from callcore.domain.floor import (
    OFFER_GRACE_S,
    Floor,
    Pace,
    Tongue,
    drop_call,
    put_agent,
    put_call,
    put_device,
    put_registered,
    reindexed,
)
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    OfferId,
    QueueId,
)
from callcore.domain.message import MESSAGE, Message, MessageState
from callcore.domain.offer import OFFER, Offer
from callcore.domain.personal import Personal
from callcore.domain.phones import PhoneState, Policy
from callcore.domain.retention import KeepOrder
from callcore.domain.sides import FORWARDED, LEAVES_S, SIDE, Answer, SideCall, SideStage
from callcore.domain.stages import (
    OWN_DOING,
    SERVED,
    Choice,
    Device,
    Mark,
    Outcome,
    Party,
    Presence,
    SideKind,
    SideOutcome,
    Stage,
    Work,
)
from callcore.domain.tape import Excess, Gap, Tape
from callcore.domain.transitions import IllegalTransition, advance
from callcore.domain.values import changed
from callcore.domain.watch import Thresholds, Watch

K = TypeVar("K")
V = TypeVar("V")

REMEMBER_ENDED_S = 3600
"""Seconds for which an ended call's id is kept. Asterisk's events arrived 1 ms late, at worst seconds; an hour
covers a long list of events replayed by a mistaken adapter."""

AGAIN_S = 86_400
"""Seconds within which a caller calls again (再入電): the last 24 hours."""

MOVED_UP = "責任者が先頭に進めた / moved up by a supervisor"
"""Why a caller has this priority, in the queues that follow too."""

NOT_LED_S = 1
"""Seconds after which a caller who could not be led into a menu is led there again."""

PACE_KEPT = 0.98
"""What an observation of a queue's pace weighs after another one: about the last fifty count."""


def evolve(floor: Floor, fact: f.Fact) -> Floor:
    """The floor after one fact. Raises `IllegalTransition` when the fact does not fit; the floor is then unchanged."""
    after = _apply(fact, _unseen(floor, fact) if fact.reconstructed else floor)
    return after if fact.at <= after.at else changed(after, at=fact.at)


@singledispatch
def _apply(fact: f.Fact, floor: Floor) -> Floor:
    raise IllegalTransition(f"nobody knows how to fold a {type(fact).__name__}")


def _unseen(floor: Floor, fact: f.Fact) -> Floor:
    """Of the recording of the call that this is put together of it is not known to the second how long it is to be."""
    name: CallId = getattr(fact, "call", CallId(""))
    call, side = floor.calls.get(name), floor.sides.get(name)
    if call is not None and call.tape.seen:
        return put_call(floor, changed(call, tape=changed(call.tape, seen=False)))
    if side is not None and side.tape.seen:
        unseen = changed(side, tape=changed(side.tape, seen=False))
        return changed(floor, sides=floor.sides.set(side.id, unseen))
    return floor


# -- helpers -------------------------------------------------------------------------------------------------


def _call(floor: Floor, name: CallId) -> Call:
    call = floor.calls.get(name)
    if call is None:
        raise IllegalTransition(f"call {name} is not on the floor")
    return call


def _visiting(floor: Floor, name: CallId) -> tuple[Call, Visit]:
    call = _call(floor, name)
    if call.visit is None:
        raise IllegalTransition(f"call {name} is in no queue")
    return call, call.visit


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
    return changed(
        call, legs=tuple(changed(leg, bridge=bridge) if leg.channel == channel else leg for leg in call.legs)
    )


# -- engine and link -----------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.RunStarted, floor: Floor) -> Floor:
    if fact.run <= floor.run:
        raise IllegalTransition(f"run {fact.run} cannot follow run {floor.run}")
    # Killed while linked: the last fact is the last that was seen. Else the blindness goes on.
    blind = floor.at if floor.linked else floor.blind_since
    return changed(
        floor,
        run=fact.run,
        linked=False,
        lagging=False,
        offers_made=0,
        healed=0,
        blind_since=fact.at if blind is None else blind,
    )


@_apply.register
def _(fact: f.Configured, floor: Floor) -> Floor:
    centres = {c.id: c for c in fact.configuration.centres}
    phones = {p.id: floor.phones.get(p.id, Device.UNREACHABLE) for c in centres.values() for p in c.phones}
    return reindexed(
        changed(
            floor,
            configuration=fact.configuration,
            centres=Map(centres),
            queues=Map({q.id: q for c in centres.values() for q in c.queues}),
            queue_centre=Map({q.id: c.id for c in centres.values() for q in c.queues}),
            numbers=Map({n.digits: c.id for c in centres.values() for n in c.numbers}),
            phone_centre=Map({p.id: c.id for c in centres.values() for p in c.phones}),
            agents=Map(_staff(floor, fact.configuration)),
            phones=Map(phones),
            emergencies=Map({name: e for name, e in floor.emergencies.items() if name in centres}),
            thresholds=Map({name: t for name, t in floor.thresholds.items() if name in centres}),
            registered=Map({p: s for p, s in floor.registered.items() if p in phones}),
            channels_changed=_channels_changed(floor, centres, fact.at),
            callbacks=Map(
                {name: _housed(back, centres.get(back.centre)) for name, back in floor.callbacks.items()}
            ),
        )
    )


def _channels_changed(floor: Floor, centres: dict[CentreId, Centre], at: Instant) -> Map[CentreId, Instant]:
    since = {name: when for name, when in floor.channels_changed.items() if name in centres}
    for name, centre in centres.items():
        before = floor.centres.get(name)
        if before is not None and before.recordings.channels is not centre.recordings.channels:
            since[name] = at
    return Map(since)


def _housed(back: Callback, centre: Centre | None) -> Callback:
    """A call-back whose queue is taken out of the files goes on in its number's, or in the centre's first."""
    if centre is None or any(queue.id == back.queue for queue in centre.queues):
        return back
    left = [number.queue for number in centre.numbers if number.digits == back.dialled]
    return changed(back, queue=(left or [centre.queues[0].id])[0])


def _staff(floor: Floor, configuration: Configuration) -> dict[AgentId, AgentState]:
    """The agents of the files, each in the state that he or she is in."""
    served: dict[AgentId, tuple[QueueId, ...]] = {}
    for centre in configuration.centres:
        for guest in centre.guests:
            served[guest.agent] = served.get(guest.agent, ()) + guest.queues
    agents: dict[AgentId, AgentState] = {}
    for centre in configuration.centres:
        for spec in centre.agents:
            queues = tuple(dict.fromkeys(spec.queues + served.get(spec.id, ())))
            known = floor.agents.get(spec.id) or AgentState(spec.id, spec.name, centre.id, queues, spec.phone)
            agents[spec.id] = changed(
                known,
                name=spec.name,
                centre=centre.id,
                queues=queues,
                seat=spec.phone,
                skills=known.skills if known.skills_by_hand else spec.skills,
                rank=len(agents),
            )
    # Somebody who was taken out of the files keeps the call in hand, and gets no other one.
    for agent in floor.agents.values():
        if agent.id not in agents and (
            agent.presence is not Presence.SIGNED_OUT or agent.work is not Work.IDLE
        ):
            agents[agent.id] = changed(agent, queues=())
    return agents


@_apply.register
def _(fact: f.LinkGained, floor: Floor) -> Floor:
    return changed(floor, linked=True, blind_since=None)


@_apply.register
def _(fact: f.LinkLost, floor: Floor) -> Floor:
    # The engine says up to when it was watched; often nothing had happened for a while before.
    return changed(floor, linked=False, blind_since=fact.at if floor.linked else floor.blind_since)


@_apply.register
def _(fact: f.Healed, floor: Floor) -> Floor:
    return changed(floor, healed=floor.healed + 1)


@_apply.register
def _(fact: f.LagBegan, floor: Floor) -> Floor:
    """How long a recording is to be is not known to the second any more."""
    sides = {name: changed(side, tape=changed(side.tape, seen=False)) for name, side in floor.sides.items()}
    return changed(floor, lagging=True, sides=floor.sides.update(sides))


@_apply.register
def _(fact: f.LagEnded, floor: Floor) -> Floor:
    return changed(floor, lagging=False)


@_apply.register
def _(fact: f.ClockStepped, floor: Floor) -> Floor:
    """Everything that is going on is moved to the new clock, so that its length stays right."""
    return reindexed(
        changed(
            floor,
            at=fact.at,
            stepped_at=fact.at,
            stepped_by=fact.by,
            blind_since=_moved(floor.blind_since, fact.by),
            calls=Map({name: _call_moved(call, fact.by) for name, call in floor.calls.items()}),
            offers=Map(
                {
                    name: changed(
                        offer,
                        made_at=Instant(offer.made_at + fact.by),
                        rings_until=Instant(offer.rings_until + fact.by),
                        overdue_at=Instant(offer.overdue_at + fact.by),
                    )
                    for name, offer in floor.offers.items()
                }
            ),
            device_since=Map({name: Instant(at + fact.by) for name, at in floor.device_since.items()}),
            registered=Map(
                {
                    name: changed(state, since=Instant(state.since + fact.by))
                    for name, state in floor.registered.items()
                }
            ),
            agents=Map({name: _agent_moved(agent, fact.by) for name, agent in floor.agents.items()}),
            sides=Map(
                {
                    name: changed(
                        side,
                        began_at=Instant(side.began_at + fact.by),
                        connected_at=_moved(side.connected_at, fact.by),
                        unrecorded_since=_moved(side.unrecorded_since, fact.by),
                        unrecorded_until=_moved(side.unrecorded_until, fact.by),
                        tape=changed(side.tape, seen=False),
                    )
                    for name, side in floor.sides.items()
                }
            ),
            watches=Map(
                {
                    name: changed(watch, began_at=Instant(watch.began_at + fact.by))
                    for name, watch in floor.watches.items()
                }
            ),
            ended=Map({name: Instant(at + fact.by) for name, at in floor.ended.items()}),
            unfiled=Map({name: Instant(at + fact.by) for name, at in floor.unfiled.items()}),
            callbacks=Map(
                {
                    name: changed(
                        back,
                        since=Instant(back.since + fact.by),
                        not_before=_moved(back.not_before, fact.by),
                    )
                    for name, back in floor.callbacks.items()
                }
            ),
            # Its end is a time on the wall.
            emergencies=Map(
                {
                    name: changed(e, since=Instant(e.since + fact.by), ended=_moved(e.ended, fact.by))
                    for name, e in floor.emergencies.items()
                }
            ),
            blocked=Map(
                {
                    name: changed(entry, since=Instant(entry.since + fact.by))
                    for name, entry in floor.blocked.items()
                }
            ),
            lists_changed=Map({name: Instant(at + fact.by) for name, at in floor.lists_changed.items()}),
            channels_changed=Map(
                {name: Instant(at + fact.by) for name, at in floor.channels_changed.items()}
            ),
        )
    )


def _moved(at: Instant | None, by: int) -> Instant | None:
    return None if at is None else Instant(at + by)


def _call_moved(call: Call, by: int) -> Call:
    visit = call.visit
    if visit is not None:
        visit = changed(
            visit,
            entered_at=Instant(visit.entered_at + by),
            since=Instant(visit.since + by),
            not_before=_moved(visit.not_before, by),
            menus=tuple((menu, Instant(at + by)) for menu, at in visit.menus),
        )
    aside = call.aside
    if aside is not None:
        aside = changed(aside, since=Instant(aside.since + by), until=_moved(aside.until, by))
    transfer = call.transfer
    if transfer is not None:
        transfer = changed(transfer, since=Instant(transfer.since + by))
    forward = call.forward
    if forward is not None:
        forward = changed(forward, since=Instant(forward.since + by))
    return changed(
        call,
        tape=changed(call.tape, seen=False),
        forward=forward,
        visit=visit,
        aside=aside,
        transfer=transfer,
        comfort_from=_moved(call.comfort_from, by),
        arrived_at=Instant(call.arrived_at + by),
        parted_at=_moved(call.parted_at, by),
        keyed_at=_moved(call.keyed_at, by),
        legs=tuple(changed(leg, since=Instant(leg.since + by)) if leg.since else leg for leg in call.legs),
        leaving_since=_moved(call.leaving_since, by),
        net_changed_at=_moved(call.net_changed_at, by),
        speaks_since=_moved(call.speaks_since, by),
        kept=None if call.kept is None else (call.kept[0], Instant(call.kept[1] + by)),
        entered_at=_moved(call.entered_at, by),
        answered_at=_moved(call.answered_at, by),
        talk_since=_moved(call.talk_since, by),
        asked_to_end_at=_moved(call.asked_to_end_at, by),
        held_since=_moved(call.held_since, by),
        let_go_at=_moved(call.let_go_at, by),
        hold_due=_moved(call.hold_due, by),
        help_since=_moved(call.help_since, by),
        unrecorded_since=_moved(call.unrecorded_since, by),
        unrecorded_until=_moved(call.unrecorded_until, by),
    )


def _agent_moved(agent: AgentState, by: int) -> AgentState:
    return changed(
        agent,
        signed_in_at=_moved(agent.signed_in_at, by),
        state_since=_moved(agent.state_since, by),
        idle_since=_moved(agent.idle_since, by),
        wrap_up_until=_moved(agent.wrap_up_until, by),
        rest_until=_moved(agent.rest_until, by),
        paused_at=_moved(agent.paused_at, by),
        talk_ended_at=_moved(agent.talk_ended_at, by),
        locked_until=_moved(agent.locked_until, by),
    )


# -- emergency closure ---------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.EmergencyBegan, floor: Floor) -> Floor:
    if fact.centre not in floor.centres:
        raise IllegalTransition(f"centre {fact.centre} is not known")
    known = floor.emergencies.get(fact.centre)
    since = fact.at if known is None or known.ended is not None else known.since
    now = Emergency(since, fact.until, fact.reason, fact.by)
    return changed(floor, emergencies=floor.emergencies.set(fact.centre, now))


@_apply.register
def _(fact: f.EmergencyEnded, floor: Floor) -> Floor:
    known = floor.emergencies.get(fact.centre)
    if known is None or known.ended is not None:
        raise IllegalTransition(f"centre {fact.centre} has no emergency closure")
    over = changed(known, ended=fact.at)
    return changed(floor, emergencies=floor.emergencies.set(fact.centre, over))


# -- callers who are listed ----------------------------------------------------------------------------------


@_apply.register
def _(fact: f.CallerListed, floor: Floor) -> Floor:
    known = floor.blocked.get(fact.entry)
    if known is not None and known.centre != fact.centre:
        raise IllegalTransition(f"entry {fact.entry} is of centre {known.centre}")
    since = fact.at if known is None else known.since
    entry = Blocked(fact.entry, fact.centre, fact.number, fact.reason, since, fact.until, fact.by)
    return changed(
        floor,
        blocked=floor.blocked.set(fact.entry, entry),
        lists_changed=floor.lists_changed.set(fact.centre, fact.at),
    )


@_apply.register
def _(fact: f.CallerUnlisted, floor: Floor) -> Floor:
    if fact.entry not in floor.blocked:
        raise IllegalTransition(f"there is no entry {fact.entry}")
    return changed(
        floor,
        blocked=floor.blocked.delete(fact.entry),
        lists_changed=floor.lists_changed.set(fact.centre, fact.at),
    )


# -- how long what is known of calls is kept -----------------------------------------------------------------


@_apply.register
def _(fact: f.KeepOrdered, floor: Floor) -> Floor:
    if fact.order in floor.keeping:
        raise IllegalTransition(f"there is an order {fact.order}")
    order = KeepOrder(fact.order, fact.centre, fact.calls, fact.until, fact.reason, fact.by, fact.at)
    return changed(floor, keeping=floor.keeping.set(fact.order, order))


@_apply.register
def _(fact: f.KeepReleased, floor: Floor) -> Floor:
    if fact.order not in floor.keeping:
        raise IllegalTransition(f"there is no order {fact.order}")
    return changed(floor, keeping=floor.keeping.delete(fact.order))


@_apply.register
def _(fact: f.CallErased, floor: Floor) -> Floor:
    """What belongs to a person leaves the floor, too; an order that names this call alone has nothing left to keep."""
    if not fact.personal:
        return floor
    message = floor.messages.get(fact.call)
    messages = floor.messages
    if message is not None:
        bare = changed(
            message,
            caller=_bare(message.caller),
            result=None if message.result is None else _bare(message.result),
            subject=None if message.subject is None else _bare(message.subject),
            note=None if message.note is None else _bare(message.note),
        )
        messages = messages.set(fact.call, bare)
    return changed(
        floor,
        messages=messages,
        recent=_without(floor.recent, fact.call),
        tongues=_without(floor.tongues, fact.call),
        unreached=_without(floor.unreached, fact.call),
        keeping=_without(floor.keeping, *(o.id for o in floor.keeping.values() if o.calls == (fact.call,))),
    )


def _bare(value: Personal) -> Personal:
    return Personal(value.call, value.centre, value.at, None)


def _without(values: Map[K, V], *names: K) -> Map[K, V]:
    for name in names:
        if name in values:
            values = values.delete(name)
    return values


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
        priority=fact.priority,
        priority_reason=fact.priority_reason,
        answer=fact.answer,
        again=fact.again,
        listed=fact.listed,
    )
    recent, most = floor.recent, floor.recent_most
    if fact.caller.text is not None:
        if len(recent) >= most:
            oldest = fact.at - AGAIN_S * SECOND
            recent = Map({name: caller for name, caller in recent.items() if caller.at > oldest})
            most = max(256, 2 * len(recent))
        recent = recent.set(fact.call, fact.caller)
    return put_call(
        floor,
        call,
        channels=floor.channels.set(call.channel, call.id),
        recent=recent,
        recent_most=most,
    )


@_apply.register
def _(fact: f.CallMarkedImprecise, floor: Floor) -> Floor:
    return put_call(floor, changed(_call(floor, fact.call), imprecise=True))


@_apply.register
def _(fact: f.CallAdmitted, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    # Decided once. Only who was refused as blocked is let in afterwards, by the key 9.
    if call.stage is not Stage.ARRIVED and call.refused_as is not Outcome.BLOCKED:
        raise IllegalTransition(f"call {call.id} is {call.stage.value}, and was not refused as blocked")
    return put_call(floor, changed(call, stage=_stage(call, fact), refused_as=None))


@_apply.register
def _(fact: f.CallRefused, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(floor, changed(call, stage=_stage(call, fact), refused_as=fact.outcome))


@_apply.register
def _(fact: f.AdmissionDiffered, floor: Floor) -> Floor:
    return floor


@_apply.register
def _(fact: f.MenuAnswered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.stage is Stage.WAITING:
        if call.aside is None or call.aside.menu is None:
            raise IllegalTransition(f"call {call.id} waits and is in no menu")
        outcome = _ends_as(call.aside, fact.choice)
        return put_call(
            floor,
            changed(
                call, stage=_stage(call, fact), aside=changed(call.aside, outcome=outcome), keyed_at=fact.at
            ),
        )
    stage = _stage(call, fact)
    if fact.remember_until is not None and fact.language is not None and call.caller.text is not None:
        tongues, most = floor.tongues, floor.tongues_most
        if len(tongues) >= most:
            tongues = Map({name: known for name, known in tongues.items() if known.until > fact.at})
            most = max(256, 2 * len(tongues))
        chosen = Tongue(call.caller, fact.language, fact.remember_until)
        floor = changed(floor, tongues=tongues.set(call.id, chosen), tongues_most=most)
    return put_call(
        floor,
        changed(
            call,
            stage=stage,
            language=fact.language or call.language,
            queue=fact.queue or call.queue,
            served=_served(call.served, fact.choice),
            keyed_at=fact.at,
        ),
    )


@_apply.register
def _(fact: f.CallForwarded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if fact.channel in floor.channels:
        raise IllegalTransition(f"channel {fact.channel} is a leg already")
    if call.stage is Stage.WAITING and not call.in_menu:
        raise IllegalTransition(f"call {call.id} waits and is in no menu")
    stage = _stage(call, fact)
    return put_call(
        floor,
        changed(
            call,
            stage=stage,
            legs=(*call.legs, Leg(fact.channel, None, None, None, since=fact.at)),
            forward=Forward(fact.channel, fact.at, fact.recorded),
        ),
        channels=floor.channels.set(fact.channel, call.id),
    )


def _forward_over(call: Call, at: Instant) -> Call:
    """As it is once whom the caller was forwarded to is gone, or the caller."""
    forward = call.forward
    if forward is None or forward.ended:
        return call
    tape = _kept(call.tape, forward.since, at) if forward.recorded else call.tape
    return changed(call, forward=changed(forward, ended=True), tape=tape)


def _ends_as(aside: Aside, choice: Choice) -> Outcome | None:
    """What a waiting caller's call would end as after this answer in a menu. Who chose something else than to wait
    ended the wait by key; who is on the way back waits as before."""
    if choice in (Choice.FORWARD, Choice.END):
        return Outcome.OVERFLOW_KEY
    return None if choice in (Choice.WAIT, Choice.UNREACHED) else aside.cause


def _served(before: bool, choice: Choice) -> bool:
    """Whoever has had what needs no agent, and now keys nothing or a wrong key, still ends there."""
    return before if choice in (Choice.WRONG, Choice.NONE) else choice in SERVED


@_apply.register
def _(fact: f.VisitBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            visit=Visit(
                fact.visit,
                fact.queue,
                fact.priority,
                fact.at,
                fact.since,
                watched=not fact.reconstructed,
                language=fact.language,
            ),
            visits=call.visits + 1,
            queue=fact.queue,
            been=(*call.been, fact.queue),
            entered_at=fact.at if call.entered_at is None else call.entered_at,
            # Another queue does not take a waiting caller out of the safety net.
            in_net=call.in_net and call.stage is Stage.WAITING,
            # An agent who put down in the talk before has no part in how this wait ends.
            asked_to_end=call.asked_to_end if call.caller_put_down else None,
            aside=call.aside if call.stage is Stage.WAITING else None,
            comfort_round=0,
            comfort_step=0,
            comfort_from=None,
            held_since=None,
            moving_to=None,
            transfer=None,
        ),
    )


@_apply.register
def _(fact: f.CallerMovedUp, floor: Floor) -> Floor:
    call, visit = _visiting(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            priority=fact.priority,
            priority_reason=MOVED_UP,
            visit=changed(visit, priority=fact.priority),
        ),
    )


@_apply.register
def _(fact: f.ComfortBegan, floor: Floor) -> Floor:
    call = _on_the_line(floor, fact)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            aside=Aside(fact.number, fact.at, fact.until),
            asides=fact.number,
            comfort_round=call.comfort_round + fact.last,
            comfort_step=0 if fact.last else call.comfort_step + 1,
        ),
    )


@_apply.register
def _(fact: f.OverflowMenuBegan, floor: Floor) -> Floor:
    call = _on_the_line(floor, fact)
    _, visit = _visiting(floor, fact.call)
    led = Aside(fact.number, fact.at, None, fact.menu, fact.outcome, fact.outcome)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            aside=led,
            asides=fact.number,
            visit=changed(visit, menus=_led_to(visit, fact.menu, fact.at)),
        ),
    )


def _on_the_line(floor: Floor, fact: f.ComfortBegan | f.OverflowMenuBegan) -> Call:
    call = _call(floor, fact.call)
    if call.aside is not None or call.in_net or fact.number <= call.asides:
        raise IllegalTransition(f"call {call.id} can't be led aside for the {fact.number}. time")
    return call


def _led_to(visit: Visit, menu: str, at: Instant | None) -> tuple[tuple[str, Instant], ...]:
    """The menus of a visit with this one as last left at `at`; None: as if it had not been entered."""
    others = tuple(each for each in visit.menus if each[0] != menu)
    return others if at is None else (*others, (menu, at))


@_apply.register
def _(fact: f.LineRejoined, floor: Floor) -> Floor:
    call, visit = _visiting(floor, fact.call)
    stage, aside = _stage(call, fact), call.aside
    if aside is None or aside.number != fact.number:
        raise IllegalTransition(f"call {call.id} was not led aside for the {fact.number}. time")
    offers = floor.offers
    for name in call.ringing:
        offer = offers[name]
        ring = offer.rings_until - offer.made_at - _reserved_for(aside, offer.made_at)
        offers = offers.set(
            name,
            changed(
                offer,
                rings_until=Instant(fact.at + ring),
                overdue_at=Instant(fact.at + ring + OFFER_GRACE_S * SECOND),
            ),
        )
    comfort_from, step = call.comfort_from, call.comfort_step
    if aside.menu is not None:
        visit = changed(visit, menus=_led_to(visit, aside.menu, fact.at if fact.done else None))
        comfort_from, step = fact.at, 0
        if not fact.done:
            visit = changed(visit, not_before=Instant(fact.at + NOT_LED_S * SECOND))
    elif not fact.done or not step:
        comfort_from, step = fact.at, 0
    return put_call(
        floor,
        changed(call, stage=stage, visit=visit, aside=None, comfort_from=comfort_from, comfort_step=step),
        offers=offers,
    )


def _reserved_for(aside: Aside | None, made_at: Instant) -> int:
    """Microseconds for which an offer that is made now may have to wait for the end of a phrase."""
    return 0 if aside is None or aside.until is None else max(0, aside.until - made_at)


@_apply.register
def _(fact: f.NeedsRelaxed, floor: Floor) -> Floor:
    call, visit = _visiting(floor, fact.call)
    return put_call(floor, changed(call, stage=_stage(call, fact), visit=changed(visit, rung=fact.rung)))


@_apply.register
def _(fact: f.AgentsAdded, floor: Floor) -> Floor:
    call, visit = _visiting(floor, fact.call)
    also = (*visit.also, fact.agents_of)
    return put_call(floor, changed(call, stage=_stage(call, fact), visit=changed(visit, also=also)))


@_apply.register
def _(fact: f.OverflowBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor, changed(call, stage=_stage(call, fact), leaving_as=fact.outcome, leaving_since=fact.at)
    )


@_apply.register
def _(fact: f.OverflowUndone, floor: Floor) -> Floor:
    call, visit = _visiting(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            leaving_as=None,
            leaving_since=None,
            visit=changed(visit, not_before=fact.not_before),
        ),
    )


@_apply.register
def _(fact: f.NetEntered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor, changed(call, stage=_stage(call, fact), in_net=True, net_changed_at=fact.at, aside=None)
    )


@_apply.register
def _(fact: f.NetLeft, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(floor, changed(call, stage=_stage(call, fact), in_net=False, net_changed_at=fact.at))


@_apply.register
def _(fact: f.CallGivenUp, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor, changed(call, stage=_stage(call, fact), given_up_as=fact.outcome, leaving_as=None, aside=None)
    )


@_apply.register
def _(fact: f.LegBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if fact.channel in floor.channels:
        raise IllegalTransition(f"channel {fact.channel} is a leg already")
    side = floor.sides.get(fact.side) if fact.side is not None else None
    leg = Leg(
        fact.channel,
        fact.phone,
        fact.agent,
        fact.offer,
        since=fact.at,
        side=fact.side,
        department=fact.department,
        asked=side is not None and side.connected_at is not None,
    )
    # Found to be rung for a caller who is with nobody: so it was the agent who had left.
    rings_on = fact.reconstructed and call.stage is Stage.PARTED and fact.offer is None
    return put_call(
        floor,
        changed(
            call,
            legs=(*call.legs, leg),
            given_over=call.given_over or rings_on,
            asked_to_end=None if rings_on and not call.caller_put_down else call.asked_to_end,
        ),
        channels=floor.channels.set(fact.channel, call.id),
    )


@_apply.register
def _(fact: f.LegJoined, floor: Floor) -> Floor:
    return put_call(floor, _replace_leg(_call(floor, fact.call), fact.channel, fact.bridge))


@_apply.register
def _(fact: f.LegLeft, floor: Floor) -> Floor:
    return put_call(floor, _replace_leg(_call(floor, fact.call), fact.channel, None))


@_apply.register
def _(fact: f.LegEnded, floor: Floor) -> Floor:
    if fact.call not in floor.calls and floor.leaving.get(fact.channel) == fact.call:
        late = changed(floor.expected[fact.call], far=fact.received)
        return changed(
            floor,
            leaving=floor.leaving.delete(fact.channel),
            expected=floor.expected.set(fact.call, late),
        )
    call = _call(floor, fact.call)
    if call.leg(fact.channel) is None or fact.channel == call.channel:
        raise IllegalTransition(f"call {call.id} has no phone leg {fact.channel}")
    if call.forward is not None and call.forward.channel == fact.channel:
        call = _forward_over(call, fact.at)
    far = call.far_received if fact.received is None else (call.far_received or 0) + fact.received
    return put_call(
        floor,
        changed(
            call,
            far_received=far,
            far_unseen=call.far_unseen or fact.reconstructed,
            legs=tuple(leg for leg in call.legs if leg.channel != fact.channel),
            last_cause=fact.cause if fact.channel == call.talking_leg else call.last_cause,
        ),
        channels=floor.channels.delete(fact.channel),
    )


@_apply.register
def _(fact: f.HangupAsked, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(floor, changed(call, asked_to_end=fact.channel, asked_to_end_at=fact.at))


@_apply.register
def _(fact: f.CallAnswered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.ringing != (() if fact.offer is None else (fact.offer,)):
        raise IllegalTransition(
            f"call {call.id} is answered by offer {fact.offer} while {call.ringing} are open"
        )
    stage = _stage(call, fact)
    offers = floor.offers
    if fact.offer is not None:
        advance(OFFER, "offer", fact.offer, offers[fact.offer].stage, "CallAnswered")
        offers = offers.delete(fact.offer)
    if fact.agent is not None:
        agent = _agent(floor, fact.agent)
        if agent.offer != fact.offer:
            raise IllegalTransition(f"agent {agent.id} answers {fact.offer} and is reserved by {agent.offer}")
        floor = put_agent(
            floor,
            changed(
                agent,
                work=_work(agent, fact),
                offer=None,
                call=call.id,
                state_since=fact.at,
                wrap_up_until=None,
                rest_until=None,
                misses=0,
                answered=agent.answered + 1,
                at_work_for=call.centre,
                last_queue=call.queue,
                talk_ended_at=None,
                side=None,
                last_call=call.id,
                result=None,
                relayed=False,
            ),
        )
    return put_call(
        floor,
        changed(
            call,
            stage=stage,
            offer=None,
            ringing=(),
            visit=None,
            in_net=False,
            leaving_as=None,
            aside=None,
            answered_at=call.answered_at or fact.at,
            talking_with=fact.agent,
            talking_leg=fact.channel,
            talk_since=fact.at,
            talk_watched=not fact.reconstructed,
            held_since=None,
            let_go_at=None,
            hold_due=None,
            hold_overran=False,
            # A caller may have put down in the instant in which the phone was picked up.
            asked_to_end=call.asked_to_end if call.caller_put_down else None,
            last_cause=None,
        ),
        offers=offers,
        pace=_wait_over(floor, call, fact, gave_up=False),
    )


def _wait_over(floor: Floor, call: Call, fact: f.Fact, *, gave_up: bool) -> Map[QueueId, Pace]:
    """The queues' pace after a wait that was watched from its beginning to its end."""
    visit = call.visit
    if visit is None or not visit.watched or fact.reconstructed:
        return floor.pace
    pace = floor.pace.get(visit.queue, Pace())
    # A talk with the number that was chosen in a menu is no waiting.
    until = call.aside.since if call.aside is not None and call.in_menu else fact.at
    return floor.pace.set(
        visit.queue,
        changed(
            pace,
            left=pace.left * PACE_KEPT + gave_up,
            waited=pace.waited * PACE_KEPT + max(0, until - visit.entered_at) / SECOND,
        ),
    )


def _handled(floor: Floor, call: Call, fact: f.TalkEnded) -> Map[QueueId, Pace]:
    if call.talk_since is None or not call.talk_watched or fact.reconstructed:
        return floor.pace
    pace = floor.pace.get(call.queue, Pace())
    # A relay call's after-call work has no end of its own: how long it will be nobody knows.
    until = fact.at if call.relay else fact.wrap_up_until or fact.at
    return floor.pace.set(
        call.queue,
        changed(
            pace,
            handled=pace.handled * PACE_KEPT + 1,
            handling=pace.handling * PACE_KEPT + max(0, until - call.talk_since) / SECOND,
        ),
    )


@_apply.register
def _(fact: f.CallHeld, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            held_since=fact.at,
            held_leg=call.talking_leg,
            hold_due=fact.too_long_at,
        ),
    )


@_apply.register
def _(fact: f.HoldOverran, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(floor, changed(call, stage=_stage(call, fact), hold_due=None, hold_overran=True))


@_apply.register
def _(fact: f.CallResumed, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            held_since=None,
            held_leg=call.held_leg if fact.reconstructed else None,
            hold_due=None,
            hold_overran=False,
        ),
    )


@_apply.register
def _(fact: f.TalkEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.talking_with != fact.agent:
        raise IllegalTransition(f"call {call.id} talks with {call.talking_with}, not {fact.agent}")
    stage = _stage(call, fact)
    pace = _handled(floor, call, fact)
    given_over = not call.caller_put_down and not fact.reconstructed
    if fact.agent is not None:
        agent = _agent(floor, fact.agent)
        work = _work(agent, fact)
        until = fact.wrap_up_until
        floor = put_agent(
            floor,
            changed(
                agent,
                work=work if until is not None else Work.IDLE,
                call=None,
                state_since=fact.at,
                idle_since=fact.at,
                wrap_up_until=until,
                talk_ended_at=fact.at,
                at_work_for=agent.at_work_for if until is not None else None,
                last_call=agent.last_call if until is not None else None,
                relayed=call.relay,
            ),
        )
    return put_call(
        floor,
        changed(
            call,
            stage=stage,
            talking_with=None,
            talk_since=None,
            parted_at=fact.at,
            let_go_at=fact.at if call.held_since is not None and not call.caller_put_down else None,
            help_since=None,
            hold_due=None,
            hold_overran=False,
            parted_from=fact.agent,
            given_over=given_over,
            moving_to=_rung(call) if given_over else None,
            transfer=None,
            tape=_kept(_paused(call, fact.at), call.talk_since, fact.at),
            unrecorded_gap=False,
        ),
        pace=pace,
    )


def _rung(call: Call) -> DepartmentId | None:
    """The department that still rings for the agent's consult, and rings on for the caller when the agent has gone."""
    return next((leg.department for leg in call.legs if leg.side is not None and not leg.asked), None)


@_apply.register
def _(fact: f.TransferBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    moving_to = None if fact.closed else fact.department
    return put_call(floor, changed(call, stage=_stage(call, fact), moving_to=moving_to))


@_apply.register
def _(fact: f.CallTransferred, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(
        floor,
        changed(
            call,
            stage=_stage(call, fact),
            transfer=Transfer(fact.department, fact.channel, fact.blind, fact.at),
            moving_to=None,
            held_since=None,
            # Who had asked for the end of the talk has no part in how this one ends.
            asked_to_end=call.asked_to_end if call.caller_put_down else None,
            tape=changed(call.tape, unheld=(*call.tape.unheld, fact.side))
            if fact.blind and fact.side is not None
            else call.tape,
        ),
    )


def _kept(tape: Tape, since: Instant | None, at: Instant) -> Tape:
    return tape if since is None else changed(tape, kept=tape.kept + max(0, at - since))


def _paused(talk: Call | SideCall, at: Instant) -> Tape:
    """With what the pause that is over now, at the latest, leaves to be cut out."""
    if talk.unrecorded_since is None or talk.talk_since is None or not talk.unrecorded_gap:
        return talk.tape
    gap = Gap(
        talk.tape.written + max(0, talk.unrecorded_since - talk.talk_since),
        max(0, at - max(talk.unrecorded_since, talk.talk_since)),
    )
    return changed(talk.tape, gaps=(*talk.tape.gaps, gap))


def _silent(talk: Call | SideCall, tape: Tape, at: Instant) -> int:
    """Microseconds of a recording that is over now in which it was paused, and which are not cut out."""
    since = at if talk.unrecorded_since is None else talk.unrecorded_since
    return max(0, talk.paused + at - since - tape.gone)


@_apply.register
def _(fact: f.RecordingStopped, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    stage, transfer, tape = _stage(call, fact), call.transfer, call.tape
    assert transfer is not None
    if transfer.unrecorded:
        raise IllegalTransition(f"the recording of call {call.id} is stopped already")
    tape = _kept(tape, transfer.since, fact.since)
    excess = Excess(tape.kept, max(0, fact.at - fact.since), fact.since, fact.at)
    return put_call(
        floor,
        changed(
            call,
            stage=stage,
            transfer=changed(transfer, unrecorded=True),
            tape=changed(tape, excess=(*tape.excess, excess)),
        ),
    )


@_apply.register
def _(fact: f.TransferEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    stage, transfer = _stage(call, fact), call.transfer
    assert transfer is not None
    tape = call.tape if transfer.unrecorded else _kept(call.tape, transfer.since, fact.at)
    return put_call(floor, changed(call, stage=stage, transfer=changed(transfer, ended=True), tape=tape))


@_apply.register
def _(fact: f.CallEnded, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    _stage(call, fact)
    channels = floor.channels
    for leg in call.legs:
        channels = channels.delete(leg.channel)
    ended = floor.ended
    most = floor.ended_most
    if len(ended) >= most:
        # What CEL tells again after the next gap must not be taken for unknown.
        oldest = min(fact.at - REMEMBER_ENDED_S * SECOND, floor.unwitnessed_since())
        stay = set(floor.leaving.values())  # who was called may talk on for hours
        ended = Map({k: v for k, v in ended.items() if v > oldest or k in stay})
        most = max(256, 2 * len(ended))  # as rare as the line is long
    forward = call.forward
    going = forward is not None and forward.recorded and not forward.ended
    unseen = call.far_unseen or going
    leaving = floor.leaving
    if going and forward is not None and not call.far_unseen and call.far_received is None:
        leaving = leaving.set(forward.channel, call.id)  # its end may be told just after this
    call = _forward_over(call, fact.at)
    recorded = call.answered_at is not None or (forward is not None and forward.recorded)
    tape, transfer = call.tape, call.transfer
    if transfer is not None and not transfer.ended and not transfer.unrecorded:
        tape = _kept(tape, transfer.since, fact.at)
    expected = Expected(
        tape.kept - tape.gone,
        _silent(call, tape, fact.at),
        fact.at - call.arrived_at,
        fact.received,
        None if unseen else call.far_received,
        whole=tape.whole and not call.imprecise,
    )
    gave_up = fact.hung_up_by is Party.CALLER and fact.outcome in (
        Outcome.ABANDONED,
        Outcome.ABANDONED_SHORT,
    )
    return drop_call(
        floor,
        fact.call,
        channels=channels,
        ended=ended.set(call.id, fact.at),
        ended_most=most,
        unfiled=floor.unfiled.set(call.id, fact.at) if recorded else floor.unfiled,
        expected=floor.expected.set(call.id, expected) if recorded else floor.expected,
        leaving=leaving,
        tapes=floor.tapes.set(call.id, tape) if tape.excess or tape.unheld or tape.gaps else floor.tapes,
        pace=_wait_over(floor, call, fact, gave_up=gave_up),
    )


@_apply.register
def _(fact: f.RecordingFiled, floor: Floor) -> Floor:
    if fact.call not in floor.unfiled:
        raise IllegalTransition(f"call {fact.call} has no recording to be filed")
    tapes = floor.tapes.delete(fact.call) if fact.call in floor.tapes else floor.tapes
    expected = floor.expected.delete(fact.call) if fact.call in floor.expected else floor.expected
    leaving = _without(floor.leaving, *(leg for leg, call in floor.leaving.items() if call == fact.call))
    return changed(
        floor,
        unfiled=floor.unfiled.delete(fact.call),
        expected=expected,
        leaving=leaving,
        tapes=tapes,
    )


@_apply.register
def _(fact: f.RecordingKept, floor: Floor) -> Floor:
    if not floor.beyond(fact.folder, fact.day, fact.line):
        raise IllegalTransition(f"line {fact.line} of {fact.folder} {fact.day} was told of already")
    return changed(floor, chained=floor.chained.set(fact.folder, (fact.day, fact.line)))


# -- call-backs ----------------------------------------------------------------------------------------------


def _callback(floor: Floor, name: CallId) -> Callback:
    back = floor.callbacks.get(name)
    if back is None:
        raise IllegalTransition(f"call {name} has no call-back on the list")
    return back


def _callback_is(floor: Floor, fact: f.Fact, back: Callback, **changes: Any) -> Floor:
    """The floor with the call-back as it is after a fact; without it when that was its end."""
    state = advance(CALLBACK, "call-back", back.id, back.state, type(fact).__name__)
    if state is CallbackState.OVER:
        return changed(floor, callbacks=floor.callbacks.delete(back.id))
    after = changed(back, state=state, **changes)
    return changed(floor, callbacks=floor.callbacks.set(back.id, after))


@_apply.register
def _(fact: f.CallbackAsked, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    back = Callback(
        id=call.id,
        node=call.node,
        centre=fact.centre,
        queue=fact.queue,
        priority=fact.priority,
        since=fact.since,
        language=fact.language,
        caller=call.caller,
        dialled=call.number,
        asked_at=fact.at,
        state=advance(CALLBACK, "call-back", call.id, None, "CallbackAsked"),
    )
    return put_call(
        floor,
        changed(call, stage=_stage(call, fact), callback=True),
        callbacks=floor.callbacks.set(call.id, back),
    )


@_apply.register
def _(fact: f.CallbackTried, floor: Floor) -> Floor:
    back = _callback(floor, fact.call)
    floor = changed(floor, callbacks_tried=floor.callbacks_tried + 1)
    return _callback_is(floor, fact, back, side=fact.side, offers=back.offers + 1)


@_apply.register
def _(fact: f.CallbackDialled, floor: Floor) -> Floor:
    back = _callback(floor, fact.call)
    return _callback_is(floor, fact, back, attempts=back.attempts + 1)


@_apply.register
def _(fact: f.CallbackMissed, floor: Floor) -> Floor:
    return _callback_is(floor, fact, _callback(floor, fact.call), side=None, not_before=fact.not_before)


@_apply.register
def _(fact: f.CallbackFailed, floor: Floor) -> Floor:
    return _callback_is(floor, fact, _callback(floor, fact.call), side=None, not_before=fact.not_before)


@_apply.register
def _(fact: f.CallbackReached, floor: Floor) -> Floor:
    return _callback_is(floor, fact, _callback(floor, fact.call))


@_apply.register
def _(fact: f.CallbackGivenUp, floor: Floor) -> Floor:
    back = _callback(floor, fact.call)
    floor = _callback_is(floor, fact, back)
    if fact.due_at is None:
        return floor
    task = Message(
        call=back.id,
        centre=back.centre,
        queue=back.queue,
        language=back.language,
        caller=back.caller,
        left_at=fact.at,
        due_at=fact.due_at,
        state=advance(MESSAGE, "message", back.id, None, "CallbackGivenUp"),
        state_since=fact.at,
        filed=True,
        callback=True,
        about=back.id,
    )
    return changed(floor, messages=floor.messages.set(back.id, task))


@_apply.register
def _(fact: f.CallbackCancelled, floor: Floor) -> Floor:
    back = _callback(floor, fact.call)
    floor = _callback_is(floor, fact, back)
    call = floor.calls.get(fact.by_call) if fact.by_call is not None else None
    if call is None:
        return floor
    kept = (back.priority, back.since)
    return put_call(floor, changed(call, kept=kept if call.kept is None else min(kept, call.kept)))


# -- messages ------------------------------------------------------------------------------------------------


def _message(floor: Floor, name: CallId) -> Message:
    message = floor.messages.get(name)
    if message is None:
        raise IllegalTransition(f"call {name} has no message on the list")
    return message


def _message_state(message: Message, fact: f.Fact) -> MessageState:
    return advance(MESSAGE, "message", message.call, message.state, type(fact).__name__)


@_apply.register
def _(fact: f.MessageBegan, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    return put_call(floor, changed(call, stage=_stage(call, fact), speaks_since=fact.at))


@_apply.register
def _(fact: f.MessageLeft, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    message = Message(
        call=call.id,
        centre=fact.centre,
        queue=fact.queue,
        language=fact.language,
        caller=call.caller,
        left_at=fact.at,
        due_at=fact.due_at,
        state=advance(MESSAGE, "message", call.id, None, "MessageLeft"),
        state_since=fact.at,
        otherwise=fact.otherwise,
        cut=fact.cut,
        about=call.id,
    )
    return put_call(
        floor,
        changed(call, stage=_stage(call, fact), speaks_since=None, message=True),
        messages=floor.messages.set(call.id, message),
    )


@_apply.register
def _(fact: f.TaskKept, floor: Floor) -> Floor:
    caller = floor.caller_of(fact.call)
    if caller is None or fact.call in floor.messages:
        raise IllegalTransition(f"call {fact.call} is not known, or has a task")
    return _task(floor, fact, caller, language=fact.language, about=fact.call)


@_apply.register
def _(fact: f.TaskOpened, floor: Floor) -> Floor:
    if fact.call in floor.messages:
        raise IllegalTransition(f"there is a task {fact.call}")
    return _task(floor, fact, fact.number, language=None, about=fact.about)


def _task(
    floor: Floor,
    fact: f.TaskKept | f.TaskOpened,
    caller: Personal,
    *,
    language: str | None,
    about: CallId | None,
) -> Floor:
    task = Message(
        call=fact.call,
        centre=fact.centre,
        queue=fact.queue,
        language=language,
        caller=caller,
        left_at=fact.at,
        due_at=fact.due_at,
        state=advance(MESSAGE, "message", fact.call, None, type(fact).__name__),
        state_since=fact.at,
        filed=True,
        subject=fact.subject,
        department=fact.department,
        note=fact.note,
        about=about,
    )
    return changed(floor, messages=floor.messages.set(fact.call, task))


@_apply.register
def _(fact: f.MessageEmpty, floor: Floor) -> Floor:
    if fact.call not in floor.messages:
        call = _call(floor, fact.call)
        return put_call(floor, changed(call, stage=_stage(call, fact), speaks_since=None))
    _message_state(floor.messages[fact.call], fact)
    return changed(floor, messages=floor.messages.delete(fact.call))


@_apply.register
def _(fact: f.MessageFiled, floor: Floor) -> Floor:
    message = _message(floor, fact.call)
    if message.filed:
        raise IllegalTransition(f"the message of call {fact.call} is filed already")
    measured = changed(
        message,
        state=_message_state(message, fact),
        filed=True,
        file=fact.file,
        seconds=fact.seconds,
        problem=worst(fact.findings, fact.problem),
    )
    return changed(floor, messages=floor.messages.set(fact.call, measured))


@_apply.register
def _(fact: f.MessageTaken, floor: Floor) -> Floor:
    message = _message(floor, fact.call)
    return _message_is(floor, message, fact, agent=fact.agent, result=None)


@_apply.register
def _(fact: f.MessageDone, floor: Floor) -> Floor:
    return _message_is(floor, _message(floor, fact.call), fact, result=fact.result)


@_apply.register
def _(fact: f.MessageUndone, floor: Floor) -> Floor:
    return _message_is(floor, _message(floor, fact.call), fact, result=fact.result)


def _message_is(floor: Floor, message: Message, fact: f.Fact, **changes: Any) -> Floor:
    state = _message_state(message, fact)
    after = changed(message, state=state, state_since=fact.at, **changes)
    return changed(floor, messages=floor.messages.set(message.call, after))


@_apply.register
def _(fact: f.MessageDropped, floor: Floor) -> Floor:
    _message_state(_message(floor, fact.call), fact)
    return changed(floor, messages=floor.messages.delete(fact.call))


# -- calls that are counted apart ------------------------------------------------------------------------------


def _side(floor: Floor, name: CallId) -> SideCall:
    side = floor.sides.get(name)
    if side is None:
        raise IllegalTransition(f"call {name} is not among those that are counted apart")
    return side


def _side_stage(side: SideCall, fact: f.Fact) -> SideStage:
    return advance(SIDE, "side call", side.id, side.stage, type(fact).__name__)


@_apply.register
def _(fact: f.SideCallBegan, floor: Floor) -> Floor:
    if fact.call in floor.sides or fact.call in floor.calls or fact.call in floor.ended:
        raise IllegalTransition(f"call {fact.call} has begun before")
    side = SideCall(
        id=fact.call,
        node=fact.node,
        centre=fact.centre,
        kind=fact.kind,
        other=fact.other,
        phone=fact.phone,
        agent=fact.agent if fact.holds_agent else None,
        began_at=fact.at,
        stage=advance(SIDE, "side call", fact.call, None, "SideCallBegan"),
        why=fact.why,
        beside=fact.beside,
        tape=Tape(seen=not floor.lagging),
    )
    floor = changed(floor, sides=floor.sides.set(side.id, side))
    if side.agent is None:
        return floor
    agent = _agent(floor, side.agent)
    return put_agent(
        floor,
        changed(
            agent,
            work=_work(agent, fact),
            side=side.id,
            state_since=fact.at,
            wrap_up_until=None,
            rest_until=None,
            talk_ended_at=None,
            at_work_for=fact.centre,
            last_queue=agent.last_queue or next(iter(agent.queues), None),
            last_call=None,
            relayed=False,
        ),
    )


@_apply.register
def _(fact: f.SideLegBegan, floor: Floor) -> Floor:
    side = _side(floor, fact.call)
    leg = (fact.channel, fact.phone)
    after = changed(side, stage=_side_stage(side, fact), legs=(*side.legs, leg))
    return changed(floor, sides=floor.sides.set(side.id, after))


@_apply.register
def _(fact: f.SideLegEnded, floor: Floor) -> Floor:
    side = floor.sides.get(fact.call)
    if side is None:
        if floor.leaving.get(fact.channel) != fact.call:
            raise IllegalTransition(f"call {fact.call} has no leg {fact.channel} that was to end")
        floor = changed(floor, leaving=floor.leaving.delete(fact.channel))
        expected = floor.expected[fact.call].also(False, fact.received, fact.before)
        further = fact.at - floor.ended.get(fact.call, fact.at)
        if expected.apart is not None and expected.apart.stays and further > LEAVES_S * SECOND:
            expected = expected.longer(further)
            ended, unfiled = floor.ended.set(fact.call, fact.at), floor.unfiled.set(fact.call, fact.at)
            floor = changed(floor, ended=ended, unfiled=unfiled)
        return changed(floor, expected=floor.expected.set(fact.call, expected))
    if all(leg != fact.channel for leg, _ in side.legs):
        raise IllegalTransition(f"call {side.id} has no leg {fact.channel}")
    after = changed(
        side,
        stage=_side_stage(side, fact),
        legs=tuple(leg for leg in side.legs if leg[0] != fact.channel),
        received=(side.received or 0) + max(0, fact.received - (fact.before or 0)),
        unsure=side.unsure or (fact.received > 0 and fact.before is None),
    )
    return changed(floor, sides=floor.sides.set(side.id, after))


@_apply.register
def _(fact: f.SideHangupAsked, floor: Floor) -> Floor:
    side = _side(floor, fact.call)
    after = changed(side, stage=_side_stage(side, fact), asked_to_end=fact.channel)
    return changed(floor, sides=floor.sides.set(side.id, after))


@_apply.register
def _(fact: f.SideCallConnected, floor: Floor) -> Floor:
    side = _side(floor, fact.call)
    after = changed(
        side,
        stage=_side_stage(side, fact),
        connected_at=fact.at,
        phone=fact.phone or side.phone,
        asked_to_end=None,
    )
    floor = changed(floor, sides=floor.sides.set(side.id, after))
    call = floor.calls.get(side.beside) if side.beside is not None else None
    if call is None or all(leg.side != side.id for leg in call.legs):
        return floor
    legs = tuple(changed(leg, asked=True) if leg.side == side.id else leg for leg in call.legs)
    return put_call(floor, changed(call, legs=legs))


@_apply.register
def _(fact: f.SideCallEnded, floor: Floor) -> Floor:
    side = _side(floor, fact.call)
    _side_stage(side, fact)
    if fact.agent != side.agent:
        raise IllegalTransition(f"call {side.id} is {side.agent}'s work, not {fact.agent}'s")
    # What went on to a FAX had no phone of ours and was not recorded; nor is what colleagues say to one another, nor,
    # if the centre wants it so, a consult.
    voice = side.phone is not None or side.why == FORWARDED
    recorded = side.connected_at is not None and voice and side.kind is not SideKind.COLLEAGUE
    centre = floor.centres.get(side.centre)
    if recorded and side.beside is not None:
        recorded = centre is None or centre.transfers.record_consult
    unreached = floor.unreached
    if (
        side.kind is SideKind.OUTGOING
        and side.connected_at is None
        and fact.outcome is not SideOutcome.REFUSED
    ):
        oldest = fact.at - AGAIN_S * SECOND
        kept = {name: other for name, other in unreached.items() if other.began_at > oldest}
        unreached = Map(kept).set(side.id, side)
    tape = _kept(_paused(side, fact.at), side.talk_since, fact.at)
    to_the_end = centre is None or centre.transfers.record_after is RecordAfter.END
    # Where nobody saw the end, nobody knows who was left there.
    stays = side.kind is SideKind.OUTGOING and side.beside is None and to_the_end and not fact.reconstructed
    expected = _of_side(side, fact, tape, stays=stays)
    floor = changed(
        floor,
        unreached=unreached,
        sides=floor.sides.delete(side.id),
        ended=floor.ended.set(side.id, fact.at),
        unfiled=floor.unfiled.set(side.id, fact.at) if recorded else floor.unfiled,
        expected=floor.expected.set(side.id, expected) if recorded else floor.expected,
        leaving=floor.leaving.update({leg: side.id for leg, _ in side.legs}) if recorded else floor.leaving,
        tapes=floor.tapes.set(side.id, tape) if tape.gaps else floor.tapes,
    )
    if side.agent is None:
        return floor
    agent = _agent(floor, side.agent)
    work = _work(agent, fact)
    until = fact.wrap_up_until
    return put_agent(
        floor,
        changed(
            agent,
            work=work if until is not None else Work.IDLE,
            side=agent.side if until is not None else None,
            state_since=fact.at,
            idle_since=fact.at,
            wrap_up_until=until,
            talk_ended_at=fact.at,
            at_work_for=agent.at_work_for if until is not None else None,
        ),
    )


def _of_side(side: SideCall, fact: f.SideCallEnded, tape: Tape, *, stays: bool) -> Expected:
    """What its recording should hold; legs whose end is told afterwards are added then."""
    silent = _silent(side, tape, fact.at)
    ours = side.kind is not SideKind.CONTACT
    rang = 0 if side.connected_at is None else max(0, side.connected_at - side.began_at)
    known = Expected(
        tape.kept - tape.gone,
        silent,
        tape.kept,
        side.received if ours else None,
        None if ours else side.received,
        Apart(ours, rang, side.unsure, stays),
        tape.whole and side.beside is None,  # what a consult went on as is cut out of it
    )
    return known if fact.received is None else known.also(True, fact.received, fact.before)


@_apply.register
def _(fact: f.AnswerPrepared, floor: Floor) -> Floor:
    answer = Answer(fact.call, fact.centre, fact.number, fact.text, fact.at, fact.until)
    return changed(floor, answers=floor.answers.set(fact.call, answer))


@_apply.register
def _(fact: f.AnswerDropped, floor: Floor) -> Floor:
    if fact.call not in floor.answers:
        raise IllegalTransition(f"no answer is kept for call {fact.call}")
    return changed(floor, answers=floor.answers.delete(fact.call))


@_apply.register
def _(fact: f.EmergencyNotCarried, floor: Floor) -> Floor:
    return floor


# -- offers --------------------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.OfferMade, floor: Floor) -> Floor:
    call, agent = _call(floor, fact.call), _agent(floor, fact.agent)
    if fact.offer in floor.offers:
        raise IllegalTransition(f"offer {fact.offer} is open already")
    together = fact.round or fact.offer
    if call.offer not in (None, together):
        raise IllegalTransition(f"offer {fact.offer} of round {together} meets the open round {call.offer}")
    begins = fact.at + _reserved_for(call.aside, fact.at)
    offer = Offer(
        id=fact.offer,
        call=fact.call,
        visit=fact.visit,
        agent=fact.agent,
        phone=fact.phone,
        made_at=fact.at,
        rings_until=Instant(begins + fact.ring_s * SECOND),
        overdue_at=Instant(begins + (fact.ring_s + OFFER_GRACE_S) * SECOND),
        stage=advance(OFFER, "offer", fact.offer, None, "OfferMade"),
        round=together,
        reasons=fact.reasons,
    )
    reserved = changed(
        agent,
        work=_work(agent, fact),
        offer=offer.id,
        state_since=fact.at,
        at_work_for=call.centre,
        last_queue=call.queue,
    )
    offered = changed(
        call,
        stage=_stage(call, fact),
        offer=together,
        ringing=(*call.ringing, offer.id),
        offers=call.offers + 1,
    )
    return put_call(
        put_agent(floor, reserved),
        offered,
        offers=floor.offers.set(offer.id, offer),
        offers_made=floor.offers_made + 1,
    )


def _open_offer(floor: Floor, name: OfferId) -> Offer:
    offer = floor.offers.get(name)
    if offer is None:
        raise IllegalTransition(f"offer {name} is not open")
    return offer


@_apply.register
def _(fact: f.OfferRang, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    offer = _open_offer(floor, fact.offer)
    agent = _agent(floor, offer.agent)
    ringing = changed(offer, stage=advance(OFFER, "offer", offer.id, offer.stage, "OfferRang"))
    return put_call(
        put_agent(floor, changed(agent, work=_work(agent, fact), state_since=fact.at)),
        changed(call, stage=_stage(call, fact), aside=None),
        offers=floor.offers.set(offer.id, ringing),
    )


@_apply.register
def _(fact: f.WithdrawalAsked, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    offer = _open_offer(floor, fact.offer)
    stage = advance(OFFER, "offer", offer.id, offer.stage, "WithdrawalAsked")
    return put_call(
        floor,
        changed(call, stage=_stage(call, fact)),
        offers=floor.offers.set(offer.id, changed(offer, stage=stage, withdrawn=True)),
    )


@_apply.register
def _(fact: f.OfferFailed, floor: Floor) -> Floor:
    call, agent = _call(floor, fact.call), _agent(floor, fact.agent)
    _open_offer(floor, fact.offer)
    over = _stage(call, fact)
    left = tuple(name for name in call.ringing if name != fact.offer)
    own_doing = fact.result in OWN_DOING
    missed = changed(
        agent,
        work=_work(agent, fact),
        offer=None,
        state_since=fact.at,
        idle_since=fact.at if own_doing else agent.idle_since,
        rest_until=fact.rest_until,
        misses=agent.misses + own_doing,
        at_work_for=None,
    )
    return put_call(
        put_agent(floor, missed),
        # The call is offered as long as another phone rings.
        changed(
            call,
            stage=call.stage if left else over,
            offer=call.offer if left else None,
            ringing=left,
        ),
        offers=floor.offers.delete(fact.offer),
    )


# -- agents and phones ---------------------------------------------------------------------------------------


@_apply.register
def _(fact: f.AgentSignedIn, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.presence is not Presence.SIGNED_OUT or fact.phone in floor.seated:
        raise IllegalTransition(f"agent {agent.id} cannot sign in at {fact.phone}")
    return put_agent(
        floor,
        changed(
            _fresh(floor, agent),
            presence=Presence.READY,
            phone=fact.phone,
            signed_in_at=fact.at,
            state_since=fact.at,
            idle_since=fact.at,
            wrong_pins=0,
            locked_until=None,
        ),
        seated=floor.seated.set(fact.phone, agent.id),
    )


def _fresh(floor: Floor, agent: AgentState) -> AgentState:
    """The agent as the files know him, with nothing of the day but wrong PINs, and a talk of others that he is at."""
    return AgentState(
        agent.id,
        agent.name,
        agent.centre,
        agent.queues,
        agent.seat,
        filed_skills(floor, agent),
        agent.rank,
        wrong_pins=agent.wrong_pins,
        locked_until=agent.locked_until,
        watch=agent.watch,
    )


def filed_skills(floor: Floor, agent: AgentState) -> tuple[tuple[str, int], ...]:
    """As the files say; who is in them no more keeps what is known."""
    centre = floor.centres.get(agent.centre)
    specs = centre.agents if centre is not None else ()
    return next((spec.skills for spec in specs if spec.id == agent.id), agent.skills)


@_apply.register
def _(fact: f.PinRefused, floor: Floor) -> Floor:
    return put_agent(floor, changed(_agent(floor, fact.agent), wrong_pins=fact.tries, locked_until=None))


@_apply.register
def _(fact: f.AgentLocked, floor: Floor) -> Floor:
    return put_agent(floor, changed(_agent(floor, fact.agent), wrong_pins=0, locked_until=fact.until))


@_apply.register
def _(fact: f.AgentUnlocked, floor: Floor) -> Floor:
    return put_agent(floor, changed(_agent(floor, fact.agent), wrong_pins=0, locked_until=None))


@_apply.register
def _(fact: f.AgentSignedOut, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.phone is None or agent.work not in (Work.IDLE, Work.WRAPPING_UP):
        raise IllegalTransition(f"agent {agent.id} cannot sign out while {agent.work.value}")
    return put_agent(
        floor, changed(_fresh(floor, agent), state_since=fact.at), seated=floor.seated.delete(agent.phone)
    )


@_apply.register
def _(fact: f.AgentPaused, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.presence is Presence.SIGNED_OUT:
        raise IllegalTransition(f"agent {agent.id} is signed out and cannot pause")
    return put_agent(
        floor,
        changed(
            agent,
            presence=Presence.PAUSED,
            pause=fact.reason,
            paused_at=fact.at,
            pause_longest_s=fact.longest_s,
            pause_overran=False,
            state_since=fact.at if agent.work is Work.IDLE else agent.state_since,
        ),
    )


@_apply.register
def _(fact: f.AgentResumed, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.presence is not Presence.PAUSED:
        raise IllegalTransition(f"agent {agent.id} is not paused")
    idle = agent.work is Work.IDLE
    return put_agent(
        floor,
        changed(
            agent,
            presence=Presence.READY,
            pause=None,
            paused_at=None,
            pause_longest_s=None,
            pause_overran=False,
            misses=0,
            state_since=fact.at if idle else agent.state_since,
            idle_since=fact.at if idle else agent.idle_since,
        ),
    )


@_apply.register
def _(fact: f.WrapUpEnded, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    return put_agent(
        floor,
        changed(
            agent,
            work=_work(agent, fact),
            wrap_up_until=None,
            state_since=fact.at,
            idle_since=fact.at,
            at_work_for=None,
            side=None,
            last_call=None,
        ),
    )


@_apply.register
def _(fact: f.PauseOverran, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.presence is not Presence.PAUSED:
        raise IllegalTransition(f"agent {agent.id} is not paused")
    return put_agent(floor, changed(agent, pause_overran=True))


@_apply.register
def _(fact: f.ResultKeyed, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.last_call != fact.call:
        raise IllegalTransition(f"agent {agent.id} has {agent.last_call} in hand, not {fact.call}")
    return put_agent(floor, changed(agent, result=fact.result))


@_apply.register
def _(fact: f.CallNoted, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    if agent.last_call != fact.call:
        raise IllegalTransition(f"agent {agent.id} has {agent.last_call} in hand, not {fact.call}")
    return floor


@_apply.register
def _(fact: f.HelpAsked, floor: Floor) -> Floor:
    return put_call(floor, changed(_call(floor, fact.call), help_since=fact.at, help_by=None))


@_apply.register
def _(fact: f.HelpAnswered, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if call.help_since is None:
        raise IllegalTransition(f"call {call.id}: nobody asks for help")
    return put_call(floor, changed(call, help_by=fact.by))


@_apply.register
def _(fact: f.HelpEnded, floor: Floor) -> Floor:
    return put_call(floor, changed(_call(floor, fact.call), help_since=None, help_by=None))


@_apply.register
def _(fact: f.CallMarked, floor: Floor) -> Floor:
    call = _call(floor, fact.call)
    if fact.mark is Mark.ABUSE:
        return put_call(floor, changed(call, abuse=fact.on))
    return put_call(floor, changed(call, relay=fact.on))


@_apply.register
def _(fact: f.RecordingMarked, floor: Floor) -> Floor:
    return floor


@_apply.register
def _(fact: f.RecordingPaused, floor: Floor) -> Floor:
    return _put_talk(
        floor,
        changed(
            _talk(floor, fact.call),
            unrecorded_since=fact.at,
            unrecorded_until=fact.until,
            unrecorded_gap=fact.gap,
        ),
    )


@_apply.register
def _(fact: f.RecordingResumed, floor: Floor) -> Floor:
    talk = _talk(floor, fact.call)
    tape = _paused(talk, fact.at)
    since = fact.at if talk.unrecorded_since is None else talk.unrecorded_since
    paused = talk.paused + max(0, fact.at - since)
    return _put_talk(
        floor,
        changed(
            talk,
            unrecorded_since=None,
            unrecorded_until=None,
            unrecorded_gap=False,
            paused=paused,
            tape=tape,
        ),
    )


def _talk(floor: Floor, name: CallId) -> Call | SideCall:
    return floor.sides.get(name) or _call(floor, name)


def _put_talk(floor: Floor, talk: Call | SideCall) -> Floor:
    if isinstance(talk, SideCall):
        return changed(floor, sides=floor.sides.set(talk.id, talk))
    return put_call(floor, talk)


@_apply.register
def _(fact: f.WrapUpExtended, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    return put_agent(floor, changed(agent, work=_work(agent, fact), wrap_up_until=fact.until))


@_apply.register
def _(fact: f.RestEnded, floor: Floor) -> Floor:
    return put_agent(floor, changed(_agent(floor, fact.agent), rest_until=None))


@_apply.register
def _(fact: f.DeviceChanged, floor: Floor) -> Floor:
    return put_device(floor, fact.phone, fact.device, fact.at)


@_apply.register
def _(fact: f.PhoneMatched, floor: Floor) -> Floor:
    return _registered(floor, fact, Policy.MATCHED)


@_apply.register
def _(fact: f.PhoneRefused, floor: Floor) -> Floor:
    return _registered(floor, fact, fact.reason)


@_apply.register
def _(fact: f.PhoneLeft, floor: Floor) -> Floor:
    known = floor.registered.get(fact.phone) or PhoneState(Policy.ABSENT, fact.at, "", "")
    left = changed(known, policy=Policy.ABSENT, since=fact.at)
    return put_registered(floor, fact.phone, left)


@_apply.register
def _(fact: f.PhoneAttemptRefused, floor: Floor) -> Floor:
    return floor


def _registered(floor: Floor, fact: f.PhoneMatched | f.PhoneRefused, policy: Policy) -> Floor:
    state = PhoneState(policy, fact.at, fact.user_agent, fact.address, fact.contact)
    return put_registered(floor, fact.phone, state)


# -- supervisors ---------------------------------------------------------------------------------------------


def _watch(floor: Floor, name: ChannelId) -> Watch:
    watch = floor.watches.get(name)
    if watch is None:
        raise IllegalTransition(f"no supervisor's phone is known as {name}")
    return watch


@_apply.register
def _(fact: f.WatchBegan, floor: Floor) -> Floor:
    watcher = _agent(floor, fact.watcher)
    if fact.watch in floor.watches or watcher.watch is not None:
        raise IllegalTransition(f"agent {watcher.id} is at a talk already: {watcher.watch}")
    watch = Watch(
        id=fact.watch,
        node=fact.node,
        call=fact.call,
        agent=fact.agent,
        leg=fact.leg,
        watcher=fact.watcher,
        phone=fact.phone,
        mode=fact.mode,
        by=fact.by,
        began_at=fact.at,
    )
    return put_agent(
        floor,
        changed(watcher, watch=watch.id),
        watches=floor.watches.set(watch.id, watch),
        watches_made=floor.watches_made + 1,
    )


@_apply.register
def _(fact: f.WatchHeard, floor: Floor) -> Floor:
    watch = _watch(floor, fact.watch)
    return changed(floor, watches=floor.watches.set(watch.id, changed(watch, heard=True)))


@_apply.register
def _(fact: f.WatchTurned, floor: Floor) -> Floor:
    watch = _watch(floor, fact.watch)
    return changed(floor, watches=floor.watches.set(watch.id, changed(watch, mode=fact.mode)))


@_apply.register
def _(fact: f.WatchEnded, floor: Floor) -> Floor:
    watch = _watch(floor, fact.watch)
    floor = changed(floor, watches=floor.watches.delete(watch.id))
    watcher = floor.agents.get(watch.watcher)
    return floor if watcher is None else put_agent(floor, changed(watcher, watch=None))


@_apply.register
def _(fact: f.SkillsSet, floor: Floor) -> Floor:
    agent = _agent(floor, fact.agent)
    return put_agent(floor, changed(agent, skills=fact.skills, skills_by_hand=fact.by_hand))


@_apply.register
def _(fact: f.ThresholdsSet, floor: Floor) -> Floor:
    if fact.centre not in floor.centres:
        raise IllegalTransition(f"centre {fact.centre} is not known")
    if fact.waiting is None and fact.wait_s is None:
        known = fact.centre in floor.thresholds
        return changed(floor, thresholds=floor.thresholds.delete(fact.centre)) if known else floor
    return changed(floor, thresholds=floor.thresholds.set(fact.centre, Thresholds(fact.waiting, fact.wait_s)))
