"""The one function: `step(floor, input) -> (floor, facts, effects)`.

An input is believed only as far as the floor allows: what has no place in the tables is disregarded and counted as
such by whoever asks (`Step.disregarded`). Facts are folded in as they are told, so that the next decision of the
same step sees them. Effects are wanted only here, never while folding.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import singledispatch

from callcore.domain import (
    closing,
    erasing,
    hold,
    keyed,
    listing,
    marking,
    messages,
    pausing,
    replies,
    supervising,
)
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.admission import NORMAL_CLEARING, who_hung_up
from callcore.domain.call import PUT_DOWN
from callcore.domain.centre import ANSWER_DAYS
from callcore.domain.findings import Heard, judge
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, OfferId, after, seconds
from callcore.domain.personal import Personal
from callcore.domain.phones import Policy
from callcore.domain.reconcile import reconcile
from callcore.domain.sides import ANSWER_MOST, LEAVES_S, SideCall
from callcore.domain.stages import (
    OWN_DOING,
    OfferStage,
    Outcome,
    Party,
    Presence,
    SideKind,
    SideOutcome,
    Stage,
    Work,
)
from callcore.domain.transfer import (
    consulted_for,
    joined,
    pass_on,
    recording_stopped,
    release_held,
    transfer_begins,
    transfer_ends,
)
from callcore.domain.turn import (
    Turn,
    admit,
    answer_key,
    arrive,
    callback_dialled,
    callback_reached,
    cancel_callback,
    configure,
    device_is,
    drop_answer,
    drop_answers,
    forwarded,
    give_up,
    menu_answered,
    resume,
    side_begins,
    side_ends,
    sign_out,
)

NOT_PLACED_REST_S = 1
"""Seconds for which the agent is passed over after a redirect that was not done, so that one which Asterisk keeps
refusing is tried each second and not each millisecond."""


@dataclass(frozen=True, slots=True)
class Step:
    floor: Floor
    facts: tuple[f.Fact, ...]
    effects: tuple[e.Effect, ...]
    disregarded: str | None = None
    """Why the input changed nothing, if it could have: late, doubled, unknown."""


def step(floor: Floor, told: i.Input) -> Step:
    """The next state, what happened and what is wanted, given one input. Never raises for anything that was told."""
    turn = Turn(floor, told.at)
    _take(told, turn)
    turn.match()
    return Step(turn.floor, tuple(turn.facts), tuple(turn.effects), turn.disregarded)


@singledispatch
def _take(told: i.Input, turn: Turn) -> None:
    raise TypeError(f"no rule for {type(told).__name__}")


# -- engine and link -----------------------------------------------------------------------------------------


@_take.register
def _(told: i.RunBegins, turn: Turn) -> None:
    if told.run <= turn.floor.run:
        turn.disregard("新しい実行ではない / not a newer run than the one that decides")
        return
    turn.tell(f.RunStarted(at=told.at, run=told.run, software=told.software))
    known = turn.floor.configuration
    if known is None or known.version != told.configuration.version:
        configure(turn, told.configuration, told.at)
    for timer, due in turn.floor.deadlines():
        turn.want(e.SetTimer(timer, due))


@_take.register
def _(told: i.LinkDropped, turn: Turn) -> None:
    if turn.floor.linked:
        turn.tell(f.LinkLost(at=told.at, node=told.node))


@_take.register
def _(told: i.ConfigurationChanged, turn: Turn) -> None:
    known = turn.floor.configuration
    if known is not None and known.version == told.configuration.version:
        turn.disregard("設定は同じ / the same configuration")
        return
    configure(turn, told.configuration, told.at, told.by)
    turn.want(e.Look())  # the safety net's members follow


@_take.register
def _(told: i.ClockJumped, turn: Turn) -> None:
    turn.tell(f.ClockStepped(at=told.at, by=told.by))
    for timer, due in turn.floor.deadlines():
        turn.want(e.SetTimer(timer, due))


@_take.register
def _(told: i.EmergencyAsked, turn: Turn) -> None:
    closing.begin(turn, told)


@_take.register
def _(told: i.EmergencyEndAsked, turn: Turn) -> None:
    closing.end(turn, told)


@_take.register
def _(told: i.BlockAsked, turn: Turn) -> None:
    listing.put(turn, told)


@_take.register
def _(told: i.UnblockAsked, turn: Turn) -> None:
    listing.take_off(turn, told)


@_take.register
def _(told: i.KeepAsked, turn: Turn) -> None:
    erasing.keep(turn, told)


@_take.register
def _(told: i.MarkAsked, turn: Turn) -> None:
    marking.mark(turn, told)


@_take.register
def _(told: i.KeepReleaseAsked, turn: Turn) -> None:
    erasing.release(turn, told)


@_take.register
def _(told: i.EraseAsked, turn: Turn) -> None:
    erasing.erase(turn, told)


@_take.register
def _(told: i.EventsLate, turn: Turn) -> None:
    if told.late == turn.floor.lagging:
        turn.disregard("変化なし / no change")
    elif told.late:
        turn.tell(f.LagBegan(at=told.at))
        for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
            if not call.imprecise:
                turn.tell(f.CallMarkedImprecise(at=told.at, call=call.id))
    else:
        turn.tell(f.LagEnded(at=told.at))
        turn.want(e.Look())


# -- a caller comes in ---------------------------------------------------------------------------------------


@_take.register
def _(told: i.ChannelArrived, turn: Turn) -> None:
    arrive(turn, told)


@_take.register
def _(told: i.AdmissionDecided, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage is not Stage.ARRIVED:
        turn.disregard("着信中の呼ではない / not an arriving call")
        return
    admit(turn, call, told.at, told.open, told.source, emergency=told.emergency, blocked=told.blocked)


@_take.register
def _(told: i.CallerInsisted, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage is not Stage.ANNOUNCED or call.refused_as is not Outcome.BLOCKED:
        turn.disregard("拒否された呼ではない / not a call that was refused as blocked")
        return
    listing.let_through(turn, call, told.at)


@_take.register
def _(told: i.MenuKeyed, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is not None:
        call = listing.let_through(turn, call, told.at)  # that 9 was pressed has got lost
    if call is None or not (call.stage is Stage.ANNOUNCED or call.in_menu):
        turn.disregard("案内中の呼ではない / not a call in a menu")
        return
    menu_answered(turn, call, told)


@_take.register
def _(told: i.CallerForwarded, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or told.channel in turn.floor.channels:
        turn.disregard("その入電は終わっているか、相手は既知 / that call is over, or its leg is known")
    elif not (call.stage is Stage.ANNOUNCED or call.in_menu):
        turn.disregard("案内中の呼ではない / not a call in a menu")
    else:
        forwarded(turn, call, told)


@_take.register
def _(told: i.MessageTold, turn: Turn) -> None:
    messages.told_of(turn, told)


@_take.register
def _(told: i.CallbackTold, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage not in (Stage.ANNOUNCED, Stage.WAITING) or call.callback or call.message:
        turn.disregard("案内中の呼ではない / not a call in a menu")
    elif call.refused_as is not None or call.caller.text is None:
        turn.disregard("折り返せる呼ではない / not a call that can be called back")
    else:
        turn.ask_back(call, told.at)


@_take.register
def _(told: i.CallbackDropAsked, turn: Turn) -> None:
    back = turn.floor.callbacks.get(told.call)
    if back is None:
        turn.disregard("その折り返しはない / no such call-back")
        return
    cancel_callback(turn, back, told.at, by=told.by)


@_take.register
def _(told: i.CallbackNotPlaced, turn: Turn) -> None:
    side = turn.floor.sides.get(told.side)
    if side is None:
        turn.disregard("その発信は終わっている / that attempt is over")
        return
    side_ends(turn, side, told.at, SideOutcome.FAILED, Party.SYSTEM)


@_take.register
def _(told: i.MessageMeasured, turn: Turn) -> None:
    messages.measured(turn, told)


@_take.register
def _(told: i.TaskAsked, turn: Turn) -> None:
    messages.keep(turn, told)


@_take.register
def _(told: i.TaskOpenAsked, turn: Turn) -> None:
    messages.open_task(turn, told)


@_take.register
def _(told: i.MessageTakeAsked, turn: Turn) -> None:
    messages.take(turn, told)


@_take.register
def _(told: i.MessageCloseAsked, turn: Turn) -> None:
    messages.close(turn, told)


@_take.register
def _(told: i.CallerHeld, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is not None:
        call = listing.let_through(turn, call, told.at)  # that 9 was pressed has got lost
    if call is None or call.refused_as is not None:
        turn.disregard("待てる呼ではない / not a call that may wait")
    elif call.aside is not None and call.aside.number == told.aside:
        turn.rejoin(call, told.at, "待ちに戻った / back on the waiting line")
    elif call.stage in (Stage.ARRIVED, Stage.ANNOUNCED):
        turn.begin_visit(call, told.at, notice=told.notice)
    elif call.stage in (Stage.PARTED, Stage.TRANSFERRED):
        transfer_ends(turn, call, call.channel, told.at)
        turn.begin_visit(turn.floor.calls[call.id], told.at)  # the talk was lost, the caller is still there
    elif call.stage is Stage.WAITING and call.in_net:
        turn.tell(f.NetLeft(at=told.at, call=call.id))
        turn.watch_wait(call.id)
    else:
        turn.disregard("待ちは記録済み / the wait is known")


@_take.register
def _(told: i.AsideNotBegun, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.aside is None or call.aside.number != told.number:
        turn.disregard("待ちに戻っている / back on the waiting line already")
    elif told.caller_gone or call.caller_put_down:
        turn.disregard("入電者が先に切断 / the caller had gone")
    else:
        turn.rejoin(call, told.at, told.reason, done=False)


@_take.register
def _(told: i.CallerInNet, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is not None:
        call = listing.let_through(turn, call, told.at)
    if call is None or call.refused_as is not None:
        turn.disregard("待てる呼ではない / not a call that may wait")
        return
    if call.stage in (Stage.ARRIVED, Stage.ANNOUNCED, Stage.PARTED):
        turn.begin_visit(call, told.at)
    call = turn.floor.calls[call.id]
    if call.stage in (Stage.WAITING, Stage.OFFERED) and not call.in_net:
        turn.fail_round(call, told.at, OfferStage.WITHDRAWN, "非常時分配に移った / fell into the safety net")
        turn.tell(f.NetEntered(at=told.at, call=call.id))
    else:
        turn.disregard("非常時分配は記録済み / known to be in the net, or talking")


@_take.register
def _(told: i.CallerApologised, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage is not Stage.WAITING or call.given_up_as is not None:
        turn.disregard("待っている呼ではない / not a waiting call")
        return
    give_up(turn, call, told.at)


@_take.register
def _(told: i.CallerOverflowed, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage is not Stage.WAITING or call.given_up_as is not None:
        turn.disregard("待っている呼ではない / not a waiting call")
        return
    give_up(turn, call, told.at, told.outcome)


@_take.register
def _(told: i.WaitNotEnded, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.leaving_as is None or told.caller_gone or call.caller_put_down:
        turn.disregard("待ちは終わっている / the wait is over")
        return
    turn.undo_overflow(call, told.at, told.reason)


# -- an offer and its end ------------------------------------------------------------------------------------


@_take.register
def _(told: i.DialBegan, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or told.channel in turn.floor.channels:
        turn.disregard("呼出先は既知か呼がない / leg known, or call gone")
        return
    offer = None
    if told.offer is not None and told.offer == call.offer:
        offer = turn.floor.offer_at(call, told.phone)
    agent = offer.agent if offer is not None else None
    department = call.moving_to if told.phone is None else None
    if agent is None and told.phone is not None:
        agent = turn.floor.seated.get(told.phone)
    turn.tell(
        f.LegBegan(
            at=told.at,
            call=call.id,
            channel=told.channel,
            phone=told.phone,
            agent=agent,
            offer=told.offer if offer is None else offer.id,
            department=department,
        )
    )
    if offer is None:
        return
    if offer.stage is OfferStage.MADE:
        turn.tell(f.OfferRang(at=told.at, offer=offer.id, call=call.id, channel=told.channel))
    if offer.withdrawn:
        turn.want(e.WithdrawOffer(offer.id, told.channel))


EARLY = SECOND
"""How much before the end of its ring time an offer must end so as not to have rung out."""

_WORDS = {
    OfferStage.NO_ANSWER: "呼出時間内に応答なし / rang out",
    OfferStage.REJECTED: "拒否された / rejected",
    OfferStage.BUSY: "話中だった / busy",
    OfferStage.UNREACHABLE: "電話機に届かない / phone not reachable",
    OfferStage.CALLER_GONE: "入電者が先に切断 / the caller had gone",
    OfferStage.WITHDRAWN: "取り下げ / withdrawn",
}


@_take.register
def _(told: i.DialEnded, turn: Turn) -> None:
    if told.offer is None:
        turn.disregard("非常時分配の呼出 / the safety net's own")
        return
    call = turn.call(told.call)
    leg = call.leg(told.channel) if call is not None else None
    offer = turn.floor.offers.get(leg.offer) if leg is not None and leg.offer is not None else None
    if offer is None and call is not None and call.offer == told.offer:
        offer = turn.floor.offer_at(call, told.phone)  # the beginning of that leg was not told
    if call is None or offer is None or offer.round != told.offer:
        turn.disregard("その呼出は終わっている / that offer is over")
        return
    if call.caller_put_down:
        # Asterisk says "no answer" then, blaming the agent; a phone picked up in that instant may still join.
        turn.disregard(
            "入電者が先に切断、終わりはチャネルで決まる / the caller was first; the channel's end tells"
        )
        return
    result = told.result
    if result is OfferStage.NO_ANSWER and told.at < offer.rings_until - EARLY:
        # Asterisk says "no answer" of every refusal but busy (603, 480 …): what ended early did not ring out.
        result = OfferStage.REJECTED
    if result is None:
        turn.disregard("応答は同じブリッジで決まる / an answer is told by the bridge")
    elif result not in _WORDS:
        turn.disregard("呼出の終わりではない / not an end of an offer")
    elif result is OfferStage.CALLER_GONE and (len(call.ringing) > 1 or offer.withdrawn):
        # Asterisk cancels the others when one is answered, and what we take back; the caller is still there.
        turn.fail_offer(offer.id, told.at, OfferStage.WITHDRAWN, "別の電話機が応答 / another phone answered")
    else:
        turn.fail_offer(offer.id, told.at, result, _WORDS[result])


@_take.register
def _(told: i.OfferReturned, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.offer != told.offer:
        turn.disregard("その呼出は終わっている / that offer is over")
    elif told.result is None:
        turn.disregard("応答は同じブリッジで決まる / an answer is told by the bridge")
    elif told.result not in _WORDS:
        turn.disregard("呼出の終わりではない / not an end of an offer")
    else:
        several = len(call.ringing) > 1
        for name in call.ringing:
            # Among several, a phone that was never called was not free; nobody misses what did not ring.
            unrung = turn.floor.offers[name].stage is OfferStage.MADE
            result = OfferStage.BUSY if unrung and (several or told.result in OWN_DOING) else told.result
            turn.fail_offer(name, told.at, result, _WORDS[result])


@_take.register
def _(told: i.OfferNotPlaced, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.offer != told.offer:
        turn.disregard("その呼出は終わっている / that offer is over")
        return
    if told.caller_gone or call.caller_put_down:
        # Its Hangup closes the offer. Another offer now would be made to nobody, again and again until it comes.
        turn.disregard("入電者が先に切断 / the caller had gone")
        return
    turn.fail_round(call, told.at, OfferStage.WITHDRAWN, told.reason, rest_s=NOT_PLACED_REST_S)


# -- bridges, hold, hang-up ----------------------------------------------------------------------------------


@_take.register
def _(told: i.SideCallTold, turn: Turn) -> None:
    if turn.floor.callback_of(told.call) is not None:
        callback_dialled(turn, told.call, told.at)
        return
    side_begins(turn, told)


@_take.register
def _(told: i.AnswerAsked, turn: Turn) -> None:
    side = turn.floor.sides.get(told.call) or turn.floor.unreached.get(told.call)
    text = told.text.strip()
    number = turn.floor.caller_of(told.call)
    if side is not None and side.connected_at is None and side.kind is SideKind.OUTGOING:
        number = side.other
    if number is None:
        turn.disregard("つながらなかった発信でも入電でもない / no call of today, nor one that reached nobody")
    elif number.text is None or not 0 < len(text) <= ANSWER_MOST:
        turn.disregard("番号が分からないか、文が長すぎる / no number, or the text is too long")
    else:
        drop_answers(turn, told.at)
        centre = turn.floor.centres.get(number.centre)
        kept = centre.outgoing if centre is not None else None
        days = ANSWER_DAYS if kept is None else kept.answers_kept_days
        until = after(told.at, seconds(days * 86_400))
        if told.call in turn.floor.answers:
            drop_answer(turn, told.call, told.at, "書き直した / written anew", told.by)
        turn.tell(
            f.AnswerPrepared(
                at=told.at,
                call=told.call,
                centre=number.centre,
                number=number,
                text=Personal(answer_key(told.call, told.at), number.centre, number.at, text),
                until=until,
                by=told.by,
            )
        )
        turn.want(e.SetTimer(i.Timer(i.TimerKind.ANSWER, told.call), until))


@_take.register
def _(told: i.AnswerDropAsked, turn: Turn) -> None:
    if told.call not in turn.floor.answers:
        turn.disregard("その回答はない / no such answer")
        return
    drop_answer(turn, told.call, told.at, told.reason, told.by)


@_take.register
def _(told: i.SideDialBegan, turn: Turn) -> None:
    side = turn.floor.sides.get(told.call)
    if side is None or turn.floor.side_of(told.channel) is not None:
        turn.disregard("その通話は終わっている / that call is over, or its leg is known")
        return
    turn.tell(f.SideLegBegan(at=told.at, call=side.id, channel=told.channel, phone=told.phone))
    consulted_for(turn, side, told)


@_take.register
def _(told: i.SideReturned, turn: Turn) -> None:
    side = turn.floor.sides.get(told.call)
    if side is None or told.outcome is SideOutcome.CONNECTED:
        turn.disregard("チャネルの終わりで決まる / the channel's end tells")
        return
    side_ends(turn, side, told.at, told.outcome, side.put_down_by())


@_take.register
def _(told: i.BridgeEntered, turn: Turn) -> None:
    side = turn.floor.side_of(told.channel)
    call = turn.floor.call_of(told.channel)
    if side is not None and call is None:
        _side_joined(turn, side, told)
        return
    leg = call.leg(told.channel) if call is not None else None
    if call is None or leg is None or leg.bridge == told.bridge:
        turn.disregard("知らないチャネル / no channel of ours")
        return
    turn.tell(f.LegJoined(at=told.at, call=call.id, channel=told.channel, bridge=told.bridge))
    joined(turn, call.id, told.channel, told.at)


def _side_joined(turn: Turn, side: SideCall, told: i.BridgeEntered) -> None:
    """Dial puts the leg that answered into the bridge first, and then the channel that called it: they are together.

    A phone that answered a 連絡用番号 is known by its leg, which came first."""
    ours = side.legs if side.kind is SideKind.CONTACT else ()
    phone = next((phone for leg, phone in ours if leg == told.channel), None)
    if side.connected_at is not None or (told.channel != side.channel and phone is None):
        turn.disregard("つながったことは、かけた側で決まる / the channel that called tells the connection")
        return
    agent = turn.floor.seated.get(phone) if phone is not None else None
    turn.tell(f.SideCallConnected(at=told.at, call=side.id, phone=phone, agent=agent))
    callback_reached(turn, side, told.at)


@_take.register
def _(told: i.BridgeLeft, turn: Turn) -> None:
    call = turn.floor.call_of(told.channel)
    leg = call.leg(told.channel) if call is not None else None
    if call is None or leg is None or leg.bridge != told.bridge:
        turn.disregard("そのブリッジにいない / not in that bridge")
        return
    turn.tell(f.LegLeft(at=told.at, call=call.id, channel=told.channel))
    if call.stage is Stage.TALKING and told.channel in (call.channel, call.talking_leg):
        turn.end_talk(turn.floor.calls[call.id], told.at)
    transfer_ends(turn, turn.floor.calls[call.id], told.channel, told.at)


@_take.register
def _(told: i.TransferTold, turn: Turn) -> None:
    call = turn.call(told.call)
    if call is None or call.stage is not Stage.PARTED or call.answered_at is None:
        turn.disregard("取り次げる通話ではない / not a call that may be passed on")
        return
    transfer_begins(turn, call, told)


@_take.register
def _(told: i.HoldChanged, turn: Turn) -> None:
    call = turn.floor.call_of(told.channel)
    if call is None or call.stage is not Stage.TALKING or told.channel != call.talking_leg:
        turn.disregard("通話中の電話機ではない / not the phone of a talk")
    elif told.held and call.held_since is None:
        hold.begins(turn, call, told.at)
        turn.want(e.MarkHeld(call.id, call.channel_name, True))
    elif not told.held:
        if call.held_since is not None:
            turn.tell(f.CallResumed(at=told.at, call=call.id, agent=call.talking_with))
        turn.want(e.MarkHeld(call.id, call.channel_name, False))
    else:
        turn.disregard("保留の状態は同じ / no change of hold")


@_take.register
def _(told: i.HangupRequested, turn: Turn) -> None:
    side = turn.floor.side_of(told.channel)
    if side is not None:
        if side.asked_to_end is None:
            turn.tell(f.SideHangupAsked(at=told.at, call=side.id, channel=told.channel))
        if turn.floor.call_of(told.channel) is None:
            return
    call = turn.floor.call_of(told.channel)
    # A phone that puts a held caller down ends nothing: the caller comes back, or puts down.
    dropped = call is not None and call.held_since is not None and call.asked_to_end != call.channel
    if call is None or (call.asked_to_end is not None and not (dropped and told.channel == call.channel)):
        turn.disregard("切断側は記録済みか対象外 / who hung up is known, or no channel of ours")
        return
    with_city = call.transfer.channel if call.stage is Stage.TRANSFERRED and call.transfer else None
    forwarded_to = call.forward.channel if call.forward is not None else None
    if told.channel not in (call.channel, with_city or call.talking_leg, forwarded_to):
        turn.disregard("通話の相手ではない / not a party to the talk")
        return
    turn.tell(f.HangupAsked(at=told.at, call=call.id, channel=told.channel))
    if (due := turn.floor.calls[call.id].put_down_due) is not None:
        turn.want(e.SetTimer(i.Timer(i.TimerKind.PUT_DOWN, call.id), due))


@_take.register
def _(told: i.ChannelGone, turn: Turn) -> None:
    side = turn.floor.side_of(told.channel)
    if side is not None:
        if told.channel == side.channel:
            by = side.put_down_by()
            side_ends(turn, side, told.at, SideOutcome.NO_ANSWER, by, sound=(told.received, told.before))
        elif side.connected_at is not None:
            _side_leg_ended(turn, side.id, told)
        if turn.floor.call_of(told.channel) is None:
            return
    late = turn.floor.leaving.get(told.channel)
    ended_at = None if late is None else turn.floor.ended.get(late)
    expected = None if late is None else turn.floor.expected.get(late)
    apart = None if expected is None else expected.apart
    stays = apart is not None and apart.stays
    soon = ended_at is not None and told.at - ended_at <= LEAVES_S * SECOND
    if late is not None and (soon or stays):
        if expected is None or apart is not None:
            _side_leg_ended(turn, late, told)
        elif (sent := _since_the_answer(told)) is not None:
            turn.tell(
                f.LegEnded(at=told.at, call=late, channel=told.channel, cause=told.cause, received=sent)
            )
        if turn.floor.call_of(told.channel) is None:
            return
    call = turn.floor.call_of(told.channel)
    if told.channel in turn.floor.watches:
        turn.end_watch(
            told.channel, told.at, "受話器を置いたか、通話が終わった / put down, or the talk ended"
        )
        if call is None:
            return
    if call is None:
        turn.disregard("知らないチャネル / no channel of ours")
        return
    if told.channel == call.channel:
        if not turn.floor.linked:
            # A talk, or who asked for the end, may have been told before anybody listened. CEL knows of both, and comes
            # with the first look.
            turn.disregard("終わりは初回照合で決まる / the first look tells the end")
            return
        turn.end_call(call, told.at, who_hung_up(call), received=told.received)
        return
    if call.stage is Stage.TALKING and told.channel == call.talking_leg:
        turn.end_talk(call, told.at)
        call = turn.floor.calls[call.id]
    transfer_ends(turn, call, told.channel, told.at)
    leg, received = call.leg(told.channel), told.received
    if call.forward is not None and call.forward.channel == told.channel:
        received = _since_the_answer(told)
    if leg is not None and leg.offer is not None and leg.offer in call.ringing:
        cause = OfferStage.UNREACHABLE if told.cause != NORMAL_CLEARING else OfferStage.WITHDRAWN
        if call.caller_put_down:
            cause = OfferStage.CALLER_GONE
        turn.fail_offer(leg.offer, told.at, cause, _WORDS[cause])
    turn.tell(f.LegEnded(at=told.at, call=call.id, channel=told.channel, cause=told.cause, received=received))


def _since_the_answer(told: i.ChannelGone) -> int | None:
    """Of whom the caller was forwarded to: what came in while it rang is no part of the talk. None: not told."""
    if told.received is None or told.before is None:
        return None
    return max(0, told.received - told.before)


def _side_leg_ended(turn: Turn, call: CallId, told: i.ChannelGone) -> None:
    if told.received is not None:
        turn.tell(
            f.SideLegEnded(
                at=told.at, call=call, channel=told.channel, received=told.received, before=told.before
            )
        )


# -- phones, agents, timers ----------------------------------------------------------------------------------


@_take.register
def _(told: i.DeviceReported, turn: Turn) -> None:
    device_is(turn, told.phone, told.device, told.at)


@_take.register
def _(told: i.PhoneJudged, turn: Turn) -> None:
    centre = turn.floor.phone_centre.get(told.phone)
    known = turn.floor.registered.get(told.phone)
    seen = (told.policy, told.user_agent, told.address, told.contact)
    if centre is None:
        turn.disregard("センターの電話機ではない / no phone of a centre file")
    elif known is not None and seen == (known.policy, known.user_agent, known.address, known.contact):
        turn.disregard("変化なし / no change")
    elif told.policy is Policy.ABSENT:
        if known is None or known.policy is Policy.ABSENT:
            turn.disregard("変化なし / no change")
        else:
            turn.tell(f.PhoneLeft(at=told.at, phone=told.phone))
            release_held(turn, told.phone)
    elif told.policy is Policy.MATCHED:
        turn.tell(
            f.PhoneMatched(
                at=told.at,
                phone=told.phone,
                centre=centre,
                user_agent=told.user_agent,
                address=told.address,
                contact=told.contact,
            )
        )
    else:
        turn.tell(
            f.PhoneRefused(
                at=told.at,
                phone=told.phone,
                centre=centre,
                reason=told.policy,
                user_agent=told.user_agent,
                address=told.address,
                contact=told.contact,
            )
        )


@_take.register
def _(told: i.PhoneTurnedAway, turn: Turn) -> None:
    centre = turn.floor.phone_centre.get(told.phone)
    if centre is None:
        turn.disregard("センターの電話機ではない / no phone of a centre file")
        return
    turn.tell(
        f.PhoneAttemptRefused(
            at=told.at, phone=told.phone, centre=centre, reason=told.reason, address=told.address
        )
    )


@_take.register
def _(told: i.TimerFired, turn: Turn) -> None:
    kind, subject = told.timer.kind, told.timer.subject
    if kind is i.TimerKind.OFFER:
        offer = turn.floor.offers.get(OfferId(subject))
        if offer is None or offer.overdue_at > told.at:
            turn.disregard("その呼出は終わっている / that offer is over")
            return
        # Nobody told its end although Dial's limit is past: the next snapshot says where the caller stands. Dial goes
        # by the wall clock, and rings on for as long as that was set back.
        for leg in turn.floor.calls[offer.call].legs:
            if leg.offer == offer.id:
                turn.want(e.WithdrawOffer(offer.id, leg.channel))
        turn.fail_offer(
            offer.id, told.at, OfferStage.WITHDRAWN, "終わりの知らせがない / its end was never told"
        )
        turn.tell(f.Healed(at=told.at, what=f"offer {offer.id} of call {offer.call}: no end was told"))
        return
    if kind is i.TimerKind.CALLBACK:
        back = turn.floor.callbacks.get(CallId(subject))
        if back is None or back.not_before is None or back.not_before > told.at:
            turn.disregard("そのタイマーは無効 / that timer is void")
        return  # what is due is done by the matching of this very step
    if kind is i.TimerKind.WAIT:
        _wait_timer(turn, CallId(subject), told.at)
        return
    if kind is i.TimerKind.PAUSE:
        keyed.pause_timer(turn, AgentId(subject), told.at)
        return
    if kind is i.TimerKind.HOLD:
        hold.timer(turn, CallId(subject), told.at)
        return
    if kind is i.TimerKind.PUT_DOWN:
        _put_down_timer(turn, CallId(subject), told.at)
        return
    if kind is i.TimerKind.RECORDING:
        pausing.timer(turn, CallId(subject), told.at)
        return
    if kind in (i.TimerKind.EMERGENCY, i.TimerKind.CLOSING):
        closing.timer(turn, kind, CentreId(subject), told.at)
        return
    if kind is i.TimerKind.ANSWER:
        if CallId(subject) in turn.floor.answers:
            drop_answers(turn, told.at)
        else:
            turn.disregard("その回答はない / no such answer")
        return
    if kind is i.TimerKind.BLOCKED:
        listing.timer(turn, CallId(subject), told.at)
        return
    agent = turn.floor.agents.get(AgentId(subject))
    due = None if agent is None else agent.wrap_up_until if kind is i.TimerKind.WRAP_UP else agent.rest_until
    if agent is None or due is None or due > told.at:
        turn.disregard("そのタイマーは無効 / that timer is void")
    elif kind is i.TimerKind.WRAP_UP:
        turn.tell(f.WrapUpEnded(at=told.at, agent=agent.id))
    else:
        turn.tell(f.RestEnded(at=told.at, agent=agent.id))


def _put_down_timer(turn: Turn, name: CallId, at: Instant) -> None:
    """Asterisk 22 forgets who puts down while a timer plays something into the talk, as the silence of ADR 75."""
    call = turn.call(name)
    if call is None or call.put_down_due is None or call.put_down_due > at or call.talking_leg is None:
        turn.disregard("そのタイマーは無効 / that timer is void")
        return
    if turn.floor.linked:
        turn.want(e.HangUp(call.talking_leg, put_down=True))
    turn.want(e.SetTimer(i.Timer(i.TimerKind.PUT_DOWN, name), after(at, PUT_DOWN)))


def _wait_timer(turn: Turn, name: CallId, at: Instant) -> None:
    """A look at one wait. The timer carries no date: what is due by now is done, and the next one is armed."""
    call = turn.floor.calls.get(name)
    if call is None or call.visit is None or turn.floor.wait_due(call, at) is None:
        turn.disregard("そのタイマーは無効 / that timer is void")
    else:
        turn.waited(call, at)


@_take.register
def _(told: i.SignInAsked, turn: Turn) -> None:
    keyed.sign_in_asked(turn, told)


@_take.register
def _(told: i.DialAsked, turn: Turn) -> None:
    keyed.dial_asked(turn, told)


@_take.register
def _(told: i.UnlockAsked, turn: Turn) -> None:
    keyed.unlock_asked(turn, told)


@_take.register
def _(told: i.SignOutAsked, turn: Turn) -> None:
    name = turn.floor.seated.get(told.phone)
    agent = turn.floor.agents[name] if name is not None else None
    if agent is None or agent.work not in (Work.IDLE, Work.WRAPPING_UP):
        turn.disregard("受付終了はできない / cannot sign out now")
        turn.want(e.Reply(told.channel, "not-possible"))
        return
    sign_out(turn, agent, told.at, "本人の操作 / by the agent")
    turn.want(e.Reply(told.channel, "signed-out"))


@_take.register
def _(told: i.AgentOutAsked, turn: Turn) -> None:
    agent = turn.floor.agents.get(told.agent)
    if agent is None or agent.phone is None or agent.work not in (Work.IDLE, Work.WRAPPING_UP):
        turn.disregard("受付終了はできない (不在か応対中) / cannot be signed out now: not there, or at work")
        return
    sign_out(turn, agent, told.at, told.reason or "指示による / as told", told.by)


@_take.register
def _(told: i.PauseAsked, turn: Turn) -> None:
    keyed.pause_asked(turn, told)


@_take.register
def _(told: i.ReadyAsked, turn: Turn) -> None:
    agent = keyed.who(turn, told.agent, told.phone)
    if agent is None:
        turn.disregard("受付していない / not signed in")
        replies.reply(turn, told.channel, "refused")
        return
    before = len(turn.facts)
    if agent.presence is Presence.PAUSED:
        resume(turn, agent, told.at, told.by)
    if agent.work is Work.WRAPPING_UP:
        turn.tell(f.WrapUpEnded(at=told.at, agent=agent.id, early=True, by=told.by))
    if agent.rest_until is not None:
        turn.tell(f.RestEnded(at=told.at, agent=agent.id))
    if len(turn.facts) == before:
        turn.disregard("すでに受付中 / ready already")
    replies.reply(turn, told.channel, "ready")


@_take.register
def _(told: i.WrapUpExtendAsked, turn: Turn) -> None:
    keyed.extend_asked(turn, told)


@_take.register
def _(told: i.ResultAsked, turn: Turn) -> None:
    keyed.result_asked(turn, told)


@_take.register
def _(told: i.NoteAsked, turn: Turn) -> None:
    keyed.note_asked(turn, told)


@_take.register
def _(told: i.TalkKeyed, turn: Turn) -> None:
    keyed.talk_keyed(turn, told)


@_take.register
def _(told: i.TransferAsked, turn: Turn) -> None:
    pass_on(turn, told)


@_take.register
def _(told: i.WatchAsked, turn: Turn) -> None:
    supervising.watch(turn, told)


@_take.register
def _(told: i.WatchStopAsked, turn: Turn) -> None:
    supervising.stop_watching(turn, told)


@_take.register
def _(told: i.WatchTold, turn: Turn) -> None:
    supervising.picked_up(turn, told)


@_take.register
def _(told: i.WatchNotPlaced, turn: Turn) -> None:
    if told.watch not in turn.floor.watches:
        turn.disregard("その聴取は終わっている / nobody is listening there any more")
        return
    turn.end_watch(told.watch, told.at, "Asterisk が電話機を呼べない / Asterisk refused to ring the phone")


@_take.register
def _(told: i.CallerUpAsked, turn: Turn) -> None:
    supervising.move_up(turn, told)


@_take.register
def _(told: i.CallerQueueAsked, turn: Turn) -> None:
    supervising.move_over(turn, told)


@_take.register
def _(told: i.SkillsAsked, turn: Turn) -> None:
    supervising.set_skills(turn, told)


@_take.register
def _(told: i.HelpAnswerAsked, turn: Turn) -> None:
    supervising.answer_help(turn, told)


@_take.register
def _(told: i.ThresholdsAsked, turn: Turn) -> None:
    supervising.set_thresholds(turn, told)


@_take.register
def _(told: i.EmergencyKeyed, turn: Turn) -> None:
    keyed.emergency_keyed(turn, told)


@_take.register
def _(told: i.RecordingSwitched, turn: Turn) -> None:
    pausing.switched(turn, told)


@_take.register
def _(told: i.RecordingStopTold, turn: Turn) -> None:
    recording_stopped(turn, told)


@_take.register
def _(told: i.RecordingMeasured, turn: Turn) -> None:
    if told.call not in turn.floor.unfiled:
        turn.disregard("その録音は登録済みか対象外 / filed already, or no such call")
        return
    expected = turn.floor.expected.get(told.call)
    heard = Heard(told.seconds, told.voice_s, told.clipped_s, told.problem, told.sides)
    sent = None if expected is None else expected.sent
    turn.tell(
        f.RecordingFiled(
            at=told.at,
            call=told.call,
            file=told.file,
            size=told.size,
            seconds=told.seconds,
            sha256=told.sha256,
            problem=told.problem,
            findings=() if expected is None else judge(heard, expected),
            talk=None if expected is None else expected.talk / SECOND,
            sent=None if sent is None else sent / SECOND,
        )
    )


@_take.register
def _(told: i.RecordingSealed, turn: Turn) -> None:
    if not turn.floor.beyond(told.folder, told.day, told.line):
        turn.disregard("保存済みと記録してある / told of already")
        return
    turn.tell(f.RecordingKept(**{each.name: getattr(told, each.name) for each in fields(told)}))


@_take.register
def _(told: i.Snapshot, turn: Turn) -> None:
    reconcile(turn, told)
