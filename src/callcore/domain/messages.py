"""What becomes of a message that a caller leaves: told by the dialplan, measured, taken by an agent, dealt with.

The rules stand in `message.py`. Old ones leave the list with whatever is told of messages next.
"""

from __future__ import annotations

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import MESSAGE_KEEP_DAYS
from callcore.domain.ids import CentreId, Instant, QueueId, seconds
from callcore.domain.message import RESULT_MOST, VOICE_LEAST_S
from callcore.domain.personal import Personal
from callcore.domain.stages import Said, Stage
from callcore.domain.turn import Turn

DAY_S = 86_400

HEARD_NOTHING = "伝言の録音に声がなかった / nothing was said after the tone"


def told_of(turn: Turn, told: i.MessageTold, *, reconstructed: bool = False) -> None:
    """What the dialplan tells of a caller who leaves a message."""
    call = turn.call(told.call)
    if call is None or call.stage not in (Stage.ANNOUNCED, Stage.WAITING) or call.message or call.callback:
        turn.disregard("案内中の呼ではない / not a call in a menu")
    elif told.said is Said.BEGAN:
        turn.tell(f.MessageBegan(at=told.at, call=call.id, reconstructed=reconstructed))
    elif call.speaks_since is None:
        turn.disregard("録音は始まっていない / no message was begun")
    elif told.said is Said.KEPT:
        turn.leave_message(call, told.at, reconstructed=reconstructed)
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
        turn.tell(
            f.MessageFiled(
                at=told.at,
                call=told.call,
                file=told.file,
                size=told.size,
                seconds=told.seconds,
                sha256=told.sha256,
                problem=told.problem,
            )
        )


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
        if not message.open and message.state_since + seconds(days * DAY_S) <= at:
            turn.tell(f.MessageDropped(at=at, call=name))
