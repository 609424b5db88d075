"""What is decided when a caller is put on a centre's list of unwelcome callers, or taken off it, and by the clock."""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.blocked import LONGEST_DAYS, Blocked, found, plain
from callcore.domain.call import Call
from callcore.domain.ids import SECOND, CallId, Instant, after, seconds
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome, Stage
from callcore.domain.turn import Turn


def put(turn: Turn, told: i.BlockAsked) -> None:
    """List a caller, or give the entry that lasts another end and reason. The end is a whole second, rounded up."""
    if told.centre not in turn.floor.centres:
        turn.disregard(f"センター {told.centre} はない / there is no centre {told.centre}")
        return
    number = plain(told.number)
    if number is None:
        turn.disregard("電話番号ではない / that is no telephone number")
        return
    if not told.at < told.until <= after(told.at, seconds(LONGEST_DAYS * 86_400)):
        turn.disregard(
            f"終わりは今より後、{LONGEST_DAYS} 日以内 / the end must be later than now, and within {LONGEST_DAYS} days"
        )
        return
    until = Instant(-(-told.until // SECOND) * SECOND)
    known = found(turn.floor.blocked.values(), told.centre, number)
    if known is None and told.entry in turn.floor.blocked:
        turn.disregard("その番号の登録がある / an entry of that name exists")
        return
    entry = told.entry if known is None else known.id
    turn.tell(
        f.CallerListed(
            at=told.at,
            entry=entry,
            centre=told.centre,
            number=Personal(entry, told.centre, told.at, number) if known is None else known.number,
            reason=told.reason,
            until=until,
            by=told.by,
        )
    )
    turn.want(e.SetTimer(i.Timer(i.TimerKind.BLOCKED, entry), until))
    turn.want(e.PushBlocked())


def take_off(turn: Turn, told: i.UnblockAsked) -> None:
    """Take an entry off the list before its time."""
    known = turn.floor.blocked.get(told.entry)
    if known is None or known.centre != told.centre:
        turn.disregard("その登録はない / there is no such entry")
        return
    _over(turn, known, told.at, told.by)


def timer(turn: Turn, entry: CallId, at: Instant) -> None:
    """The end of an entry has come."""
    known = turn.floor.blocked.get(entry)
    if known is None or known.until > at:
        turn.disregard("そのタイマーは無効 / that timer is void")
        return
    _over(turn, known, at, None)


def end_overdue(turn: Turn, at: Instant, bound: Instant) -> None:
    """End the entries that should have ended before `bound`: their timers were lost."""
    for _, known in sorted(turn.floor.blocked.items()):
        if known.until <= bound:
            _over(turn, known, at, None)


def _over(turn: Turn, entry: Blocked, at: Instant, by: str | None) -> None:
    turn.tell(f.CallerUnlisted(at=at, entry=entry.id, centre=entry.centre, by=by))
    turn.want(e.PushBlocked())


def let_through(turn: Turn, call: Call, at: Instant, *, reconstructed: bool = False) -> Call:
    """A caller who was refused as *blocked* pressed 9, or stands in the waiting line all the same: due an agent."""
    if call.stage is Stage.ANNOUNCED and call.refused_as is Outcome.BLOCKED:
        turn.tell(
            f.CallAdmitted(
                at=at,
                call=call.id,
                reason="案内中に9を押した / pressed 9 in the announcement",
                reconstructed=reconstructed,
            )
        )
    return turn.floor.calls[call.id]
