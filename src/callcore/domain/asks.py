"""What became of each time that a department of the city was called for a caller: asked first (相談), or unasked.

Rules
- An ask belongs to its call, and with it to the half hour of that call's arrival (definitions: "A call's figures belong
  to the half hour of its arrival").
- A consult begins with the agent's call beside the talk; unasked, it begins as the department is rung for a caller whom
  the agent has left.
- It is answered when the department is in one bridge with the agent, or with the caller.
- It ends once, as one `AskEnd`. Whoever is left by the agent while it rings is still asked for: it then ends with the
  department's leg, or with what becomes of the caller.
- Who hangs up on hold is lost with the department that was being asked, or rung, for them just then: also where that
  one's own end came less than `SAME_INSTANT_S` before. Of two who put down at once, which one Asterisk hears of first
  is chance, and no figure hangs on it.
- What nobody watched has no seconds: `began_at` and `answered_at` are None until they are told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from callcore.domain import facts as f
from callcore.domain.ids import CallId, ChannelId, DepartmentId, Instant, seconds
from callcore.domain.sides import by_cause
from callcore.domain.stages import SAME_INSTANT_S, Outcome, SideKind, SideOutcome


class AskEnd(Enum):
    """As in `SideOutcome`, but for what is a transfer's own."""

    PUT_THROUGH = "put_through"
    """Caller and department were in one bridge: the transfer."""
    CAME_BACK = "came_back"
    """Answered, and not put through: no transfer."""
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    CLOSED = "closed"
    """The department and all its substitutes; nobody was rung."""
    REFUSED = "refused"
    FAILED = "failed"
    LOST_ON_HOLD = "lost_on_hold"
    """The caller hung up meanwhile."""


@dataclass(frozen=True, slots=True)
class Ask:
    department: DepartmentId | None
    """Who was really called; None: found afterwards, and not known which."""
    began_at: Instant | None
    side: CallId | None = None
    """The agent's call; None: the caller was passed on unasked."""
    channel: ChannelId | None = None
    """The department's leg, while there is one."""
    rung: bool = False
    """There was one."""
    answered_at: Instant | None = None
    end: AskEnd | None = None
    ended_at: Instant | None = None
    """Of one that came to nothing with the agent."""
    left: bool = False
    """The caller is with nobody while it rings."""

    @property
    def answer(self) -> int | None:
        """Microseconds from the call to the answer; None: not answered, or not watched."""
        if self.began_at is None or self.answered_at is None:
            return None
        return max(0, self.answered_at - self.began_at)


Asks = tuple[Ask, ...]
"""Of one call, in the order in which they became known."""

Told = (
    f.SideCallBegan
    | f.SideCallConnected
    | f.SideCallEnded
    | f.LegBegan
    | f.LegEnded
    | f.TransferBegan
    | f.CallTransferred
    | f.VisitBegan
    | f.CallAnswered
    | f.CallEnded
)


def asks_after(asks: Asks, fact: Told, *, alone: bool, lost_at: Instant | None) -> Asks:
    """A call's asks after one fact, of the call or of a call beside it. `alone`: the caller is there, and with nobody.
    `lost_at`: when the call ended as *lost_on_hold*, of one that did."""
    match fact:
        case f.SideCallBegan() if fact.kind is SideKind.DEPARTMENT and fact.why:
            to = DepartmentId(fact.why)
            if any(one.side == fact.call for one in asks):
                return _each(asks, _of(fact.call), lambda one: replace(one, department=to, began_at=fact.at))
            return (*asks, Ask(to, fact.at, side=fact.call))
        case f.SideCallConnected():
            return _each(asks, _of(fact.call), lambda one: replace(one, answered_at=fact.at))
        case f.SideCallEnded():
            since = None if lost_at is None else lost_at - seconds(SAME_INSTANT_S)
            lost = since is not None and fact.at >= since and not any(map(_lost, asks))
            return _each(asks, _of(fact.call), lambda one: _agent_gone(one, fact, alone, lost))
        case f.TransferBegan():
            if fact.closed:
                return (*asks, Ask(fact.department, fact.at, end=AskEnd.CLOSED))
            return (*asks, Ask(fact.department, None if fact.reconstructed else fact.at, left=True))
        case f.LegBegan() if fact.department is not None and fact.side is not None:
            return _each(asks, _of(fact.side), lambda one: _rings(one, fact))
        case f.LegBegan() if fact.department is not None:
            return _each(asks, _rings_unasked, lambda one: replace(one, channel=fact.channel, rung=True))
        case f.LegEnded():
            return _each(
                asks, lambda one: one.channel == fact.channel, lambda one: _leg_over(one, fact.cause)
            )
        case f.CallTransferred():
            return _put_through(asks, fact)
        case f.VisitBegan():
            return _each(asks, lambda one: one.left, _back_in_line)
        case f.CallAnswered():
            return _each(asks, lambda one: one.left, lambda one: replace(_given_up(one), left=False))
        case f.CallEnded():
            return _call_over(asks, fact)
    return asks


def asks_moved(asks: Asks, by: int) -> Asks:
    """After the wall clock was set by `by` microseconds."""
    return tuple(
        replace(
            one,
            began_at=_later(one.began_at, by),
            answered_at=_later(one.answered_at, by),
            ended_at=_later(one.ended_at, by),
        )
        for one in asks
    )


def _later(at: Instant | None, by: int) -> Instant | None:
    return None if at is None else Instant(at + by)


def _each(asks: Asks, which: Callable[[Ask], bool], do: Callable[[Ask], Ask]) -> Asks:
    return tuple(do(one) if which(one) else one for one in asks) if any(map(which, asks)) else asks


def _of(side: CallId) -> Callable[[Ask], bool]:
    return lambda one: one.side == side


def _rings_unasked(one: Ask) -> bool:
    return one.side is None and one.end is None


def _lost(one: Ask) -> bool:
    return one.end is AskEnd.LOST_ON_HOLD


def _rings(one: Ask, fact: f.LegBegan) -> Ask:
    """What was taken for over, as the agent had gone unseen, may be found to ring on for the caller."""
    rung = replace(one, channel=fact.channel, rung=True)
    rings_on = fact.reconstructed and one.end is AskEnd.NO_ANSWER
    return replace(rung, end=None, ended_at=None, left=True) if rings_on else rung


def _agent_gone(one: Ask, fact: f.SideCallEnded, alone: bool, lost: bool) -> Ask:
    if one.end is not None:
        return one
    if lost:
        return replace(one, end=AskEnd.LOST_ON_HOLD)
    if one.answered_at is not None or fact.outcome is SideOutcome.CONNECTED:
        return replace(one, end=AskEnd.CAME_BACK, ended_at=fact.at)
    if alone and one.channel is not None and fact.outcome is SideOutcome.NO_ANSWER:
        return replace(one, left=True)
    unrung = fact.outcome is SideOutcome.REFUSED and not one.rung and not fact.reconstructed
    if unrung:
        return replace(one, end=AskEnd.CLOSED)
    return replace(one, end=AskEnd(fact.outcome.value), ended_at=fact.at)


def _leg_over(one: Ask, cause: int) -> Ask:
    if not one.left:
        return replace(one, channel=None)
    return replace(one, channel=None, end=AskEnd(by_cause(cause).value), left=one.end is None)


def _back_in_line(one: Ask) -> Ask:
    """Asterisk tells of the caller a moment before it tells why the department's leg has ended."""
    return replace(_given_up(one), left=one.end is None and one.channel is not None)


def _put_through(asks: Asks, fact: f.CallTransferred) -> Asks:
    which = _of(fact.side) if fact.side is not None else _rings_unasked
    if not any(map(which, asks)):
        found = Ask(fact.department, None, side=fact.side, answered_at=fact.at, end=AskEnd.PUT_THROUGH)
        return (*asks, found)
    return _each(
        asks,
        which,
        lambda one: replace(one, answered_at=one.answered_at or fact.at, end=AskEnd.PUT_THROUGH, left=False),
    )


def _given_up(one: Ask) -> Ask:
    return replace(one, end=AskEnd.NO_ANSWER) if one.end is None else one


def _call_over(asks: Asks, fact: f.CallEnded) -> Asks:
    if fact.outcome is Outcome.LOST_ON_HOLD:
        since = fact.at - seconds(SAME_INSTANT_S)
        last = next((one for one in reversed(asks) if _went_on(one, since)), None)
        asks = _each(asks, lambda one: one is last, lambda one: replace(one, end=AskEnd.LOST_ON_HOLD))
    return _each(asks, lambda one: one.left, lambda one: replace(_given_up(one), left=False))


def _went_on(one: Ask, since: int) -> bool:
    return one.end is None or one.left or (one.ended_at is not None and one.ended_at >= since)
