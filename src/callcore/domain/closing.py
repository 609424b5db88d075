"""A centre closes out of its turn, or at once: what is decided when an emergency begins or ends, and by the clock.

Who must then leave the line, `overflow.shut` finds and `Turn.match` does, after every input: so nobody depends on
one timer.
"""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.emergency import LONGEST_S, default_until
from callcore.domain.ids import CentreId, Instant, after, seconds
from callcore.domain.turn import Turn, let_go, withdraw


def begin(turn: Turn, told: i.EmergencyAsked) -> None:
    """Begin an emergency closure, or change the end and the reason of the one that lasts."""
    centre = turn.floor.centres.get(told.centre)
    if centre is None:
        turn.disregard(f"センター {told.centre} はない / there is no centre {told.centre}")
        return
    until = told.until if told.until is not None else default_until(centre.calendar, told.at)
    if not told.at < until <= after(told.at, seconds(LONGEST_S)):
        days = LONGEST_S // 86_400
        turn.disregard(
            f"終わりは今より後、{days} 日以内 / the end must be later than now, and within {days} days"
        )
        return
    turn.tell(f.EmergencyBegan(at=told.at, centre=told.centre, until=until, reason=told.reason, by=told.by))
    turn.want(e.SetTimer(i.Timer(i.TimerKind.EMERGENCY, told.centre), until))
    turn.want(e.PushEmergencies())
    for call in sorted(turn.floor.calls.values(), key=lambda c: (c.arrived_at, c.id)):
        for offer in call.ringing if call.centre == told.centre else ():
            withdraw(turn, offer, told.at, "臨時休止 / an emergency closure")
    for back in sorted(turn.floor.callbacks.values(), key=lambda each: each.place):
        if back.centre == told.centre:
            let_go(turn, back, told.at)


def end(turn: Turn, told: i.EmergencyEndAsked) -> None:
    """End the emergency closure that lasts."""
    known = turn.floor.emergencies.get(told.centre)
    if known is None or known.ended is not None:
        turn.disregard("臨時休止はしていない / there is no emergency closure")
        return
    _over(turn, told.centre, told.at, told.by)


def timer(turn: Turn, kind: i.TimerKind, centre: CentreId, at: Instant) -> None:
    """The end of an emergency closure, or the calendar of a centre that closes at once, has come."""
    if kind is i.TimerKind.CLOSING:
        armed = [(timer, due) for timer, due in turn.floor.closings(at) if timer.subject == centre]
        for next_one, due in armed:
            turn.want(e.SetTimer(next_one, due))
        if not armed:
            turn.disregard("そのタイマーは無効 / that timer is void")
        return
    known = turn.floor.emergencies.get(centre)
    if known is None or known.ended is not None or known.until > at:
        turn.disregard("そのタイマーは無効 / that timer is void")
        return
    _over(turn, centre, at, None)


def end_overdue(turn: Turn, at: Instant, bound: Instant) -> None:
    """End what should have ended before `bound`: its timer was lost."""
    for centre, known in sorted(turn.floor.emergencies.items()):
        if known.ended is None and known.until <= bound:
            _over(turn, centre, at, None)


def _over(turn: Turn, centre: CentreId, at: Instant, by: str | None) -> None:
    turn.tell(f.EmergencyEnded(at=at, centre=centre, by=by))
    turn.want(e.PushEmergencies())
