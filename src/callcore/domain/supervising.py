"""What a supervisor does to the floor: being at an agent's talk, taking it over, moving waiting callers, skills, help,
thresholds.

Rules
- Whoever is at a talk uses the own desk phone, signed in there as an agent, and with nothing else in hand.
- Nothing of a watch touches the call; a take-over alone does: the caller is led to the supervisor's phone once that has
  picked up, so that nobody is left alone, and the first agent wraps up.
- A moved caller keeps the wait and the arrival: going first is a matter of priority, another queue another visit.
- A refusal says why, and changes nothing.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.centre import Centre, Display
from callcore.domain.evolve import filed_skills
from callcore.domain.floor import Floor, place_of
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, PhoneId
from callcore.domain.stages import Device, Stage, WatchMode, Work
from callcore.domain.turn import Turn
from callcore.domain.watch import Thresholds, Watch

LEVEL_MOST = 9
"""The worst level of a skill."""
WAITING_MOST, WAIT_MOST_S = 999, 3600
"""The largest thresholds: of callers, and of seconds."""

_SHOWN = {
    WatchMode.LISTEN: ("聴取", "listen"),
    WatchMode.WHISPER: ("ささやき", "whisper"),
    WatchMode.BARGE: ("割込", "barge in"),
    WatchMode.TAKE: ("引継", "take over"),
}


# -- at an agent's talk --------------------------------------------------------------------------------------


def watch(turn: Turn, told: i.WatchAsked) -> None:
    floor = turn.floor
    agent = floor.agents.get(told.agent)
    call = floor.calls.get(agent.call) if agent is not None and agent.call is not None else None
    watcher = floor.agents.get(told.watcher) if told.watcher is not None else None
    if agent is None or call is None or call.stage is not Stage.TALKING or call.talking_leg is None:
        turn.disregard("オペレーターは通話中ではない / the agent is not in a talk")
        return
    if told.watcher is None:
        turn.disregard(
            "利用者にオペレーター番号がない。管理者に登録を頼む / your account has no agent's number: have the "
            "administrator enter it"
        )
        return
    if watcher is None or watcher.phone is None:
        turn.disregard(
            "自分の電話機で受付していない。*11 で受付してから / you are not signed in at a desk phone: do so by *11"
        )
        return
    if watcher.id == agent.id:
        turn.disregard("自分の通話 / it is your own talk")
        return
    if told.mode is WatchMode.TAKE and not _serves(floor, watcher, call):
        turn.disregard("このセンターのオペレーターではない / you are no agent of this centre")
        return
    known = floor.watches.get(watcher.watch) if watcher.watch is not None else None
    if known is not None:
        _go_on(turn, known, call, told)
        return
    why = _hindered(floor, watcher, watcher.phone)
    if why is not None:
        turn.disregard(why)
        return
    # No unique id of Asterisk's own has a 0 in front behind the dot, and no call-back's has two.
    name = ChannelId(f"{call.node}-{told.at // SECOND}.00{floor.watches_made + 1}")
    turn.tell(
        f.WatchBegan(
            at=told.at,
            watch=name,
            node=call.node,
            call=call.id,
            agent=agent.id,
            leg=call.talking_leg,
            watcher=watcher.id,
            phone=watcher.phone,
            mode=told.mode,
            by=told.by,
        )
    )
    home = floor.centres.get(watcher.centre)
    phones = home.phones if home is not None else ()
    roman = any(each.id == watcher.phone and each.display is Display.ROMAN for each in phones)
    shown = f"{_SHOWN[told.mode][roman]} {agent.id}"
    turn.want(e.WatchTalk(name, watcher.phone, call.talking_leg, told.mode, agent.id, shown))


def _serves(floor: Floor, watcher: AgentState, call: Call) -> bool:
    """Whether the supervisor may have the centre's callers: as an agent of it, or as a guest (兼務)."""
    return watcher.centre == call.centre or any(
        floor.queue_centre.get(queue) == call.centre for queue in watcher.queues
    )


def _hindered(floor: Floor, watcher: AgentState, phone: PhoneId) -> str | None:
    """Why this phone cannot be rung for its supervisor now; None: it can."""
    device = floor.phones.get(phone)
    if not floor.linked:
        return "Asterisk に接続していない / there is no link to Asterisk"
    if watcher.work not in (Work.IDLE, Work.WRAPPING_UP):
        return "自分が応対中か呼出中 / you are at work yourself, or your phone rings"
    if device is Device.BUSY:
        return "自分の電話機が使用中 / your desk phone is in use"
    if device is not Device.FREE:
        return "自分の電話機が登録されていない / your desk phone is not registered"
    if not floor.may_ring(phone):
        return "自分の電話機が台帳と一致しない / your desk phone is not that of the inventory"
    return None


def _go_on(turn: Turn, known: Watch, call: Call, told: i.WatchAsked) -> None:
    """The supervisor's phone is at a talk already."""
    if known.call != call.id or known.leg != call.talking_leg:
        turn.disregard("別の通話を聴いている。先に終える / you are at another talk: end that first")
    elif not known.heard:
        turn.disregard("先に受話器を取る / pick up your phone first")
    elif known.mode is told.mode and told.mode is not WatchMode.TAKE:
        turn.disregard("すでにそうしている / you are doing so already")
    else:
        turn.tell(f.WatchTurned(at=told.at, watch=known.id, call=call.id, mode=told.mode, by=told.by))
        if told.mode is WatchMode.TAKE:
            _take_over(turn, turn.floor.watches[known.id], told)
        else:
            turn.want(e.TurnWatch(known.id, told.mode))


def stop_watching(turn: Turn, told: i.WatchStopAsked) -> None:
    watcher = turn.floor.agents.get(told.watcher) if told.watcher is not None else None
    if watcher is None or watcher.watch is None:
        turn.disregard("どの通話も聴いていない / you are at nobody's talk")
        return
    turn.want(e.HangUp(watcher.watch))


def picked_up(turn: Turn, told: i.WatchTold) -> None:
    known = turn.floor.watches.get(told.watch)
    if known is None or known.heard:
        turn.disregard("その聴取は記録済みか終わっている / known already, or over")
        return
    turn.tell(f.WatchHeard(at=told.at, watch=known.id, call=known.call))
    if known.mode is WatchMode.TAKE:
        _take_over(turn, known, told)


def _take_over(turn: Turn, known: Watch, told: i.Input) -> None:
    """The supervisor's channel becomes a leg of the call, and the caller is led to it; that they are together is told
    by the bridge, as of every answer."""
    call = turn.floor.calls.get(known.call)
    if call is None or call.stage is not Stage.TALKING or call.talking_leg != known.leg:
        turn.want(e.HangUp(known.id))  # the talk has ended meanwhile
        return
    if call.leg(known.id) is None:
        turn.tell(
            f.LegBegan(
                at=told.at,
                call=call.id,
                channel=known.id,
                phone=known.phone,
                agent=known.watcher,
                offer=None,
                side=CallId(known.id),
            )
        )
    turn.want(e.PutThrough(call.id, call.channel_name, leg=known.id))


# -- waiting callers -----------------------------------------------------------------------------------------


def _unmovable(call: Call | None) -> str | None:
    """Why this caller cannot be moved now; None: can."""
    if call is None or call.visit is None or call.stage not in (Stage.WAITING, Stage.OFFERED):
        return "待っている入電者ではない / not a waiting caller"
    if call.stage is Stage.OFFERED:
        return "いま電話機を呼び出している / a phone rings for this caller just now"
    if call.in_net:
        return "非常時分配が分配中 / the safety net distributes this caller"
    if call.in_menu:
        return "メニューの中にいる / the caller is in a menu"
    if not call.may_be_offered:
        return "待ちを終えるところ / the wait is about to end"
    return None


def move_up(turn: Turn, told: i.CallerUpAsked) -> None:
    call = turn.floor.calls.get(told.call)
    why = _unmovable(call)
    if call is None or call.visit is None or why is not None:
        turn.disregard(why or "待っている入電者ではない / not a waiting caller")
        return
    queue = call.visit.queue
    ahead = [
        place
        for line, places in turn.floor.lines.items()
        if line.queue == queue
        for place in places
        if place < place_of(call)
    ]
    ahead += [
        back.place
        for back in turn.floor.callbacks.values()
        if back.queue == queue and back.place < place_of(call)
    ]
    if not ahead:
        turn.disregard("すでに先頭 / first already")
        return
    first = min(place[0] for place in ahead)
    turn.tell(f.CallerMovedUp(at=told.at, call=call.id, visit=call.visit.id, priority=first - 1, by=told.by))


def move_over(turn: Turn, told: i.CallerQueueAsked) -> None:
    call = turn.floor.calls.get(told.call)
    why = _unmovable(call)
    if call is None or why is not None:
        turn.disregard(why or "待っている入電者ではない / not a waiting caller")
    elif turn.floor.queue_centre.get(told.queue) != call.centre:
        turn.disregard("このセンターの待ち行列ではない / no queue of this centre")
    elif told.queue == call.queue:
        turn.disregard("すでにその待ち行列にいる / in that queue already")
    else:
        turn.move(call, told.at, told.queue, ("責任者が移した / moved by a supervisor",), by=told.by)


# -- agents, and the board -----------------------------------------------------------------------------------


def known_skills(floor: Floor) -> frozenset[str]:
    """What an agent can have: every skill that an agent or a queue of the files names, and every language."""
    return frozenset[str]().union(*(skills_of(centre) for centre in floor.centres.values()))


def skills_of(centre: Centre) -> frozenset[str]:
    """The same of one centre's file."""
    agents = {skill for agent in centre.agents for skill, _ in agent.skills}
    queues = {skill for queue in centre.queues for skill, _ in queue.needs}
    return frozenset(agents | queues | set(centre.languages))


def set_skills(turn: Turn, told: i.SkillsAsked) -> None:
    agent = turn.floor.agents.get(told.agent)
    if agent is None or agent.phone is None:
        turn.disregard("受付していない / not signed in")
        return
    by_hand = told.skills is not None
    skills = tuple(sorted(filed_skills(turn.floor, agent) if told.skills is None else told.skills))
    wrong = sorted({name for name, _ in skills} - known_skills(turn.floor))
    if by_hand and wrong:
        turn.disregard(f"設定にない技能: {', '.join(wrong)} / a skill that no centre file names")
    elif any(not 1 <= level <= LEVEL_MOST for _, level in skills):
        turn.disregard(f"レベルは 1〜{LEVEL_MOST} / a level is 1 to {LEVEL_MOST}")
    elif len({name for name, _ in skills}) < len(skills):
        turn.disregard("同じ技能が二度ある / the same skill twice")
    elif (skills, by_hand) == (tuple(sorted(agent.skills)), agent.skills_by_hand):
        turn.disregard("変化なし / no change")
    else:
        turn.tell(f.SkillsSet(at=told.at, agent=agent.id, skills=skills, by_hand=by_hand, by=told.by))


def answer_help(turn: Turn, told: i.HelpAnswerAsked) -> None:
    call = helped(turn.floor, told.agent)
    if call is None:
        turn.disregard("手上げしていない / the agent does not ask for help")
    elif call.help_by is not None:
        turn.disregard(f"すでに {call.help_by} が対応 / {call.help_by} sees to it already")
    else:
        turn.tell(f.HelpAnswered(at=told.at, call=call.id, agent=told.agent, by=told.by))


def helped(floor: Floor, name: AgentId) -> Call | None:
    """The talk in which this agent asks for help."""
    agent = floor.agents.get(name)
    call = floor.calls.get(agent.call) if agent is not None and agent.call is not None else None
    return call if call is not None and call.stage is Stage.TALKING and call.help_since is not None else None


def set_thresholds(turn: Turn, told: i.ThresholdsAsked) -> None:
    wanted = Thresholds(told.waiting, told.wait_s)
    if told.centre not in turn.floor.centres:
        turn.disregard("そのセンターはない / no such centre")
    elif wanted.waiting is not None and not 1 <= wanted.waiting <= WAITING_MOST:
        turn.disregard(f"待ち人数は 1〜{WAITING_MOST} / 1 to {WAITING_MOST} waiting callers")
    elif wanted.wait_s is not None and not 1 <= wanted.wait_s <= WAIT_MOST_S:
        turn.disregard(f"待ち時間は 1〜{WAIT_MOST_S} 秒 / 1 to {WAIT_MOST_S} seconds of a wait")
    elif wanted == turn.floor.thresholds.get(told.centre, Thresholds()):
        turn.disregard("変化なし / no change")
    else:
        turn.tell(
            f.ThresholdsSet(
                at=told.at, centre=told.centre, waiting=told.waiting, wait_s=told.wait_s, by=told.by
            )
        )
