"""Holding the floor against what Asterisk says it holds.

Two uses of one rule book:
- after a login (`first`): events may have been missed. What happened meanwhile is taken from the CEL traces, marked
  as reconstructed; what they do not tell stays unknown. Callers who fell into the safety net are taken back in the
  order in which they entered; one whose member already rings is left to be answered.
- now and then while linked: the snapshot is judged a while after it was taken, and only against states that were
  already old then, so that an event in flight is never taken for a lost one. What is mended is told as `Healed`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from callcore.domain import closing, hold, listing, messages, pausing
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.admission import NORMAL_CLEARING, who_hung_up
from callcore.domain.call import Call, Leg
from callcore.domain.ids import CallId, ChannelId, DepartmentId, Instant, PhoneId, after, seconds
from callcore.domain.stages import OfferStage, Party, Presence, SideKind, SideOutcome, Stage
from callcore.domain.transfer import (
    consulted_for,
    put_through,
    stop_recording,
    transfer_begins,
    transfer_ends,
)
from callcore.domain.turn import (
    Turn,
    admit,
    arrive,
    callback_dialled,
    callback_reached,
    device_is,
    forwarded,
    give_up,
    menu_answered,
    side_begins,
    side_ends,
    sign_out_strangers,
)

SETTLED_S = 2.0
"""Seconds by which a state must precede a snapshot to be held against it. Events were at most 6 ms late in 82,800;
2 s is far beyond that and short against the 10 s between snapshots."""

LATE_S = 0.1
"""Seconds by which what AMI told of a moment may be later than what CEL has of it."""

OVERDUE_S = 5.0
"""Seconds after its time at which a state that a timer should have ended is ended by the next look. Timers were
at most tens of milliseconds late; a machine that hardly runs for some seconds shall not be called a fault."""

NO_CHANNEL = ChannelId("")
"""Of a leg that is over and whose channel CEL does not tell."""

NOT_KNOWN = 0
"""No Q.850 cause: nobody told why the leg ended. Not a normal end, so that the call counts as cut off."""

PAST_LONGEST_WAIT_S = 30
"""Seconds after the queue's longest wait at which the dialplan's waiting line lets a caller go (`CALLCORE_LIMIT_…`)."""

HOLD, NET, OFFER = "callcore-hold", "callcore-net", "callcore-offer"
COMFORT = "callcore-comfort"
OVERFLOW = "callcore-overflow"


def reconcile(turn: Turn, seen: i.Snapshot) -> None:
    # A list that was made while channels moved may name one twice: what it said last is so.
    seen = replace(seen, channels=tuple({c.id: c for c in seen.channels}.values()))
    before = len(turn.facts)
    old = Instant(seen.at if seen.first else seen.at - seconds(SETTLED_S))
    traces = {t.call: t for t in seen.traces}
    over = {ChannelId(t.call) for t in seen.traces if t.ended is not None}
    present = {c.id: c for c in seen.channels if c.id not in over}  # gone since the list was made
    for phone, device in seen.devices:
        if phone in turn.floor.phones and turn.floor.phones[phone] is not device and seen.first:
            device_is(turn, phone, device, seen.at)
    if seen.first:
        _holds(turn, seen, present, traces)
    for name in sorted(turn.floor.calls, key=lambda n: (turn.floor.calls[n].arrived_at, n)):
        call = turn.floor.calls[name]
        if call.node == seen.node and call.channel not in present and call.arrived_at <= old:
            _gone(turn, call, traces.get(name), seen)
    for trace in sorted(seen.traces, key=lambda t: (t.arrived, t.call)):
        unknown = trace.call not in turn.floor.calls and trace.call not in turn.floor.ended
        # Without an end it went with Asterisk itself; or it came just now, and its event is on the way.
        ended = trace.ended is not None or trace.arrived <= seen.at - seconds(SETTLED_S)
        if unknown and ChannelId(trace.call) not in present and ended:
            _lived_unseen(turn, trace, seen)
    _sides(turn, seen, present, old)
    for watch in sorted(turn.floor.watches.values(), key=lambda w: w.id):
        if watch.node == seen.node and watch.id not in present and watch.began_at <= old:
            at = max(turn.floor.watched_until, watch.began_at) if seen.first else seen.at
            turn.end_watch(watch.id, at, "チャネルがない / its channel is not there")
    for channel in sorted(seen.channels, key=lambda c: (c.created, c.id)):
        if channel.call == CallId(channel.id) and channel.id in present and channel.created <= old:
            _still_here(turn, channel, seen, old, traces.get(CallId(channel.id)))
    if seen.first:
        _consults(turn, seen)
    _phones_gone(turn, present, old, seen)
    if not seen.first:
        _overdue(turn, seen.at)
    if seen.first:
        turn.tell(f.LinkGained(at=seen.at, node=seen.node))
        for name in sorted(turn.floor.calls):
            turn.watch_wait(name)
            _name_queue(turn, turn.floor.calls[name])
            _mark_hold(turn, turn.floor.calls[name], seen, present)
    elif len(turn.facts) > before:
        told = ", ".join(type(fact).__name__ for fact in turn.facts[before:])
        turn.tell(f.Healed(at=seen.at, what=f"snapshot: {told}"))
    sign_out_strangers(turn, seen.at)
    _mirror(turn, seen)
    _reclaim(turn, seen)


def _holds(
    turn: Turn,
    seen: i.Snapshot,
    present: Mapping[ChannelId, i.ChannelSeen],
    traces: Mapping[CallId, i.CallTraced],
) -> None:
    """What the phones held and gave back meanwhile nobody told. Of a talk that goes on the phone's channel says it, of
    one that is over CEL. Where neither does, a call that the same phone has beside the talk says that the caller is
    held; else the hold ends when it was last seen, and its length is not known. Who is held now as before was held all
    the time, as far as anybody can tell."""
    for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
        if call.node != seen.node or call.stage is not Stage.TALKING or call.held_since is None:
            continue
        trace = traces.get(call.id)
        parted = trace.talk_ended if trace is not None else None
        leg = call.leg(call.talking_leg) if call.talking_leg is not None else None
        told = trace.put_down_held if trace is not None and parted is not None else _held_now(leg, present)
        held = (
            told
            if told is not None
            else any(
                leg is not None and c.id != leg.channel and c.phone is not None and c.phone == leg.phone
                for c in present.values()
            )
            or any(
                side.beside == call.id
                and (side.ended is None or (parted is not None and parted <= side.ended))
                for side in seen.sides
            )
        )
        last = max(turn.floor.watched_until, call.held_since)
        if not held:
            turn.tell(f.CallResumed(at=last, call=call.id, agent=call.talking_with, reconstructed=True))


def _held_now(leg: Leg | None, present: Mapping[ChannelId, i.ChannelSeen]) -> bool | None:
    """By the phone's own channel; None: not known."""
    own = present.get(leg.channel) if leg is not None else None
    return own.held if own is not None else None


def _mark_hold(turn: Turn, call: Call, seen: i.Snapshot, present: Mapping[ChannelId, i.ChannelSeen]) -> None:
    """Of a talk that was found, too: the mark may be of who held the caller before. A hold that began unseen began, at
    the latest, as the consult did that is open beside it; without one it is known from now on."""
    if call.node != seen.node or call.stage is not Stage.TALKING:
        return
    held = _held_now(call.leg(call.talking_leg) if call.talking_leg is not None else None, present)
    if held and call.held_since is None:
        asked = [s.began for s in seen.sides if s.beside == call.id and s.ended is None]
        begun = [at for at in asked if call.talk_since is not None and at >= call.talk_since]
        hold.begins(turn, call, min(begun, default=seen.at), reconstructed=True)
        call = turn.floor.calls[call.id]
    turn.want(e.MarkHeld(call.id, call.channel_name, True if call.held_since is not None else held))


def _sides(turn: Turn, seen: i.Snapshot, present: Mapping[ChannelId, i.ChannelSeen], old: Instant) -> None:
    """Calls that are no arrivals: those that nobody saw are told from CEL, and those that are gone are over."""
    for trace in sorted(seen.sides, key=lambda t: (t.began, t.call)):
        if (
            trace.ended is None
            and ChannelId(trace.call) not in present
            and trace.call not in turn.floor.sides
        ):
            continue  # it went with Asterisk, or came just now and is on its way
        told = i.SideCallTold(
            at=trace.began,
            node=seen.node,
            call=trace.call,
            centre=trace.centre,
            kind=trace.kind,
            phone=trace.phone,
            number=trace.number,
            other=trace.other,
            why=trace.why,
            refused=trace.refused,
            beside=trace.beside,
        )
        if trace.call not in turn.floor.sides:
            side_begins(turn, told, over=trace.ended is not None, reconstructed=True)
        callback_dialled(turn, trace.call, trace.began, reconstructed=True)
        side = turn.floor.sides.get(trace.call)
        if side is not None and side.connected_at is None and trace.connected is not None:
            # A colleague who was asked is the far end: the call is whose phone began it.
            phone = trace.with_phone if side.kind is SideKind.CONTACT else None
            who = turn.floor.seated.get(phone) if phone is not None else None
            turn.tell(
                f.SideCallConnected(
                    at=trace.connected,
                    call=side.id,
                    phone=phone,
                    agent=who,
                    reconstructed=True,
                )
            )
            callback_reached(turn, side, trace.connected, reconstructed=True)
            side = turn.floor.sides[trace.call]
        if side is not None and trace.ended is not None:
            outcome = trace.outcome or SideOutcome.NO_ANSWER
            side_ends(turn, side, trace.ended, outcome, trace.hung_up_by, reconstructed=True)
    for side in sorted(turn.floor.sides.values(), key=lambda s: (s.began_at, s.id)):
        if side.node != seen.node or side.channel in present or side.began_at > old:
            continue
        at = max(turn.floor.watched_until, side.began_at) if seen.first else seen.at
        side_ends(turn, side, at, SideOutcome.NO_ANSWER, Party.UNKNOWN, reconstructed=True)
    for side in sorted(turn.floor.sides.values(), key=lambda s: (s.began_at, s.id)):
        if side.node == seen.node and side.channel in present:
            pausing.seen(turn, side, present[side.channel], seen, old)
    if seen.first:
        pausing.seen_over(turn, present)


def _consults(turn: Turn, seen: i.Snapshot) -> None:
    """Consults that began or were answered unseen and go on: a transfer to their far ends would go unnoticed, else."""
    for side in sorted(turn.floor.sides.values(), key=lambda s: (s.began_at, s.id)):
        rings = (c for c in seen.channels if c.linked == side.channel != c.id and c.bridge is None)
        far = next(iter((*_with(seen, side.channel), *rings)), None)
        if side.beside is None or side.beside not in turn.floor.calls or far is None:
            continue
        if turn.floor.side_of(far.id) is None:
            turn.tell(
                f.SideLegBegan(at=seen.at, call=side.id, channel=far.id, phone=far.phone, reconstructed=True)
            )
        told = i.SideDialBegan(at=seen.at, call=side.id, channel=far.id, phone=far.phone)
        consulted_for(turn, side, told, reconstructed=True)
        if far.bridge is not None:
            _is_in(turn, side.beside, far.id, far.bridge, seen.at)


def _name_queue(turn: Turn, call: Call) -> None:
    """Tell the channel of a caller who was moved the queue once more: the first time may not have come through."""
    if call.visit is not None and any(queue != call.queue for queue in call.been):
        turn.want(e.MoveCaller(call.id, call.channel_name, call.queue))


def _overdue(turn: Turn, at: Instant) -> None:
    """States whose time was over a good while ago: the timer was lost. Told again, as if it had fired."""
    bound = Instant(at - seconds(OVERDUE_S))
    for agent in sorted(turn.floor.agents.values(), key=lambda a: a.id):
        if agent.wrap_up_until is not None and agent.wrap_up_until <= bound:
            turn.tell(f.WrapUpEnded(at=at, agent=agent.id))
        if agent.rest_until is not None and agent.rest_until <= bound:
            turn.tell(f.RestEnded(at=at, agent=agent.id))
    closing.end_overdue(turn, at, bound)
    listing.end_overdue(turn, at, bound)
    for offer in sorted(turn.floor.offers.values(), key=lambda o: o.id):
        if offer.overdue_at <= bound:
            turn.fail_offer(
                offer.id, at, OfferStage.WITHDRAWN, "終わりの知らせがない / its end was never told"
            )
    for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
        looked_at = call.may_be_offered or call.aside is not None
        due = turn.floor.wait_due(call, at) if looked_at else None
        if due is not None and due <= bound:
            turn.waited(call, at)


def _gone(turn: Turn, call: Call, trace: i.CallTraced | None, seen: i.Snapshot) -> None:
    """A call on the floor whose channel does not exist any more."""
    if trace is not None:
        _retrace(turn, call.id, trace, seen)
    _over(turn, call.id, trace, seen)


def _over(turn: Turn, name: CallId, trace: i.CallTraced | None, seen: i.Snapshot) -> None:
    """End a call whose channel is gone, as CEL tells it.

    Where CEL tells no end, Asterisk itself went down with the call: a fault, at the last moment that we know of.
    """
    call = turn.floor.calls[name]
    if trace is not None and trace.ended is not None:
        turn.end_call(call, trace.ended, trace.hung_up_by, reconstructed=True)
        return
    by = who_hung_up(call)
    if by is not Party.SYSTEM or not seen.first:
        at = seen.at
    else:
        last = trace.last if trace is not None else None
        at = max(turn.floor.watched_until, call.arrived_at, last or call.arrived_at)
        if call.stage is Stage.TALKING and call.talking_leg is not None:
            turn.tell(
                f.LegEnded(at=at, call=name, channel=call.talking_leg, cause=NOT_KNOWN, reconstructed=True)
            )
    turn.end_call(turn.floor.calls[name], at, Party.UNKNOWN if by is Party.SYSTEM else by, reconstructed=True)


def _lived_unseen(turn: Turn, trace: i.CallTraced, seen: i.Snapshot) -> None:
    """A call that came and went while nobody watched."""
    arrived = i.ChannelArrived(
        at=trace.arrived,
        node=seen.node,
        channel=ChannelId(trace.call),
        name=trace.name,
        number=trace.number,
        caller=trace.caller,
        test=trace.test,
    )
    if arrive(turn, arrived, reconstructed=True) is None:
        return
    _retrace(turn, trace.call, trace, seen)
    _over(turn, trace.call, trace, seen)


def _retrace(
    turn: Turn,
    name: CallId,
    trace: i.CallTraced,
    seen: i.Snapshot,
    caller: i.ChannelSeen | None = None,
    beside: _Beside = (),
) -> None:
    """Write down, in their order, the steps of a call that CEL tells and the floor does not know yet.

    `beside`: the phones that are in the caller's bridge now; the one that answered is taken on with its channel.
    """
    call = turn.floor.calls[name]
    back = _came_back(call, trace)
    if back is not None:
        ways = [way for talk in trace.earlier for way in (*talk.passed, talk.moved)]
        for way in (*ways, *trace.passed, trace.returned):
            if way is not None and way.ended <= back:
                _moved_and_back(turn, turn.floor.calls[name], way, seen)
        transfer_ends(turn, turn.floor.calls[name], call.channel, back, reconstructed=True)
        told = [shut for talk in trace.earlier for shut in talk.shut]
        _sent_to_closed(turn, name, [shut for shut in (*told, *trace.shut) if shut.at <= back])
        turn.begin_visit(turn.floor.calls[name], back, reconstructed=True)
    call = turn.floor.calls[name]
    if call.stage is Stage.ARRIVED and trace.open is not None:
        admit(
            turn,
            call,
            trace.arrived,
            trace.open,
            "cel",
            emergency=trace.emergency,
            blocked=trace.blocked,
            reconstructed=True,
        )
    call = turn.floor.calls[name]
    if trace.insisted is not None:
        listing.let_through(turn, call, trace.insisted, reconstructed=True)
    # The last key was told, maybe after the moment that is known to be watched.
    known = turn.floor.watched_until
    if call.keyed_at is not None:
        known = max(known, after(call.keyed_at, seconds(LATE_S)))
    for keyed in trace.menus:
        call = turn.floor.calls[name]
        if (call.stage is Stage.ANNOUNCED or call.in_menu) and keyed.at > known:
            menu_answered(turn, call, keyed, reconstructed=True)
    call = turn.floor.calls[name]
    out = trace.forwarded
    unknown = out is not None and call.forward is None and out.channel not in turn.floor.channels
    if out is not None and unknown and (call.stage is Stage.ANNOUNCED or call.in_menu):
        forwarded(turn, call, out, reconstructed=True)
        call = turn.floor.calls[name]
    there, gone = call.forward, trace.forward_ended
    if out is not None and gone is not None and there is not None and there.channel == out.channel:
        if not there.ended:
            turn.tell(
                f.LegEnded(at=gone, call=name, channel=there.channel, cause=NOT_KNOWN, reconstructed=True)
            )
        call = turn.floor.calls[name]
    aside = call.aside
    back = trace.held if caller is None else None  # else the channel itself says where it is now
    if aside is not None and back is not None and back > max(aside.since, turn.floor.watched_until):
        turn.fail_round(call, back, OfferStage.WITHDRAWN, _UNWATCHED, reconstructed=True)
        turn.rejoin(turn.floor.calls[name], back, "待ちに戻った / came back", reconstructed=True)
    call = turn.floor.calls[name]
    if (
        call.stage in (Stage.ARRIVED, Stage.ANNOUNCED)
        and trace.entered is not None
        and call.refused_as is None
    ):
        turn.begin_visit(call, trace.entered, reconstructed=True, notice=trace.notice)
    call = turn.floor.calls[name]
    if (
        trace.net is not None
        and caller is None  # else the channel itself says whether it is in the net now
        and call.stage in (Stage.WAITING, Stage.OFFERED)
        and not call.in_net
        and call.visit is not None
        and call.visit.entered_at <= trace.net
        and (trace.answered is None or trace.net <= trace.answered)
    ):
        turn.fail_round(call, trace.net, OfferStage.WITHDRAWN, _UNWATCHED, reconstructed=True)
        turn.tell(f.NetEntered(at=trace.net, call=name, reconstructed=True))
    for talk in trace.earlier:
        _relive(turn, turn.floor.calls[name], talk, seen)
    call = turn.floor.calls[name]
    answered = _unseen_answer(call, trace)
    if answered is not None:
        if trace.entered is None and call.entered_at is None:
            turn.begin_visit(call, answered, reconstructed=True)
            call = turn.floor.calls[name]
        phone = next((c for c in beside if c.phone == trace.phone and _ours(turn, call, c)), None)
        far = _far_leg(turn, call, NO_CHANNEL, answered, seen) if call.stage is Stage.PARTED else None
        if phone is not None and caller is not None and trace.talk_ended is None:
            leg = _together(turn, call, caller, phone, answered)
            leg = leg if far is None else replace(leg, side=far.side)
        elif far is not None and far.phone == trace.phone:
            leg = far if trace.talk_ended is not None else _colleague(turn, call, far, seen, answered)
        else:
            leg = _leg(turn, call, ChannelId(""), trace.phone, offered=not call.in_net)
        turn.answer(turn.floor.calls[name], answered, leg, reconstructed=True)
    call = turn.floor.calls[name]
    unseen = (
        trace.talk_ended is not None
        and call.stage is Stage.TALKING
        and call.talk_since is not None
        and call.talk_since <= trace.talk_ended  # else it tells of an earlier talk
    )
    if unseen and trace.talk_ended is not None:
        if trace.put_down_held and call.held_since is None:  # for how long is not known
            turn.tell(f.CallHeld(at=trace.talk_ended, call=name, agent=call.talking_with, reconstructed=True))
        turn.end_talk(turn.floor.calls[name], trace.talk_ended, reconstructed=True)
    moved = False
    for way in (*trace.passed, trace.returned):
        moved |= _moved_and_back(turn, turn.floor.calls[name], way, seen)
    if trace.back is not None and (unseen or moved):
        _sent_to_closed(turn, name, trace.shut)
        turn.begin_visit(turn.floor.calls[name], trace.back, reconstructed=True)
    elif unseen and trace.talk_ended is not None and trace.put_down is not None and call.asked_to_end is None:
        # The caller's own Hangup, which tells nobody's name, is yet to come.
        turn.tell(f.HangupAsked(at=trace.talk_ended, call=name, channel=trace.put_down, reconstructed=True))
    if trace.moved is not None and trace.back is None:
        _transferred(turn, turn.floor.calls[name], trace, seen)
    call = turn.floor.calls[name]
    if (
        trace.callback is not None
        and trace.callback > turn.floor.watched_until
        and call.stage in (Stage.ANNOUNCED, Stage.WAITING)
        and call.refused_as is None
        and not call.callback
        and not call.message
    ):
        turn.ask_back(call, trace.callback, reconstructed=True)
    for said in trace.messages:
        if said.at > turn.floor.watched_until:
            messages.told_of(turn, said, reconstructed=True)
    call = turn.floor.calls[name]
    if call.stage is Stage.WAITING and call.given_up_as is None:
        if trace.apology is not None:
            give_up(turn, call, trace.apology, reconstructed=True)
        elif trace.overflow is not None:
            give_up(turn, call, *trace.overflow, reconstructed=True)


def _came_back(call: Call, trace: i.CallTraced) -> Instant | None:
    """When the caller whom an agent had left, or who was with a department, stood on the waiting line again."""
    transfer = call.transfer if call.stage is Stage.TRANSFERRED else None
    since = transfer.since if transfer is not None else call.parted_at
    if since is None or call.stage not in (Stage.PARTED, Stage.TRANSFERRED):
        return None
    backs = (*(talk.back for talk in trace.earlier), trace.back, trace.held)
    return min((at for at in backs if at is not None and at > since), default=None)


def _transferred(turn: Turn, call: Call, trace: i.CallTraced, seen: i.Snapshot) -> None:
    """CEL tells that the caller was put through to somebody outside after the last talk."""
    assert trace.moved is not None
    if call.stage is Stage.PARTED and call.transfer is None:
        if trace.sent_to is not None:
            turn.recorded_again(call)
            call = turn.floor.calls[call.id]
        far = _outside(seen, call.channel)
        there = far.id if far is not None else NO_CHANNEL
        leg = _far_leg(turn, call, trace.moved_to or there, trace.moved, seen, trace.sent_to)
        if leg.phone is not None and trace.moved_ended is None:
            leg = _colleague(turn, call, leg, seen, trace.moved)
        elif far is not None and leg.channel == far.id:
            _take_on_far(turn, call, leg, far, trace.moved)
        if leg.phone is None:
            put_through(turn, turn.floor.calls[call.id], trace.moved, leg, reconstructed=True)
        else:
            turn.answer(call, trace.moved, leg, reconstructed=True)
        call = turn.floor.calls[call.id]
        if trace.moved_ended is not None and call.stage is Stage.TALKING:
            turn.end_talk(call, trace.moved_ended, reconstructed=True)
            call = turn.floor.calls[call.id]
    if trace.moved_ended is not None and call.stage is Stage.TRANSFERRED:
        turn.end_transfer(call, trace.moved_ended, reconstructed=True)


def _moved_and_back(turn: Turn, call: Call, moved: i.MovedTraced | None, seen: i.Snapshot) -> bool:
    """CEL tells that the caller was put through after a talk, to a department or a colleague, and was not with them any
    more. False: it is known, or not so."""
    if moved is None:
        return False
    if call.stage is Stage.TALKING and call.talk_since is not None:
        # The colleague's talk; its beginning was watched.
        known = moved.since - seconds(LATE_S) <= call.talk_since <= moved.ended
        if known:
            turn.end_talk(call, moved.ended, reconstructed=True)
        return known
    if call.stage is not Stage.PARTED or call.transfer is not None:
        return False
    if call.parted_at is not None and call.parted_at > moved.ended:
        return False  # it tells of what was before the last talk
    leg = _far_leg(turn, call, moved.channel or NO_CHANNEL, moved.since, seen, moved.sent_to)
    if leg.phone is not None:
        if call.parted_at is not None and call.parted_at > moved.since + seconds(LATE_S):
            return False  # the colleague's talk is the one that is over
        turn.answer(call, moved.since, leg, reconstructed=True)
        turn.end_talk(turn.floor.calls[call.id], moved.ended, reconstructed=True)
        return True
    if moved.sent_to is not None:
        turn.recorded_again(call)
    turn.tell(
        f.CallTransferred(
            at=moved.since,
            call=call.id,
            agent=call.parted_from,
            department=leg.department,
            channel=leg.channel,
            blind=not leg.asked,
            side=leg.side,
            reconstructed=True,
        )
    )
    turn.end_transfer(turn.floor.calls[call.id], moved.ended, reconstructed=True)
    return True


def _sent_to_closed(turn: Turn, name: CallId, shut: Sequence[i.TransferTold]) -> None:
    """Departments, closed, that the caller was sent to unasked meanwhile, before the way back to the line."""
    for told in shut:
        if turn.floor.calls[name].stage is Stage.PARTED and told.at > turn.floor.watched_until:
            transfer_begins(turn, turn.floor.calls[name], told, reconstructed=True)


def _with(seen: i.Snapshot, caller: ChannelId) -> Sequence[i.ChannelSeen]:
    """Who is in one bridge with the caller."""
    own = next((c for c in seen.channels if c.id == caller), None)
    if own is None or own.bridge is None:
        return ()
    return [c for c in seen.channels if c.id != caller and c.bridge == own.bridge]


def _outside(seen: i.Snapshot, caller: ChannelId) -> i.ChannelSeen | None:
    """Somebody who is no phone of ours and in one bridge with the caller."""
    return next((c for c in _with(seen, caller) if c.phone is None), None)


def _colleague(turn: Turn, call: Call, leg: Leg, seen: i.Snapshot, at: Instant) -> Leg:
    """The same leg, with the phone's channel that is in one bridge with the caller."""
    found = next((c for c in _with(seen, call.channel) if c.phone == leg.phone), None)
    if found is None:
        return leg
    leg = replace(leg, channel=found.id)
    _take_on_far(turn, call, leg, found, at)
    return leg


def _take_on_far(turn: Turn, call: Call, leg: Leg, far: i.ChannelSeen, at: Instant) -> None:
    """The channel of a department, or of a colleague who has taken over, whose way was not told to its end: without it,
    what it does would go unnoticed."""
    if far.bridge is None or turn.floor.channels.get(far.id, call.id) != call.id:
        return
    if far.id not in turn.floor.channels:
        turn.tell(
            f.LegBegan(
                at=at,
                call=call.id,
                channel=far.id,
                phone=far.phone,
                agent=turn.floor.seated.get(far.phone) if far.phone is not None else None,
                offer=None,
                side=leg.side,
                department=leg.department,
                reconstructed=True,
            )
        )
    for channel in (far.id, call.channel):
        _is_in(turn, call.id, channel, far.bridge, at)


def _is_in(turn: Turn, name: CallId, channel: ChannelId, bridge: str, at: Instant) -> None:
    leg = turn.floor.calls[name].leg(channel)
    if leg is not None and leg.bridge != bridge:
        turn.tell(f.LegJoined(at=at, call=name, channel=channel, bridge=bridge, reconstructed=True))


def _far_leg(
    turn: Turn,
    call: Call,
    channel: ChannelId,
    at: Instant,
    seen: i.Snapshot,
    sent_to: DepartmentId | None = None,
) -> Leg:
    """The far end of a transfer that was found afterwards: by the agent's consult that was open beside the talk when
    that ended, else by the dialplan's word."""
    known = call.leg(channel)
    if known is not None:
        return _as_asked(known, at, seen)
    parted = Instant(min(at, call.parted_at or at) - seconds(LATE_S))
    asked = [
        side
        for side in seen.sides
        if side.beside == call.id and side.began <= at and (side.ended is None or side.ended >= parted)
    ]
    if sent_to is None and asked:
        last = max(asked, key=lambda side: (side.connected is not None, side.began, side.call))
        to = DepartmentId(last.why) if last.kind is SideKind.DEPARTMENT and last.why else None
        spoken = last.connected is not None and last.connected <= at
        # Who answered; of one that still rings, who was called by extension (*36 calls several, one after the other).
        phone = last.with_phone
        if phone is None and last.kind is SideKind.COLLEAGUE and PhoneId(last.why) in turn.floor.phone_centre:
            phone = PhoneId(last.why)
        who = turn.floor.seated.get(phone) if phone is not None else None
        return Leg(channel, phone, who, None, side=last.call, department=to, asked=spoken)
    consult = next((leg for leg in call.legs if leg.side is not None), None)
    if sent_to is None and consult is not None:
        return _as_asked(consult, at, seen)
    return Leg(channel, None, None, None, department=sent_to or call.moving_to)


def _as_asked(leg: Leg, at: Instant, seen: i.Snapshot) -> Leg:
    """With what CEL tells of its consult: it may have been answered unseen, before the transfer at `at`."""
    spoken = (
        side.connected is not None and side.connected <= at for side in seen.sides if side.call == leg.side
    )
    return leg if leg.asked or not any(spoken) else replace(leg, asked=True)


def _relive(turn: Turn, call: Call, talk: i.TalkTraced, seen: i.Snapshot) -> None:
    """A whole talk before the last one, as far as it is not known."""
    if call.refused_as is not None:
        return
    if call.stage is Stage.TALKING:
        known = call.talk_since is not None and call.talk_since <= talk.ended
        if not known:
            _moves(turn, call.id, talk, seen)
            return
    else:
        entered = call.visit.entered_at if call.visit is not None else call.answered_at
        if call.stage not in (Stage.WAITING, Stage.OFFERED) or (
            entered is not None and talk.since <= entered
        ):
            return  # it was told in its time
        leg = _leg(turn, call, ChannelId(""), talk.phone, offered=not call.in_net)
        turn.answer(call, talk.since, leg, reconstructed=True)
    turn.end_talk(turn.floor.calls[call.id], talk.ended, reconstructed=True)
    if not _moves(turn, call.id, talk, seen) and talk.back is not None:
        _sent_to_closed(turn, call.id, talk.shut)
        turn.begin_visit(turn.floor.calls[call.id], talk.back, reconstructed=True)


def _moves(turn: Turn, call: CallId, talk: i.TalkTraced, seen: i.Snapshot) -> bool:
    """Where the caller was put through after that talk, and that the caller came back from there. False: nowhere."""
    moved = False
    for way in (*talk.passed, talk.moved):
        moved |= _moved_and_back(turn, turn.floor.calls[call], way, seen)
    if moved and talk.back is not None:
        _sent_to_closed(turn, call, talk.shut)
        turn.begin_visit(turn.floor.calls[call], talk.back, reconstructed=True)
    return moved


def _unseen_answer(call: Call, trace: i.CallTraced) -> Instant | None:
    """When the talk began that CEL tells and the floor does not know; the first one, or another after a wait, or with a
    colleague who still rang when the agent let go."""
    if call.refused_as is not None:
        return None
    if call.answered_at is None:
        return trace.answered
    again = trace.talk_since
    if call.stage is Stage.PARTED and call.parted_at is not None and again is not None:
        return again if again > call.parted_at else None
    waited = call.visit is not None and call.stage in (Stage.WAITING, Stage.OFFERED)
    if waited and call.visit is not None and again is not None and again > call.visit.entered_at:
        return again
    return None


_UNWATCHED = "見ていない間に終わった / ended while nobody watched"

_Beside = Sequence[i.ChannelSeen]


def _ours(turn: Turn, call: Call, phone: i.ChannelSeen) -> bool:
    """Whether a phone's channel is this call's or nobody's; the floor's word goes before a variable's."""
    return turn.floor.channels.get(phone.id, call.id) == call.id


def _take_on(turn: Turn, call: Call, caller: i.ChannelSeen, phone: i.ChannelSeen, at: Instant) -> None:
    """A phone's channel whose beginning was not told: without it, its answer would go unnoticed."""
    if phone.id in turn.floor.channels:
        return
    found = _leg(turn, call, phone.id, phone.phone, offered=caller.context == OFFER)
    turn.tell(
        f.LegBegan(
            at=at,
            call=call.id,
            channel=phone.id,
            phone=phone.phone,
            agent=found.agent,
            offer=found.offer,
            reconstructed=True,
        )
    )
    if found.offer is not None and turn.floor.offers[found.offer].stage is OfferStage.MADE:
        turn.tell(f.OfferRang(at=at, offer=found.offer, call=call.id, channel=phone.id, reconstructed=True))


def _together(turn: Turn, call: Call, caller: i.ChannelSeen, phone: i.ChannelSeen, at: Instant) -> Leg:
    """Caller and phone were found in one bridge: both are put there, and the phone's leg is given back."""
    assert caller.bridge is not None
    _take_on(turn, call, caller, phone, at)
    for channel in (call.channel, phone.id):
        turn.tell(f.LegJoined(at=at, call=call.id, channel=channel, bridge=caller.bridge, reconstructed=True))
    leg = turn.floor.calls[call.id].leg(phone.id)
    assert leg is not None
    return leg


def _leg(turn: Turn, call: Call, channel: ChannelId, phone: PhoneId | None, *, offered: bool) -> Leg:
    """A phone's part in a call, found afterwards: who sits at the phone, and whether it is the one we had offered.

    `offered`: the caller is where our offers ring, not where the safety net's do."""
    offer = turn.floor.offer_at(call, phone) if offered else None
    agent = turn.floor.seated.get(phone) if phone is not None else None
    return Leg(channel, phone, agent, offer.id if offer is not None else None)


def _still_here(
    turn: Turn, channel: i.ChannelSeen, seen: i.Snapshot, old: Instant, trace: i.CallTraced | None
) -> None:
    """A caller's channel that exists: make the floor say where it is."""
    name = CallId(channel.id)
    if name in turn.floor.ended:
        return
    if name not in turn.floor.calls:
        arrived = i.ChannelArrived(
            at=channel.created
            if trace is None
            else trace.arrived,  # CEL's is exact, the other a whole second
            node=seen.node,
            channel=channel.id,
            name=channel.name,
            number=channel.number or "",
            caller=channel.caller,
            test=channel.test,
        )
        if arrive(turn, arrived, reconstructed=True) is None:
            return
    phones = [c for c in seen.channels if c.call == name and c.id != channel.id]
    # A colleague's leg, that was called for a consult, bears no call's name; the floor's word goes before a variable's.
    together = [
        c
        for c in _with(seen, channel.id)
        if c.phone is not None and turn.floor.channels.get(c.id, c.call) == name
    ]
    for phone in phones:
        # Only now: what a later look shows may have gone since it was taken.
        if seen.first and phone.phone is not None:
            _take_on(turn, turn.floor.calls[name], channel, phone, seen.at)
    if trace is not None and seen.first:
        _retrace(turn, name, trace, seen, channel, together)
        _rings_on(turn, turn.floor.calls[name], channel, seen, trace)
    call = turn.floor.calls[name]
    pausing.seen(turn, call, channel, seen, old)
    waits_in = (
        HOLD if channel.context == HOLD and channel.application == "WaitForCondition" else channel.context
    )
    if call.stage is Stage.ARRIVED and (together or waits_in in (HOLD, NET, OFFER, COMFORT)):
        admit(turn, call, seen.at, True, "snapshot", reconstructed=True)
        call = turn.floor.calls[name]
    if together or waits_in in (HOLD, NET, OFFER):
        call = listing.let_through(turn, call, seen.at, reconstructed=True)
    if call.refused_as is not None:
        return
    if call.stage is Stage.ANNOUNCED and (together or waits_in in (HOLD, NET, OFFER, COMFORT)):
        turn.begin_visit(call, seen.at, entered=channel.entered, reconstructed=True)
        call = turn.floor.calls[name]
    outside = _outside(seen, channel.id)
    left = outside is None and (together or waits_in in (HOLD, NET, OFFER))
    transfer = call.transfer if call.stage is Stage.TRANSFERRED else None
    if left and transfer is not None and transfer.since <= old:
        turn.end_transfer(call, seen.at, reconstructed=True)
        call = turn.floor.calls[call.id]
    elif transfer is not None and transfer.since <= old:
        stop_recording(turn, call)  # what was asked before may have been lost
    if together:
        _adopt_talk(turn, call, channel, together[0], seen, old)
    elif outside is not None and call.answered_at is not None:
        _adopt_transfer(turn, call, outside, seen, old)
    elif waits_in in (HOLD, NET):
        _adopt_wait(turn, call, waits_in, phones, seen, old)
    elif waits_in == OVERFLOW and call.leaving_as is not None and _left_before(call, old):
        give_up(turn, call, seen.at, call.leaving_as, reconstructed=True)


def _rings_on(turn: Turn, call: Call, caller: i.ChannelSeen, seen: i.Snapshot, trace: i.CallTraced) -> None:
    """Whoever is rung for a caller whom the agent has left unseen: known by the call, the agent's or the caller's, for
    which that leg was made. As a leg of the call, what it does from now on is seen."""
    if call.stage is not Stage.PARTED or call.transfer is not None or caller.bridge is not None:
        return
    asked = {ChannelId(side.call) for side in seen.sides if side.beside == call.id and side.connected is None}
    for far in seen.channels:
        rung = far.linked in (call.channel, *asked) and far.id not in (far.linked, call.channel)
        if not rung or far.bridge is not None or far.id in turn.floor.channels:
            continue
        if far.linked == call.channel and trace.sent_to is not None and call.moving_to is None:
            told = i.TransferTold(at=seen.at, call=call.id, department=trace.sent_to)
            transfer_begins(turn, call, told, reconstructed=True)
            call = turn.floor.calls[call.id]
        consult = [side for side in seen.sides if ChannelId(side.call) == far.linked]
        leg = _far_leg(turn, call, far.id, seen.at, replace(seen, sides=tuple(consult)))
        turn.tell(
            f.LegBegan(
                at=seen.at,
                call=call.id,
                channel=far.id,
                phone=far.phone,
                agent=turn.floor.seated.get(far.phone) if far.phone is not None else None,
                offer=None,
                side=leg.side,
                department=leg.department,
                reconstructed=True,
            )
        )


def _left_before(call: Call, old: Instant) -> bool:
    return call.leaving_since is not None and call.leaving_since <= old


def _parted_before(call: Call, old: Instant) -> bool:
    return call.parted_at is None or call.parted_at <= old


def _adopt_talk(
    turn: Turn, call: Call, channel: i.ChannelSeen, phone: i.ChannelSeen, seen: i.Snapshot, old: Instant
) -> None:
    entered = call.visit.entered_at if call.visit is not None else call.arrived_at
    if entered > old and not seen.first:
        return
    if call.stage is Stage.TRANSFERRED or (call.stage is Stage.PARTED and not _parted_before(call, old)):
        return  # the look was taken during the talk that has ended since
    if call.stage is Stage.TALKING:
        known = call.talking_leg
        settled = call.talk_since is not None and call.talk_since <= old
        if not settled or (known is not None and any(c.id == known for c in seen.channels)):
            return
        turn.end_talk(call, seen.at, reconstructed=True)  # with a phone that is gone; this is another talk
    leg = _together(turn, turn.floor.calls[call.id], channel, phone, seen.at)
    turn.answer(turn.floor.calls[call.id], seen.at, leg, reconstructed=True)


def _adopt_transfer(turn: Turn, call: Call, far: i.ChannelSeen, seen: i.Snapshot, old: Instant) -> None:
    """The caller is in one bridge with somebody outside, and no phone of ours is in it."""
    if call.stage is Stage.TALKING and call.talk_since is not None and call.talk_since <= old:
        turn.end_talk(call, seen.at, reconstructed=True)
        call = turn.floor.calls[call.id]
    if call.stage is Stage.PARTED and call.transfer is None and _parted_before(call, old):
        leg = _far_leg(turn, call, far.id, seen.at, seen)
        _take_on_far(turn, call, leg, far, seen.at)
        put_through(turn, turn.floor.calls[call.id], seen.at, leg, reconstructed=True)


def _adopt_wait(
    turn: Turn, call: Call, where: str, phones: list[i.ChannelSeen], seen: i.Snapshot, old: Instant
) -> None:
    if call.stage is Stage.TALKING and call.talk_since is not None and call.talk_since <= old:
        turn.end_talk(call, seen.at, reconstructed=True)
        call = turn.floor.calls[call.id]
        turn.begin_visit(call, seen.at, reconstructed=True)
    call = turn.floor.calls[call.id]
    if call.stage is Stage.PARTED and _parted_before(call, old):
        turn.begin_visit(call, seen.at, reconstructed=True)
        call = turn.floor.calls[call.id]
    if call.ringing and turn.floor.offers[call.ringing[0]].made_at <= old:
        turn.fail_round(call, seen.at, OfferStage.WITHDRAWN, _UNWATCHED, reconstructed=True)
        call = turn.floor.calls[call.id]
    if call.aside is not None and call.aside.since <= old:
        turn.rejoin(call, seen.at, "待ちに戻っている / is back on the waiting line", reconstructed=True)
        call = turn.floor.calls[call.id]
    if call.stage is not Stage.WAITING:
        return
    if call.leaving_as is not None and _left_before(call, old):
        turn.undo_overflow(
            call, seen.at, "まだ待ち行列にいる / still on the waiting line", reconstructed=True
        )
        call = turn.floor.calls[call.id]
    if call.net_changed_at is not None and call.net_changed_at > old:
        return  # the look was taken before the caller came, or was taken back
    if where == NET and not call.in_net:
        turn.tell(f.NetEntered(at=seen.at, call=call.id, reconstructed=True))
    elif where == HOLD and call.in_net and not phones:
        turn.tell(f.NetLeft(at=seen.at, call=call.id, reconstructed=True))
        turn.watch_wait(call.id)


def _phones_gone(turn: Turn, present: dict[ChannelId, i.ChannelSeen], old: Instant, seen: i.Snapshot) -> None:
    """Phone legs that no longer exist, of calls that do."""
    for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
        if call.node != seen.node or call.arrived_at > old:
            continue
        for leg in call.legs[1:]:
            if leg.channel in present or (not seen.first and leg.since > old):
                continue
            now = turn.floor.calls[call.id]
            if now.stage is Stage.TALKING and now.talking_leg == leg.channel:
                if now.talk_since is not None and now.talk_since > old and not seen.first:
                    continue
                turn.end_talk(now, seen.at, reconstructed=True)
                now = turn.floor.calls[call.id]
            if now.transfer is not None and now.transfer.channel == leg.channel:
                transfer_ends(turn, now, leg.channel, seen.at, reconstructed=True)
                now = turn.floor.calls[call.id]
            if leg.offer is not None and leg.offer in now.ringing:
                turn.fail_offer(leg.offer, seen.at, OfferStage.WITHDRAWN, _UNWATCHED, reconstructed=True)
            cause = NORMAL_CLEARING if now.asked_to_end == leg.channel else NOT_KNOWN
            turn.tell(
                f.LegEnded(at=seen.at, call=call.id, channel=leg.channel, cause=cause, reconstructed=True)
            )


def _mirror(turn: Turn, seen: i.Snapshot) -> None:
    """The safety net's members shall be the agents who are signed in, paused if they are."""
    agents = {
        (queue, agent.phone): agent
        for agent in turn.floor.agents.values()
        if agent.phone is not None
        for queue in agent.queues
    }
    have = {(m.queue, m.phone): m.paused for m in seen.members}
    for queue, phone in sorted(agents.keys() - have.keys()):
        agent = agents[queue, phone]
        turn.want(e.AddMember(queue, phone, agent.id, agent.presence is Presence.PAUSED))
    for queue, phone in sorted(agents.keys() & have.keys()):
        paused = agents[queue, phone].presence is Presence.PAUSED
        if have[queue, phone] is not paused:
            turn.want(e.PauseMember(queue, phone, paused))
    for queue, phone in sorted(have.keys() - agents.keys()):
        turn.want(e.RemoveMember(queue, phone))


def _reclaim(turn: Turn, seen: i.Snapshot) -> None:
    """Take callers back from the net, first in first out; one whose member's phone rings is left to be answered.

    So is one whose longest wait is over: the waiting line would let go at once, and the caller would go round and
    round without ever coming to the net's own end.
    """
    ringing = {
        c.call for c in seen.channels if c.call is not None and c.id != ChannelId(c.call) and c.bridge is None
    }
    in_net = {c.id for c in seen.channels if c.context == NET}
    back = [
        call
        for call in turn.floor.calls.values()
        if call.in_net
        and call.stage is Stage.WAITING
        and call.given_up_as is None
        and call.channel in in_net
        and call.id not in ringing
        and not _waited_out(turn, call, seen.at)
    ]
    for call in sorted(back, key=lambda c: (c.visit.since if c.visit is not None else c.arrived_at, c.id)):
        turn.want(e.ReclaimCaller(call.id, call.channel_name))


def _waited_out(turn: Turn, call: Call, at: Instant) -> bool:
    """Whether the waiting line's own limit is past. After a lost talk it counts from the new wait on, as there."""
    queue = turn.floor.queues.get(call.queue)
    if queue is None or call.visit is None:
        return False
    first = call.answered_at is None and call.kept is None
    began = call.visit.since if first else call.visit.entered_at
    return at >= began + seconds(queue.longest_wait_s + PAST_LONGEST_WAIT_S)
