"""Who is in one bridge with the caller: an agent (the answer), a colleague whom the agent has asked (二次対応), or a
department (the transfer). Nothing else tells any of them: no REFER, no NOTIFY, no event of that name.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.call import Call, Leg
from callcore.domain.ids import CallId, ChannelId, Instant, PhoneId
from callcore.domain.sides import SideCall
from callcore.domain.stages import Stage
from callcore.domain.turn import Turn


def consulted_for(turn: Turn, side: SideCall, told: i.SideDialBegan, *, reconstructed: bool = False) -> None:
    """The far end of a consult is a leg of the held caller's call, too: that is how a transfer is known."""
    call = turn.floor.calls.get(side.beside) if side.beside is not None else None
    if call is None or told.channel in turn.floor.channels:
        return
    turn.tell(
        f.LegBegan(
            at=told.at,
            call=call.id,
            channel=told.channel,
            phone=told.phone,
            agent=turn.floor.seated.get(told.phone) if told.phone is not None else None,
            offer=None,
            side=side.id,
            department=side.department,
            reconstructed=reconstructed,
        )
    )


def put_through(turn: Turn, call: Call, at: Instant, leg: Leg, *, reconstructed: bool = False) -> None:
    """Caller and department are in one bridge."""
    turn.tell(
        f.CallTransferred(
            at=at,
            call=call.id,
            agent=call.parted_from,
            department=leg.department,
            channel=leg.channel,
            blind=not leg.asked,
            side=leg.side,
            reconstructed=reconstructed,
        )
    )
    turn.want(e.MarkTransferred(call.id, call.channel_name, at))
    stop_recording(turn, turn.floor.calls[call.id], consult=leg.side is not None and not leg.asked)


def stop_recording(turn: Turn, call: Call, *, consult: bool = False) -> None:
    """As the centre's rule wants of a caller who is with a department. `consult`: the caller has taken the phone's
    place while it rang, and with it the recording of a consult that is none."""
    transfer = call.transfer
    if call.stage is not Stage.TRANSFERRED or transfer is None or transfer.unrecorded:
        return
    own = not turn.records_to_the_end(call)
    asked = any(isinstance(each, e.StopRecording) and each.call == call.id for each in turn.effects)
    if (own or consult) and not asked:
        turn.want(e.StopRecording(call.id, call.channel_name, transfer.channel, own, consult))


def recording_stopped(turn: Turn, told: i.RecordingStopTold) -> None:
    call = turn.floor.calls.get(told.call)
    transfer = call.transfer if call is not None and call.stage is Stage.TRANSFERRED else None
    if call is None or transfer is None or transfer.unrecorded:
        turn.disregard("取り次いだ通話ではない / not with a department any more")
        return
    turn.tell(f.RecordingStopped(at=max(told.at, transfer.since), call=call.id, since=transfer.since))


def pass_on(turn: Turn, told: i.TransferAsked) -> None:
    """Whether it may be; what comes of it is told by the bridges."""
    agent = turn.floor.agents.get(told.agent)
    call = turn.floor.calls.get(agent.call) if agent is not None and agent.call is not None else None
    if call is None or call.stage is not Stage.TALKING:
        turn.disregard("通話中ではない / not in a talk")
        return
    if told.short is None:
        consulted = (leg for leg in reversed(call.legs) if leg.side is not None and leg.bridge is not None)
        far = next((leg for leg in consulted if leg.channel != call.talking_leg), None)
        if far is None:
            turn.disregard("相談中の相手がいない / nobody is being consulted")
            return
        turn.want(e.PutThrough(call.id, call.channel_name, leg=far.channel))
        return
    centre = turn.floor.centres.get(call.centre)
    if centre is None or not centre.transfers.blind:
        turn.disregard("このセンターでは相談してから取り次ぐ / this centre asks the department first")
    elif all(each.short != told.short for each in centre.departments):
        turn.disregard(f"短縮番号 {told.short} の部署がない / no department {told.short}")
    else:
        turn.want(e.PutThrough(call.id, call.channel_name, short=told.short))


def transfer_begins(turn: Turn, call: Call, told: i.TransferTold, *, reconstructed: bool = False) -> None:
    """A department is to be rung for a caller whom nobody else is with."""
    if reconstructed:
        turn.recorded_again(call)
        call = turn.floor.calls[call.id]
    turn.tell(
        f.TransferBegan(
            at=told.at,
            call=call.id,
            agent=call.parted_from,
            department=told.department,
            closed=told.closed,
            reconstructed=reconstructed,
        )
    )


def transfer_ends(
    turn: Turn, call: Call, channel: ChannelId, at: Instant, *, reconstructed: bool = False
) -> None:
    """If this is one of the two who were together, they are not any more."""
    if call.stage is not Stage.TRANSFERRED or call.transfer is None:
        return
    if channel in (call.channel, call.transfer.channel):
        turn.end_transfer(call, at, reconstructed=reconstructed)


def release_held(turn: Turn, phone: PhoneId) -> None:
    """A phone that is gone sends nothing for a caller whom it holds, which Asterisk takes for no fault for an hour: its
    leg is hung up, and the caller comes back to the head of the line."""
    for call in turn.floor.calls.values():
        if call.held_leg is not None and call.held_leg == call.talking_leg:
            for leg in call.legs:
                if leg.channel == call.talking_leg and leg.phone == phone:
                    turn.want(e.HangUp(leg.channel))


def joined(turn: Turn, name: CallId, channel: ChannelId, at: Instant) -> None:
    """If this channel has come to where the caller and a phone are now, and no talk is on, this is the answer."""
    call = turn.floor.calls[name]
    over = call.stage in (Stage.TALKING, Stage.TRANSFERRED)
    if call.bridge is None or over or call.refused_as is not None:
        return
    for leg in call.legs[1:]:
        if leg.bridge == call.bridge and channel in (call.channel, leg.channel):
            if leg.phone is not None:
                turn.answer(call, at, leg)
            elif call.stage is Stage.PARTED:
                put_through(turn, call, at, leg)
            return
