"""What becomes of a caller whom an agent's phone holds (保留).

Rules
- Held for longer than the centre wants (`[hold] warn_after_s`), the agent and the supervisor are warned, once in each
  hold: by a lamp, and by a tone if the phone has another leg on which it can be heard, as in a consult.
- What the caller hears meanwhile is Asterisk's alone (`asterisk/musiconhold.conf.j2`).
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.call import Call
from callcore.domain.floor import Floor
from callcore.domain.ids import CallId, ChannelId, Instant, PhoneId, after, seconds
from callcore.domain.turn import Turn


def begins(turn: Turn, call: Call, at: Instant, *, reconstructed: bool = False) -> None:
    centre = turn.floor.centres.get(call.centre)
    warn_s = 0 if centre is None else centre.hold.warn_after_s
    due = after(at, seconds(warn_s)) if warn_s else None
    turn.tell(
        f.CallHeld(at=at, call=call.id, agent=call.talking_with, too_long_at=due, reconstructed=reconstructed)
    )
    if due is not None:
        turn.want(e.SetTimer(i.Timer(i.TimerKind.HOLD, call.id), max(due, turn.at)))


def timer(turn: Turn, name: CallId, at: Instant) -> None:
    call = turn.call(name)
    if call is None or call.hold_due is None or call.hold_due > at:
        turn.disregard("そのタイマーは無効 / that timer is void")
        return
    turn.tell(f.HoldOverran(at=at, call=call.id, agent=call.talking_with))
    leg = call.leg(call.talking_leg) if call.talking_leg is not None else None
    other = _other_leg(turn.floor, leg.phone) if leg is not None and leg.phone is not None else None
    if other is not None:
        turn.want(e.WarnOfHold(other))


def _other_leg(floor: Floor, phone: PhoneId) -> ChannelId | None:
    """That phone's own channel of a call beside the talk, if it is connected."""
    for side in floor.sides.values():
        if side.connected_at is not None and side.phone == phone:
            return next((leg for leg, of in side.legs if of == phone), side.channel)
    return None
