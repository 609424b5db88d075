"""What is decided when somebody orders calls to be kept longer, takes that back, or erases what is kept of a call.

Whoever erases asks here first (`may_erase`), and says last what was erased: then the key of what belongs to a person is
destroyed, unless an order came meanwhile. Asked once more, as after a crash, it is destroyed once more, and told of
once more; that changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId, Instant
from callcore.domain.recording import OF_MESSAGE
from callcore.domain.retention import CALLS_MOST, order_of
from callcore.domain.turn import Turn, drop_answer


def keep(turn: Turn, told: i.KeepAsked) -> None:
    # Also of a centre that is in no file any more: who asks knows of which something is kept.
    if told.order in turn.floor.keeping:
        turn.disregard("その指示はもうある / there is an order of that name")
    elif not 0 < len(told.calls) <= CALLS_MOST:
        turn.disregard(f"通話は 1〜{CALLS_MOST} 件 / name 1 to {CALLS_MOST} calls")
    elif told.until is not None and told.until <= told.at:
        turn.disregard("終わりは今より後 / the end must be later than now")
    else:
        turn.tell(
            f.KeepOrdered(
                at=told.at,
                order=told.order,
                centre=told.centre,
                calls=told.calls,
                until=told.until,
                reason=told.reason,
                by=told.by,
            )
        )


def release(turn: Turn, told: i.KeepReleaseAsked) -> None:
    order = turn.floor.keeping.get(told.order)
    if order is None or order.centre != told.centre:
        turn.disregard("その指示はない / there is no such order")
        return
    turn.tell(f.KeepReleased(at=told.at, order=told.order, reason=told.reason, by=told.by))


def may_erase(
    floor: Floor,
    call: CallId,
    about: CallId,
    *,
    recordings: Collection[str],
    personal: bool,
    at: Instant,
) -> str | None:
    """Why these recordings of a call, and with `personal` what belongs to a person, may not be erased now, in words;
    None: they may. Of a message that somebody has still to deal with the sound is kept, too: it is the message."""
    order = order_of(floor.keeping.values(), at, call, about)
    if order is not None:
        return (
            f"保全の指示がある / it is kept by order: {order.id} ({order.reason})"
            if order.until is None
            else f"延長の指示がある / it is kept longer by order: {order.id} ({order.reason})"
        )
    if call in floor.calls or call in floor.sides or about in floor.calls:
        return "通話が終わっていない / the call is going on"
    if call in floor.unfiled:
        return "録音がまだ測られていない / its recording was not measured yet"
    message = floor.messages.get(call)
    is_open = message is not None and message.open
    if (personal and (call in floor.callbacks or is_open)) or (
        is_open and f"{call}{OF_MESSAGE}" in recordings
    ):
        return "折り返し・伝言・用件の対応が済んでいない / a call-back, message or task of it is still to be dealt with"
    return None


def erase(turn: Turn, told: i.EraseAsked) -> None:
    why_not = may_erase(
        turn.floor,
        told.call,
        told.about,
        recordings=told.recordings,
        personal=told.personal,
        at=told.at,
    )
    if why_not is not None and told.personal:
        turn.disregard(why_not)
        return
    # Without `personal` it is told that the sound is gone: an order that came meanwhile has nothing of it to keep.
    if told.call in turn.floor.blocked:
        turn.tell(f.CallerUnlisted(at=told.at, entry=told.call, centre=told.centre, by=told.by))
        turn.want(e.PushBlocked())
    if told.personal and told.call in turn.floor.answers:
        drop_answer(turn, told.call, told.at, "消去 / erased", told.by)
    turn.tell(
        f.CallErased(
            at=told.at,
            call=told.call,
            centre=told.centre,
            recordings=told.recordings,
            personal=told.personal,
            erasure=told.erasure,
            reason=told.reason,
            by=told.by,
        )
    )
    if told.personal:
        turn.want(e.DestroyKey(told.call))
