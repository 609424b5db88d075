"""What became of each stay in a queue: the figures of queues, beside those of calls.

Rules
- A visit is one stay of one call in one queue. It ends with the answer, another visit of the same call, or the call.
  The unit of contract figures is the call (`measures`); a call that moved on has several visits here.
- A visit belongs to the interval of its entry. Its wait runs from that entry to its end.
- What a caller heard before the first queue (notice, greeting) is no wait, and is told apart.
- Visits of calls from listed test numbers are left out. Source: definitions, "visit", "wait", "Numbers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, QueueId, VisitId
from callcore.domain.measures import nearest_rank_s
from callcore.domain.stages import Outcome


class VisitEnd(Enum):
    ANSWERED = "answered"
    MOVED = "moved"
    """Another visit of the same call followed: overflow to another queue, or a queue that went."""
    GAVE_UP = "gave_up"
    """The caller hung up."""
    OVERFLOWED = "overflowed"
    """Ended by an overflow's treatment."""
    OTHER = "other"
    """Our fault, call-back, message."""


_ENDS = {
    Outcome.ABANDONED: VisitEnd.GAVE_UP,
    Outcome.ABANDONED_SHORT: VisitEnd.GAVE_UP,
    Outcome.OVERFLOW_FULL: VisitEnd.OVERFLOWED,
    Outcome.OVERFLOW_WAIT: VisitEnd.OVERFLOWED,
    Outcome.OVERFLOW_NO_AGENT: VisitEnd.OVERFLOWED,
    Outcome.OVERFLOW_KEY: VisitEnd.OVERFLOWED,
}


@dataclass(frozen=True, slots=True)
class Stay:
    """One visit. `before`: microseconds from the call's arrival to its first queue; None of a later visit."""

    visit: VisitId
    call: CallId
    centre: CentreId
    queue: QueueId
    entered_at: Instant
    before: int | None
    ended_at: Instant | None = None
    end: VisitEnd | None = None


@dataclass(slots=True)
class Visits:
    """All visits, folded fact by fact."""

    stays: dict[VisitId, Stay] = field(default_factory=dict)
    _open: dict[CallId, VisitId] = field(default_factory=dict)
    _arrived: dict[CallId, tuple[CentreId, Instant, bool]] = field(default_factory=dict)
    """Of calls that have not ended: centre, arrival, and whether no queue has been entered yet."""

    def after(self, fact: f.Fact) -> None:
        match fact:
            case f.CallArrived() if not fact.test:
                self._arrived[fact.call] = (fact.centre, fact.at, True)
            case f.VisitBegan() if fact.call in self._arrived:
                self._end(fact.call, fact.at, VisitEnd.MOVED)
                centre, arrived, first = self._arrived[fact.call]
                before = max(0, fact.at - arrived) if first else None
                self.stays[fact.visit] = Stay(fact.visit, fact.call, centre, fact.queue, fact.at, before)
                self._open[fact.call] = fact.visit
                self._arrived[fact.call] = (centre, arrived, False)
            case f.CallAnswered():
                self._end(fact.call, fact.at, VisitEnd.ANSWERED)
            case f.CallEnded():
                self._end(fact.call, fact.at, _ENDS.get(fact.outcome, VisitEnd.OTHER))
                self._arrived.pop(fact.call, None)
            case f.ClockStepped():
                for visit in self._open.values():
                    stay = self.stays[visit]
                    self.stays[visit] = replace(stay, entered_at=Instant(stay.entered_at + fact.by))
                self._arrived = {
                    call: (centre, Instant(arrived + fact.by), first)
                    for call, (centre, arrived, first) in self._arrived.items()
                }

    def _end(self, call: CallId, at: Instant, end: VisitEnd) -> None:
        visit = self._open.pop(call, None)
        if visit is not None:
            self.stays[visit] = replace(self.stays[visit], ended_at=at, end=end)

    def forget(self, before: Instant) -> None:
        """Lets go of visits that are over and began before that."""
        self.stays = {
            name: stay for name, stay in self.stays.items() if stay.end is None or stay.entered_at >= before
        }

    def of(self, centre: CentreId, first: Instant, before: Instant) -> list[Stay]:
        """Of one centre, entered in [first, before)."""
        return [s for s in self.stays.values() if s.centre == centre and first <= s.entered_at < before]


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """Visits of one queue, and waits in seconds (of answered visits, each from its own entry)."""

    visits: int
    ends: Mapping[VisitEnd, int]
    """Every kind is there; with `waiting` they add up to `visits`."""
    waiting: int
    wait_mean_s: float | None
    wait_median_s: float | None
    wait_p90_s: float | None
    wait_max_s: float | None
    before_mean_s: float | None
    """Announcements before the queue: mean from the arrival to the entry, of calls that came here first."""


def by_queue(stays: Iterable[Stay]) -> dict[QueueId, QueueFigures]:
    """The figures of each queue that had a visit, by name."""
    sorted_out: dict[QueueId, list[Stay]] = {}
    for stay in stays:
        sorted_out.setdefault(stay.queue, []).append(stay)
    return {queue: _figures(sorted_out[queue]) for queue in sorted(sorted_out)}


def _figures(stays: list[Stay]) -> QueueFigures:
    ends = dict.fromkeys(VisitEnd, 0)
    waits: list[int] = []
    before = [stay.before for stay in stays if stay.before is not None]
    for stay in stays:
        if stay.end is not None and stay.ended_at is not None:
            ends[stay.end] += 1
            if stay.end is VisitEnd.ANSWERED:
                waits.append(max(0, stay.ended_at - stay.entered_at))
    waits.sort()
    return QueueFigures(
        visits=len(stays),
        ends=ends,
        waiting=len(stays) - sum(ends.values()),
        wait_mean_s=sum(waits) / len(waits) / SECOND if waits else None,
        wait_median_s=nearest_rank_s(waits, 0.5),
        wait_p90_s=nearest_rank_s(waits, 0.9),
        wait_max_s=nearest_rank_s(waits, 1.0),
        before_mean_s=sum(before) / len(before) / SECOND if before else None,
    )
