"""What becomes of what an agent keys, or a person asks in an agent's stead: sign-in, pause, result, keys in a talk.

Rules
- A refusal changes nothing but the count of wrong PINs, and says why to the phone that keyed it.
- While an agent is locked out no PIN counts, so that the answer tells nothing about it.
- A result belongs to the call in hand, or to the one that is wrapped up; a later one takes its place.
"""

from __future__ import annotations

from callcore.domain import closing, pausing
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.ids import AgentId, CallId, Instant, PhoneId, after, seconds
from callcore.domain.personal import Personal
from callcore.domain.replies import refuse, reply
from callcore.domain.sides import SideCall
from callcore.domain.staff import AWAY, NOT_YET, PauseReason, Staff
from callcore.domain.stages import Device, Mark, PauseEnd, Presence, SecondSignIn, Stage, TalkKey, Work
from callcore.domain.turn import Turn, pause, resume, sign_in, sign_out

EMERGENCY_REASON = "電話機からの切替"

ABUSE_SAID = "abuse"
"""The announcement that a centre may have for a reported talk: its rule whether anything is said then."""


def who(turn: Turn, agent: AgentId | None, phone: PhoneId | None) -> AgentState | None:
    """The agent who is meant, if signed in."""
    name = agent if agent is not None else turn.floor.seated.get(phone) if phone is not None else None
    found = turn.floor.agents.get(name) if name is not None else None
    return found if found is not None and found.phone is not None else None


def _rules(turn: Turn, agent: AgentState) -> Staff:
    centre = turn.floor.centres.get(agent.centre)
    return Staff() if centre is None else centre.staff


# -- signing in ----------------------------------------------------------------------------------------------


def _refusal(turn: Turn, agent: AgentState, phone: PhoneId) -> tuple[str, str] | None:
    """The prompt and the reason why this agent may not sign in on this phone; None: may."""
    home = turn.floor.centres.get(agent.centre)
    if home is None or all(spec.id != agent.id for spec in home.agents):
        return "refused", "設定にいない / not in the files"
    if turn.floor.phone_centre.get(phone) != agent.centre:
        return "refused", "センターの電話機ではない / not a phone of the agent's centre"
    if agent.seat is not None and agent.seat != phone:
        return "other-seat", "別の席に固定 / fixed to another seat"
    if agent.work not in (Work.IDLE, Work.WRAPPING_UP):
        return "not-possible", "別の電話機で応対中 / at work on another phone"
    other = turn.floor.seated.get(phone)
    if other is not None and turn.floor.agents[other].work not in (Work.IDLE, Work.WRAPPING_UP):
        return "not-possible", "この電話機は使用中 / another agent is at work on this phone"
    if agent.phone not in (None, phone) and home.staff.second_sign_in is SecondSignIn.REFUSED:
        return "signed-in-elsewhere", "別の電話機で受付中 / signed in on another phone"
    return None


def sign_in_asked(turn: Turn, told: i.SignInAsked) -> None:
    agent = turn.floor.agents.get(told.agent)
    if agent is None:
        refuse(turn, told.channel, "refused", "番号か暗証番号が違う / wrong number or PIN")
        return
    if agent.locked(told.at):
        refuse(turn, told.channel, "locked", "暗証番号の誤りで停止中 / locked out for wrong PINs")
        return
    if not told.verified:
        _wrong_pin(turn, agent, told)
        return
    refusal = _refusal(turn, agent, told.phone)
    if refusal is not None:
        refuse(turn, told.channel, *refusal)
        return
    if agent.phone != told.phone:
        if agent.presence is not Presence.SIGNED_OUT:
            sign_out(turn, agent, told.at, "別の電話機で受付開始 / signed in on another phone")
        other = turn.floor.seated.get(told.phone)
        if other is not None:
            sign_out(
                turn, turn.floor.agents[other], told.at, "別の人が受付開始 / somebody else signed in here"
            )
        away = NOT_YET if _rules(turn, agent).begins_paused else None
        sign_in(turn, agent, told.phone, told.at, away, told.by)
    elif agent.presence is Presence.PAUSED:
        resume(turn, agent, told.at, None)  # signing in again says: here I am
    reply(turn, told.channel, "signed-in")


def dial_asked(turn: Turn, told: i.DialAsked) -> None:
    """What the number may be is the dialplan's to say, as for one that is dialled."""
    agent = who(turn, told.agent, None)
    if agent is None or agent.phone is None:
        turn.disregard("受付していない / not signed in")
    elif agent.work not in (Work.IDLE, Work.WRAPPING_UP) or agent.offer is not None:
        turn.disregard("応対中 / at work")
    elif turn.floor.phones.get(agent.phone) is not Device.FREE:
        turn.disregard("電話機が空いていない / the phone is not free")
    elif not turn.floor.may_ring(agent.phone):
        turn.disregard("台帳に合う電話機が登録されていない / what is registered does not match the inventory")
    else:
        turn.want(e.DialOut(agent.phone, told.number, told.centre or turn.floor.phone_centre[agent.phone]))


def _wrong_pin(turn: Turn, agent: AgentState, told: i.SignInAsked) -> None:
    rules = _rules(turn, agent)
    tries = agent.wrong_pins + 1
    turn.disregard("番号か暗証番号が違う / wrong number or PIN")
    turn.tell(f.PinRefused(at=told.at, agent=agent.id, phone=told.phone, tries=tries))
    if tries < rules.wrong_pins:
        reply(turn, told.channel, "refused")
        return
    until = after(told.at, seconds(rules.lock_s))
    turn.tell(f.AgentLocked(at=told.at, agent=agent.id, phone=told.phone, until=until))
    turn.want(
        e.Alarm(
            f"オペレーター {agent.id} は暗証番号の誤り {tries} 回で停止 / "
            f"agent {agent.id} is locked out after {tries} wrong PINs",
            agent.centre,
            told.phone,
        )
    )
    reply(turn, told.channel, "locked")


def unlock_asked(turn: Turn, told: i.UnlockAsked) -> None:
    agent = turn.floor.agents.get(told.agent)
    if agent is None or not (agent.locked(told.at) or agent.wrong_pins):
        turn.disregard("停止されていない / not locked out")
        return
    turn.tell(f.AgentUnlocked(at=told.at, agent=agent.id, by=told.by))


# -- pause and after-call work -------------------------------------------------------------------------------


def pause_asked(turn: Turn, told: i.PauseAsked) -> None:
    agent = who(turn, told.agent, told.phone)
    if agent is None:
        refuse(turn, told.channel, "refused", "受付していない / not signed in")
        return
    rules = _rules(turn, agent)
    reason = rules.pause_named(told.reason) if told.key is None else rules.pause(told.key)
    if reason is None and told.key is not None:
        refuse(turn, told.channel, "no-such-code", "その数字の理由はない / there is no reason of that digit")
        return
    name = told.reason or AWAY if reason is None else reason.name
    if agent.pause == name:
        turn.disregard("その理由で離席中 / paused for that reason already")
    elif reason is not None and not _has_room(turn, agent, reason):
        refuse(
            turn, told.channel, "pause-full", "その理由の離席は上限に達している / as many as may are away so"
        )
        return
    else:
        pause(turn, agent, told.at, name, told.by, None if reason is None else reason.longest_s)
    reply(turn, told.channel, "paused")


def _has_room(turn: Turn, agent: AgentState, reason: PauseReason) -> bool:
    away = sum(
        other.pause == reason.name and other.centre == agent.centre and other.id != agent.id
        for other in turn.floor.agents.values()
    )
    return reason.at_once is None or away < reason.at_once


def pause_timer(turn: Turn, name: AgentId, at: Instant) -> None:
    agent = turn.floor.agents.get(name)
    due = None if agent is None else agent.pause_due
    if agent is None or agent.pause is None or due is None or due > at:
        turn.disregard("そのタイマーは無効 / that timer is void")
        return
    turn.tell(f.PauseOverran(at=at, agent=name, reason=agent.pause))


def extend_asked(turn: Turn, told: i.WrapUpExtendAsked) -> None:
    agent = who(turn, told.agent, told.phone)
    queue = turn.floor.queues.get(agent.last_queue) if agent is not None and agent.last_queue else None
    if agent is None or agent.wrap_up_until is None or agent.talk_ended_at is None or queue is None:
        refuse(turn, told.channel, "not-possible", "後処理中ではない / not in after-call work")
        return
    until = min(
        after(agent.wrap_up_until, seconds(queue.acw_extend_s)),
        after(agent.talk_ended_at, seconds(queue.acw_most_s)),
    )
    if agent.relayed:
        until = agent.wrap_up_until  # it has no end that could come nearer
    elif until <= agent.wrap_up_until:
        refuse(
            turn,
            told.channel,
            "not-possible",
            "後処理の上限に達した / after-call work is as long as it may be",
        )
        return
    turn.tell(f.WrapUpExtended(at=told.at, agent=agent.id, until=until, by=told.by))
    turn.want(e.SetTimer(i.Timer(i.TimerKind.WRAP_UP, agent.id), until))
    reply(turn, told.channel, "extended")


# -- the result ----------------------------------------------------------------------------------------------


def result_asked(turn: Turn, told: i.ResultAsked) -> None:
    agent = who(turn, told.agent, told.phone)
    if agent is None or agent.last_call is None:
        refuse(
            turn, told.channel, "not-possible", "通話中でも後処理中でもない / no call in hand or wrapped up"
        )
        return
    centre = turn.floor.centres.get(agent.at_work_for or agent.centre)
    result = None if centre is None else centre.staff.result(told.key)
    if result is None:
        refuse(turn, told.channel, "no-such-code", "その数字の結果はない / there is no result of that digit")
        return
    turn.tell(
        f.ResultKeyed(
            at=told.at,
            call=agent.last_call,
            agent=agent.id,
            result=result.name,
            kind=result.kind,
            by=told.by,
        )
    )
    reply(turn, told.channel, "result-keyed")


NOTE_MOST = 200
"""Characters of a note: a line or two, no record of what was said."""


def note_asked(turn: Turn, told: i.NoteAsked) -> None:
    """Sealed under the call's key, so that it goes with the caller's number when that is erased."""
    agent, text = turn.floor.agents.get(told.agent), told.text.strip()
    if agent is None or agent.last_call is None:
        turn.disregard("通話中でも後処理中でもない / no call in hand or wrapped up")
        return
    if not 0 < len(text) <= NOTE_MOST or not text.isprintable():
        turn.disregard(f"メモは 1〜{NOTE_MOST} 文字 / a note has 1 to {NOTE_MOST} characters")
        return
    caller = turn.floor.caller_of(agent.last_call)
    centre = agent.at_work_for or agent.centre
    sealed = Personal(agent.last_call, centre, told.at if caller is None else caller.at, text)
    turn.tell(f.CallNoted(at=told.at, call=agent.last_call, agent=agent.id, text=sealed, by=told.by))


# -- emergency closure ---------------------------------------------------------------------------------------


def emergency_keyed(turn: Turn, told: i.EmergencyKeyed) -> None:
    """By who may (the centre file says so), until the local midnight that comes next, or until it is ended."""
    agent = who(turn, None, told.phone)
    home = None if agent is None else turn.floor.centres.get(agent.centre)
    may = home is not None and any(
        spec.id == agent.id and spec.emergency for spec in home.agents if agent is not None
    )
    action = "emergency_begin" if told.on else "emergency_end"
    if agent is None or home is None or not may:
        if agent is not None and home is not None:
            why = "緊急案内切替の権限がない / not allowed to"
            turn.want(e.NoteInTrail(action, home.id, f"agent:{agent.id}", told.phone, False, why))
        refuse(turn, told.channel, "not-possible", "緊急案内切替の権限がない / not allowed to")
        return
    known = turn.floor.emergencies.get(home.id)
    if (known is not None and known.on(told.at)) is told.on:
        turn.disregard("すでにそうなっている / it is so already")
    elif told.on:
        closing.begin(
            turn,
            i.EmergencyAsked(at=told.at, centre=home.id, reason=EMERGENCY_REASON, by=f"agent:{agent.id}"),
        )
    else:
        closing.end(turn, i.EmergencyEndAsked(at=told.at, centre=home.id, by=f"agent:{agent.id}"))
    if turn.facts:
        turn.want(e.NoteInTrail(action, home.id, f"agent:{agent.id}", told.phone, True, EMERGENCY_REASON))
    reply(turn, told.channel, "emergency-on" if told.on else "emergency-off")


# -- keys inside a talk --------------------------------------------------------------------------------------


def talk_keyed(turn: Turn, told: i.TalkKeyed) -> None:
    call = _talk(turn, told)
    out = _call_out(turn, told) if call is None and told.key is TalkKey.RECORDING else None
    if out is not None:
        pausing.switch(turn, out, told)
        return
    if call is None:
        refuse(turn, told.channel, "key-refused", "通話中ではない / not in a talk")
        return
    match told.key:
        case TalkKey.HELP if call.help_since is not None:
            turn.tell(f.HelpEnded(at=told.at, call=call.id, agent=call.talking_with, by=told.by))
            reply(turn, told.channel, "undone")
        case TalkKey.HELP:
            turn.tell(f.HelpAsked(at=told.at, call=call.id, agent=call.talking_with, by=told.by))
            reply(turn, told.channel, "help-asked")
        case TalkKey.RELAY:
            _mark(turn, call, told, Mark.RELAY, not call.relay)
            reply(turn, told.channel, "undone" if call.relay else "relay-marked")
        case TalkKey.ABUSE:
            _abuse(turn, call, told)
        case TalkKey.RECORDING:
            pausing.switch(turn, call, told)


def _talk(turn: Turn, told: i.TalkKeyed) -> Call | None:
    """The talk that is meant: that of the leg, or of the agent."""
    if told.leg is not None:
        call = turn.floor.call_of(told.leg)
        return (
            call
            if call is not None and call.stage is Stage.TALKING and call.talking_leg == told.leg
            else None
        )
    agent = who(turn, told.agent, told.phone)
    call = None if agent is None or agent.call is None else turn.floor.calls.get(agent.call)
    return call if call is not None and call.stage is Stage.TALKING else None


def _call_out(turn: Turn, told: i.TalkKeyed) -> SideCall | None:
    """The call out that is meant, whose recording may be paused: that of the leg, or of the agent."""
    if told.leg is not None:
        out = turn.floor.sides.get(CallId(told.leg))
    else:
        agent = who(turn, told.agent, told.phone)
        out = None if agent is None or agent.side is None else turn.floor.sides.get(agent.side)
    return out if out is not None and out.may_pause else None


def _mark(turn: Turn, call: Call, told: i.TalkKeyed, mark: Mark, on: bool = True) -> None:
    turn.tell(f.CallMarked(at=told.at, call=call.id, mark=mark, agent=call.talking_with, on=on, by=told.by))


def _abuse(turn: Turn, call: Call, told: i.TalkKeyed) -> None:
    """Marked once; the supervisor is asked for, and what is said from now on is recorded."""
    if call.abuse:
        turn.disregard("通報済み / reported already")
    else:
        _mark(turn, call, told, Mark.ABUSE)
        centre = turn.floor.centres.get(call.centre)
        if centre is not None and any(said.kind == ABUSE_SAID for said in centre.announcements):
            language = call.language or centre.languages[0]
            turn.want(e.SayInTalk(call.channel_name, call.talking_leg, call.centre, ABUSE_SAID, language))
        turn.want(e.ProtectRecording(call.id))
    if call.help_since is None:
        turn.tell(f.HelpAsked(at=told.at, call=call.id, agent=call.talking_with, by=told.by))
    turn.record_on(call, PauseEnd.REPORTED)
    reply(turn, told.channel, "abuse-marked")
