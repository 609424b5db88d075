"""What becomes of a message that a caller leaves, and of a task that an agent keeps: told, measured, taken, dealt with.

The rules stand in `message.py`. Old ones leave the list with whatever is told of messages next.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import MESSAGE_KEEP_DAYS, Centre
from callcore.domain.evolve import AGAIN_S
from callcore.domain.findings import Heard, judge_message
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, DepartmentId, Instant, QueueId, seconds
from callcore.domain.message import NOTE_MOST, NUMBER, RESULT_MOST, SUBJECT_MOST, VOICE_LEAST_S
from callcore.domain.numbering import national
from callcore.domain.personal import Personal
from callcore.domain.retention import order_of
from callcore.domain.stages import Said, Stage
from callcore.domain.turn import Turn

DAY_S = 86_400

HEARD_NOTHING = "伝言の録音に声がなかった / nothing was said after the tone"


def told_of(turn: Turn, told: i.MessageTold, *, reconstructed: bool = False) -> None:
    """What the dialplan tells of a caller who leaves a message."""
    call = turn.call(told.call)
    taken = call is not None and (call.message or call.callback or call.id in turn.floor.messages)
    if call is None or taken or call.stage not in (Stage.ANNOUNCED, Stage.WAITING):
        turn.disregard("案内中の呼ではない / not a call in a menu")
    elif told.said is Said.BEGAN:
        turn.tell(f.MessageBegan(at=told.at, call=call.id, reconstructed=reconstructed))
    elif call.speaks_since is None:
        turn.disregard("録音は始まっていない / no message was begun")
    elif told.said in (Said.KEPT, Said.CUT):
        turn.leave_message(call, told.at, cut=told.said is Said.CUT, reconstructed=reconstructed)
        _drop_old(turn, told.at)
    else:
        turn.tell(f.MessageEmpty(at=told.at, call=call.id, reconstructed=reconstructed))


def measured(turn: Turn, told: i.MessageMeasured) -> None:
    """Its sound was measured. Who put down without a word has left no message."""
    message = turn.floor.messages.get(told.call)
    if message is None or message.filed:
        turn.disregard("登録済みか、伝言がない / filed already, or no such message")
    elif message.otherwise is not None and told.voice_s < VOICE_LEAST_S and told.problem in (None, "empty"):
        turn.tell(f.MessageEmpty(at=told.at, call=told.call, outcome=message.otherwise, reason=HEARD_NOTHING))
    else:
        heard = Heard(told.seconds, (told.voice_s,), told.clipped_s, told.problem)
        turn.tell(
            f.MessageFiled(
                at=told.at,
                call=told.call,
                file=told.file,
                size=told.size,
                seconds=told.seconds,
                sha256=told.sha256,
                problem=told.problem,
                findings=judge_message(heard, cut=message.cut),
            )
        )


def of_last_day(floor: Floor, name: CallId, at: Instant) -> Personal | None:
    """The caller of a call that is open, or came in within the last day; None: not known, or withheld and over."""
    caller = floor.caller_of(name)
    old = caller is not None and name not in floor.calls and caller.at <= at - AGAIN_S * SECOND
    return None if old else caller


def keep(turn: Turn, told: i.TaskAsked) -> None:
    """An escalation is kept about a caller whom somebody has talked with, or who called within the last day."""
    call, caller = turn.floor.calls.get(told.call), of_last_day(turn.floor, told.call, told.at)
    centre = turn.floor.centres.get(caller.centre) if caller is not None else None
    if caller is None or centre is None or (call is not None and call.answered_at is None):
        turn.disregard("応対した入電ではない(24時間以内) / no answered call of the last day")
    elif call is not None and call.speaks_since is not None:
        turn.disregard("伝言を録音中 / the caller is leaving a message")
    elif (wrong := _wrong(turn, told, centre, told.call)) is not None:
        turn.disregard(wrong)
    else:
        note = _note(told)
        turn.tell(
            f.TaskKept(
                at=told.at,
                call=told.call,
                centre=centre.id,
                queue=centre.queues[0].id if call is None else turn.queue_now(call),
                language=None if call is None else call.language,
                subject=Personal(told.call, centre.id, caller.at, told.subject.strip()),
                note=None if note is None else Personal(told.call, centre.id, caller.at, note),
                department=_department(centre, told.department),
                due_at=turn.due_at(centre.id, told.at) if told.due_at is None else told.due_at,
                by=told.by,
            )
        )
        _begun(turn, told.call, told)


def open_task(turn: Turn, told: i.TaskOpenAsked) -> None:
    """A task with a name of its own: about a call of the archive, or about none."""
    centre = turn.floor.centres.get(told.centre)
    number = national(told.number) if told.number is not None else None
    if centre is None:
        turn.disregard(f"センター {told.centre} はない / there is no centre {told.centre}")
    elif told.task in turn.floor.messages or (told.about is not None and told.about in turn.floor.calls):
        turn.disregard("通話中か、その名前の対応待ちがある / the call goes on, or a task of that name exists")
    elif number is not None and not NUMBER.fullmatch(number):
        turn.disregard("番号は数字 2〜18 桁 / a number has 2 to 18 digits")
    elif (wrong := _wrong(turn, told, centre, told.about)) is not None:
        turn.disregard(wrong)
    else:
        note = _note(told)
        turn.tell(
            f.TaskOpened(
                at=told.at,
                call=told.task,
                about=told.about,
                centre=centre.id,
                queue=centre.queues[0].id,
                number=Personal(told.task, centre.id, told.at, told.number),
                subject=Personal(told.task, centre.id, told.at, told.subject.strip()),
                note=None if note is None else Personal(told.task, centre.id, told.at, note),
                department=_department(centre, told.department),
                due_at=turn.due_at(centre.id, told.at) if told.due_at is None else told.due_at,
                by=told.by,
            )
        )
        _begun(turn, told.task, told)


def _wrong(
    turn: Turn, told: i.TaskAsked | i.TaskOpenAsked, centre: Centre, about: CallId | None
) -> str | None:
    """Why no such task can be kept; None: it can."""
    agent = turn.floor.agents.get(told.agent) if told.agent is not None else None
    if about is not None and (
        about in turn.floor.callbacks or any(each.about == about for each in turn.floor.messages.values())
    ):
        return "この入電の対応待ちがもうある / this call has a task already"
    if not 0 < len(told.subject.strip()) <= SUBJECT_MOST:
        return f"件名は 1〜{SUBJECT_MOST} 文字 / a subject has 1 to {SUBJECT_MOST} characters"
    if len(told.note or "") > NOTE_MOST:
        return f"メモは {NOTE_MOST} 文字まで / a note has at most {NOTE_MOST} characters"
    if told.department is not None and _department(centre, told.department) is None:
        return f"短縮番号 {told.department} の部署がない / no department {told.department}"
    if told.agent is not None and (agent is None or not _serves(turn, agent.centre, agent.queues, centre.id)):
        return "このセンターのオペレーターではない / no agent of this centre"
    return None


def _note(told: i.TaskAsked | i.TaskOpenAsked) -> str | None:
    return (told.note or "").strip() or None


def _department(centre: Centre, short: str | None) -> DepartmentId | None:
    return next((each.id for each in centre.departments if each.short == short), None)


def _begun(turn: Turn, name: CallId, told: i.TaskAsked | i.TaskOpenAsked) -> None:
    if told.agent is not None:
        turn.tell(f.MessageTaken(at=told.at, call=name, agent=told.agent, by=told.by))
    _drop_old(turn, told.at)


def take(turn: Turn, told: i.MessageTakeAsked) -> None:
    """An agent of the centre, or one who serves it, takes a message; also one that was dealt with."""
    message, agent = turn.floor.messages.get(told.call), turn.floor.agents.get(told.agent)
    if message is None:
        turn.disregard("その伝言はない / no such message")
    elif agent is None or not _serves(turn, agent.centre, agent.queues, message.centre):
        turn.disregard("このセンターのオペレーターではない / no agent of this centre")
    elif message.open and message.agent == agent.id:
        turn.disregard("受け持ち済み / taken by this agent already")
    else:
        turn.tell(f.MessageTaken(at=told.at, call=told.call, agent=told.agent, by=told.by))
        _drop_old(turn, told.at)


def _serves(turn: Turn, own: CentreId, queues: tuple[QueueId, ...], centre: CentreId) -> bool:
    return own == centre or any(turn.floor.queue_centre.get(queue) == centre for queue in queues)


def close(turn: Turn, told: i.MessageCloseAsked) -> None:
    """A message was dealt with, or could not be."""
    message, text = turn.floor.messages.get(told.call), told.result.strip()
    if message is None or not message.open:
        turn.disregard("対応待ちの伝言ではない / not a message that waits")
    elif not 0 < len(text) <= RESULT_MOST:
        turn.disregard(f"結果は 1〜{RESULT_MOST} 文字 / a result has 1 to {RESULT_MOST} characters")
    else:
        kind = f.MessageDone if told.done else f.MessageUndone
        result = Personal(message.call, message.centre, message.caller.at, text)
        turn.tell(kind(at=told.at, call=told.call, result=result, by=told.by))
        _drop_old(turn, told.at)


def _drop_old(turn: Turn, at: Instant) -> None:
    for name, message in sorted(turn.floor.messages.items()):
        centre = turn.floor.centres.get(message.centre)
        days = MESSAGE_KEEP_DAYS if centre is None else centre.messages.keep_days
        # A key that an order keeps is not destroyed: its task stays on the list until the order is over.
        kept = message.own and order_of(turn.floor.keeping.values(), at, name, message.about) is not None
        if not message.open and not kept and message.state_since + seconds(days * DAY_S) <= at:
            turn.tell(f.MessageDropped(at=at, call=name))
            if message.own:
                turn.want(e.DestroyKey(name))
