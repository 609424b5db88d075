"""A talk's recording is paused by its agent, and goes on.

Rules
- Who pauses is with the caller, in a talk, also while the caller is held. The pause is the talk's own: it lasts through
  hold and consult, its time counts on meanwhile, and it ends with the talk, however that ends. Of what comes then,
  another agent's talk or the department's, nothing is paused.
- It ends by itself after the centre's time, counted from when Asterisk had paused. A consult has a recording of its
  own, which is not paused.
- A call out, or to a department, is a talk in this sense: its recording is paused by who made it, and ends with it. Not
  so a consult, a call to an emergency number, and one to a 連絡用番号.
- Not to be paused is the recording of a call that was reported (悪質・脅迫); reporting ends a pause.
- It is paused, or goes on, when Asterisk has said so. What ought to go on, by what the floor knows (its time is over,
  its talk is over, the call was reported), is tried again until it does, by whoever decides then. So is that of a
  call out that is over and on which its agent left somebody. What was asked for by key or page and failed is not: who
  asked hears that it is paused still, relies on it, and may ask again.
- A channel that says it is paused, of a call that is not, goes on: callcore may have died before it wrote the pause
  down. Where the dialplan had it go on, for it came by there, that was when the talk ended, whenever callcore comes to
  know of it.
"""

from __future__ import annotations

from collections.abc import Container

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.call import Call
from callcore.domain.centre import Recordings
from callcore.domain.ids import CallId, ChannelId, Instant, after, seconds
from callcore.domain.replies import refuse, reply
from callcore.domain.sides import SideCall
from callcore.domain.stages import PauseAs, PauseEnd, Stage
from callcore.domain.turn import RECORD_AGAIN_S, Turn

ON_ITS_WAY_S = 10
"""For so many seconds at most a pause may stand on the channel before the core is told that it is one: two actions,
each of which is given up after 2 s, behind others."""


Talk = Call | SideCall


def _of(turn: Turn, name: CallId) -> Talk | None:
    return turn.call(name) or turn.floor.sides.get(name)


def _rules(turn: Turn, call: Talk) -> Recordings:
    centre = turn.floor.centres.get(call.centre)
    return Recordings(pause=PauseAs.NO) if centre is None else centre.recordings


def switch(turn: Turn, call: Talk, told: i.TalkKeyed) -> None:
    """The agent asks, or somebody in the agent's stead: to pause, and once more to go on."""
    paused = call.unrecorded_since is None
    if paused and _rules(turn, call).pause is PauseAs.NO:
        refuse(
            turn, told.channel, "key-refused", "録音一時停止は許可されていない / not allowed in this centre"
        )
    elif paused and not call.may_pause:
        refuse(
            turn, told.channel, "key-refused", "通報した通話は録音し続ける / a reported call stays recorded"
        )
    else:
        why = None if paused else PauseEnd.ASKED
        turn.want(
            e.SwitchRecording(
                call.id, call.channel_name, paused, call.talking_with, told.by, told.channel, why
            )
        )


def switched(turn: Turn, told: i.RecordingSwitched) -> None:
    call = _of(turn, told.call)
    if call is None:
        refuse(turn, told.channel, "key-refused", "その通話は終わっている / that call is over")
        for leg in _left_on(turn, told.call):
            if told.paused:  # just when who was called was left with somebody else
                _goes_on_there(turn, told.call, leg)
            elif not told.done and not told.refused:
                again = after(told.at, seconds(RECORD_AGAIN_S))
                turn.want(e.SetTimer(i.Timer(i.TimerKind.RECORDING, leg), again))
    elif not told.done:
        refuse(turn, told.channel, "key-refused", "Asterisk が受け付けない / Asterisk refused it")
        if told.paused:  # it may have done it all the same
            turn.want(e.SwitchRecording(call.id, call.channel_name, False))
    elif not told.paused:
        if call.unrecorded_since is None:
            turn.disregard("録音中 / recorded already")
        else:
            early = told.why is PauseEnd.ASKED
            turn.tell(f.RecordingResumed(at=told.at, call=call.id, early=early, by=told.by, why=told.why))
        reply(turn, told.channel, "recording-resumed")
    else:
        _paused(turn, call, told)


def _paused(turn: Turn, call: Talk, told: i.RecordingSwitched) -> None:
    rules = _rules(turn, call)
    over = not call.may_pause or call.talking_with != told.agent
    if over or rules.pause is PauseAs.NO:
        turn.want(e.SwitchRecording(call.id, call.channel_name, False))  # the talk was over meanwhile
        refuse(turn, told.channel, "key-refused", "通話は終わっている / the talk is over")
        return
    if call.unrecorded_since is not None:
        turn.disregard("一時停止中 / paused already")
    else:
        until = after(told.at, seconds(rules.pause_s))
        gap = rules.pause is PauseAs.GAP
        turn.tell(
            f.RecordingPaused(at=told.at, call=call.id, agent=told.agent, until=until, by=told.by, gap=gap)
        )
        turn.want(e.SetTimer(i.Timer(i.TimerKind.RECORDING, call.id), until))
    reply(turn, told.channel, "recording-paused")


def timer(turn: Turn, name: CallId, at: Instant) -> None:
    """`name`: of the call; or of the leg on which the recording of one that is over goes on."""
    call, leg = _of(turn, name), ChannelId(name)
    over = turn.floor.leaving.get(leg)
    if over is not None and leg in _left_on(turn, over):
        _goes_on_there(turn, over, leg)
        return
    why = None if call is None else _over(call, at)
    # Where a talk ended unseen, the dialplan may have had it go on; the first look tells.
    if call is None or why is None or (why is PauseEnd.TALK_ENDED and not turn.floor.linked):
        turn.disregard("そのタイマーは無効 / that timer is void")
    else:
        turn.record_on(call, why)


def seen(turn: Turn, call: Talk, channel: i.ChannelSeen, look: i.Snapshot, old: Instant) -> None:
    """Of a call that is there: what the channel says of its recording. The look knows what was told until `old`."""
    since = call.unrecorded_since
    if since is None:
        told = channel.paused is not None and abs(look.at - channel.paused) > seconds(ON_ITS_WAY_S)
        if channel.paused is not None and (look.first or told):
            turn.want(e.SwitchRecording(call.id, call.channel_name, False, why=PauseEnd.FOUND))
    elif since <= old:
        if isinstance(call, Call) and _left(call, since):
            if channel.paused is None:
                turn.recorded_again(call)
            else:
                turn.record_on(call, PauseEnd.TALK_ENDED)
        elif channel.paused is None:
            turn.want(e.SwitchRecording(call.id, call.channel_name, False, why=PauseEnd.FOUND))


def seen_over(turn: Turn, present: Container[ChannelId]) -> None:
    """The first look at calls out that are over and whose recording goes on: whoever died may not have had it do so
    after a pause. One that was not paused is none the worse for it."""
    for leg, name in sorted(turn.floor.leaving.items()):
        if leg in present and leg in _left_on(turn, name):
            _goes_on_there(turn, name, leg)


def _left_on(turn: Turn, name: CallId) -> list[ChannelId]:
    """The legs on which the recording of a call out that is over goes on: the phone's transfer key left who was called
    with somebody else."""
    expected = turn.floor.expected.get(name)
    if expected is None or expected.apart is None or not expected.apart.stays:
        return []
    return sorted(leg for leg, call in turn.floor.leaving.items() if call == name)


def _goes_on_there(turn: Turn, name: CallId, leg: ChannelId) -> None:
    turn.want(e.SwitchRecording(name, leg, False, why=PauseEnd.TALK_ENDED))


def _over(call: Talk, at: Instant) -> PauseEnd | None:
    """Why a pause that goes on ought to be over, by what the floor knows."""
    if call.unrecorded_since is None or call.unrecorded_due is None:
        return None
    if isinstance(call, Call) and _left(call, call.unrecorded_since):
        return PauseEnd.TALK_ENDED
    if isinstance(call, Call) and call.abuse:
        return PauseEnd.REPORTED
    return PauseEnd.TIME if call.unrecorded_due <= at else None


def _left(call: Call, since: Instant) -> bool:
    """Whether the talk in which the recording was paused is over."""
    return call.stage is not Stage.TALKING or (call.talk_since is not None and call.talk_since > since)
