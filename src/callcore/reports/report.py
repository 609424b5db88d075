"""A centre's day or month: figures of the calls that arrived, and of the agents who were there, by day and half hour.

Rules
- A call belongs to the half hour of its arrival, whenever it ended; agents' seconds are cut at the half hours' edges.
- Counts and seconds of a day are the sums of its half hours. Ratios and waits are made of the day's own calls.
- The fold goes on beyond the end until no call of the time is open and nobody wraps one up, or the journal ends; so the
  report of a time that is over does not change. While a call is open it is not final, and says how many are.
- A time that goes on is judged at the journal's last instant: what came since is not known here.
- Calls from test numbers are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from callcore.domain import by_department, sides
from callcore.domain.board import Window, half_hours, today
from callcore.domain.by_department import DepartmentFigures
from callcore.domain.centre import Centre
from callcore.domain.evolve import evolve
from callcore.domain.floor import UNNOTICED_S, Floor
from callcore.domain.ids import SECOND, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.measures import Books, Endings, Figures, Record, endings, figures
from callcore.domain.shifts import (
    Handling,
    Roster,
    Span,
    Staffing,
    handling,
    staffing,
    together,
    wrap_ups,
)
from callcore.domain.sides import SideFigures
from callcore.domain.visits import QueueFigures, Visits, by_queue
from callcore.reports.replay import unknown_centre
from callcore.reports.tape import FrameLike, NothingThere, facts_of, later
from callcore.runtime.ports import Seq

FORGET_EVERY = 6 * 3600 * SECOND
"""Journal time between two looks for what a report needs no more; a quarter of a day's calls is little to keep."""


@dataclass(frozen=True, slots=True)
class Row:
    """One half hour, one day, or all of them together."""

    span: Span
    date: date
    figures: Figures
    endings: Endings
    handling: Handling
    staffing: Staffing
    outgoing: SideFigures
    contact: SideFigures
    departments: SideFigures
    asks: DepartmentFigures
    """Of all departments together, for these calls."""
    by_department: Mapping[DepartmentId | None, DepartmentFigures]


@dataclass(frozen=True, slots=True)
class Day:
    row: Row
    half_hours: tuple[Row, ...]
    """Those in which the centre was open, or somebody called or was there."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What is signed of a day's recordings: the root of its chain, and how many were kept and erased on that day."""

    root: str | None
    """None: no recording of the centre was."""
    kept: int
    erased: int
    unassigned: str | None = None
    """The root of those of no known centre, which is in the figures of every centre; None: there was none."""


@dataclass(frozen=True, slots=True)
class Report:
    centre: Centre
    span: Span
    since: Instant
    """The journal's first instant; nothing is told of the time before it."""
    at: Instant
    """Until when the journal was told; open calls and shifts are judged here."""
    seq: Seq
    one_day: bool
    total: Row
    days: tuple[Day, ...]
    queues: Mapping[QueueId, QueueFigures]
    """Visits that began in the time, by queue."""
    policy_rejections: int = 0
    """端末ポリシー違反: registrations and calls that were refused because they are no phone of the inventory."""
    proofs: Mapping[date, Proof] = field(default_factory=dict)
    """By day; not of the journal, but beside the recordings."""

    @property
    def dates(self) -> tuple[date, date]:
        """The first and the last local day."""
        return local(self.span[0], self.centre).date(), local(Instant(self.span[1] - 1), self.centre).date()

    @property
    def final(self) -> bool:
        """Whether the time is over and none of its calls is open."""
        return self.at >= self.span[1] and self.total.figures.open == 0


@dataclass(slots=True)
class Ledger:
    """Everything a report is made of, folded frame by frame."""

    floor: Floor = field(default_factory=Floor)
    books: Books = field(default_factory=Books)
    roster: Roster = field(default_factory=Roster)
    visits: Visits = field(default_factory=Visits)
    seq: Seq = Seq(0, 0)
    since: Instant | None = None
    at: Instant = Instant(0)

    def take(self, frame: FrameLike) -> None:
        for fact in facts_of(frame):
            changed = evolve(self.floor, fact)
            self.roster.after(self.floor, fact, changed)
            self.floor = changed
            self.books = self.books.after(fact)
            self.visits.after(fact)
        self.since = frame.at if self.since is None else min(self.since, frame.at)
        self.at = later(self.at, frame)
        self.roster.settle(self.floor, self.at)
        self.seq = Seq(frame.run, frame.n)

    def forget(self, before: Instant) -> None:
        """Lets go of calls that arrived, and of what agents had done, before that: the fold keeps its pace."""
        self.books = self.books.since(before)
        self.roster.forget(before)
        self.visits.forget(before)

    def settled(self, centre: CentreId, span: Span) -> bool:
        """Whether nothing that comes can change what is told of this time: calls that nobody saw are found when we
        watch again, at the latest so long after."""
        if not self.floor.linked or self.at < span[1] + UNNOTICED_S * SECOND:
            return False
        wrapping = self.roster.wrapping_up
        if any(one.outcome is None for one in self.books.sides_of(centre, *span)):
            return False
        return not any(r.outcome is None or r.call in wrapping for r in self.books.of(centre, *span))


def day_report(frames: Iterable[FrameLike], centre: CentreId, day: date | None) -> Report:
    """One local day; None: the day of the journal's end. NothingThere: no such centre, or nothing so old."""
    return _report(frames, centre, None if day is None else (day, day))


def month_report(frames: Iterable[FrameLike], centre: CentreId, month: date | None) -> Report:
    """The local month that holds a date; None: the month of the journal's end. NothingThere as above."""
    return _report(frames, centre, None if month is None else month_of(month), whole_month=True)


def range_report(frames: Iterable[FrameLike], centre: CentreId, first: date, last: date) -> Report:
    """The local days from the first to the last. NothingThere as above."""
    return _report(frames, centre, (first, last))


def month_of(day: date) -> tuple[date, date]:
    """First and last day of a date's month."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _report(
    frames: Iterable[FrameLike],
    name: CentreId,
    days: tuple[date, date] | None,
    *,
    whole_month: bool = False,
) -> Report:
    ledger = Ledger()
    span: Span | None = None
    forgot = Instant(0)
    for frame in frames:
        ledger.take(frame)
        centre = ledger.floor.centres.get(name)
        if days is None or centre is None:
            continue
        if span is None:
            span = (_window(centre, days[0]).first, _window(centre, days[1]).before)
        if ledger.at - forgot > FORGET_EVERY:
            forgot = ledger.at
            ledger.forget(span[0])
        if ledger.at >= span[1] and ledger.settled(name, span):
            break
    centre = ledger.floor.centres.get(name)
    if centre is None:
        raise unknown_centre(ledger.floor, name)
    if days is None:
        last = centre.calendar.local_date(ledger.at)
        days = month_of(last) if whole_month else (last, last)
    windows = [_window(centre, days[0] + timedelta(days=n)) for n in range((days[1] - days[0]).days + 1)]
    since = ledger.at if ledger.since is None else ledger.since
    if windows[0].first > ledger.at:
        raise NothingThere(
            f"{windows[0].date} の記録はまだありません。"
            f"ジャーナルは {local(ledger.at, centre):%Y-%m-%d %H:%M} までです / "
            f"nothing is told of {windows[0].date} yet; the journal ends at the time given"
        )
    if windows[-1].before <= since:
        raise NothingThere(
            f"{windows[0].date} の記録はありません。ジャーナルは {local(since, centre):%Y-%m-%d %H:%M} からです / "
            f"nothing is told of {windows[0].date}; the journal begins at the time given"
        )
    return report(ledger, centre, windows)


def _window(centre: Centre, day: date) -> Window:
    """A local day of the centre."""
    noon = datetime.combine(day, time(12), ZoneInfo(centre.time_zone))
    return today(centre, Instant(round(noon.timestamp()) * SECOND))


def local(at: Instant, centre: Centre) -> datetime:
    """An instant by the centre's wall clock, to the microsecond."""
    return datetime.fromtimestamp(at // SECOND, ZoneInfo(centre.time_zone)).replace(microsecond=at % SECOND)


def report(ledger: Ledger, centre: Centre, windows: Sequence[Window]) -> Report:
    """What the ledger tells of a centre in these local days, which follow one another."""
    span = (windows[0].first, windows[-1].before)
    since = Instant(0) if ledger.since is None else ledger.since
    records = sorted(ledger.books.of(centre.id, *span), key=lambda r: (r.arrived_at, r.call))
    stretches = ledger.roster.stretches(ledger.at)
    acw = wrap_ups(stretches)
    spans = [(window, half) for window in windows for half in half_hours(window)]
    staff = staffing(stretches, centre.id, [half for _, half in spans], ledger.at, since)
    calls = _by_span(records, [half for _, half in spans])

    apart = ledger.books.sides_of(centre.id, *span)

    def row(window: Window, of: Span, mine: Sequence[Record], there: Staffing) -> Row:
        beside = [one for one in apart if of[0] <= one.began_at < of[1]]
        told = figures(mine, at=ledger.at, service_level_s=centre.service_level_s)
        return Row(
            span=of,
            date=date.fromisoformat(window.date),
            figures=told,
            endings=endings(mine, told),
            handling=handling(mine, acw, ledger.roster),
            staffing=there,
            outgoing=sides.figures(beside, sides.OUTGOING),
            contact=sides.figures(beside, sides.CONTACT),
            departments=sides.figures(beside, sides.DEPARTMENTS),
            asks=by_department.together(mine, ledger.books.asks),
            by_department=by_department.by_department(mine, ledger.books.asks),
        )

    days: list[Day] = []
    opened: list[Staffing] = []
    for window in windows:
        if window.first > ledger.at or window.before <= since:
            continue
        mine = [
            n for n, (w, half) in enumerate(spans) if w is window and half[0] <= ledger.at and half[1] > since
        ]
        hours = centre.calendar.windows(date.fromisoformat(window.date))
        open_halves = [n for n in mine if any(a < spans[n][1][1] and spans[n][1][0] < b for a, b in hours)]
        opened += [staff[n] for n in open_halves]
        dialled = {n for n in mine for one in apart if spans[n][1][0] <= one.began_at < spans[n][1][1]}
        shown = [n for n in mine if n in open_halves or n in dialled or calls[n] or staff[n].signed_in]
        whole = together([staff[n] for n in mine], [staff[n] for n in open_halves])
        told = [r for n in mine for r in calls[n]]
        days.append(
            Day(
                row=row(window, (window.first, window.before), told, whole),
                half_hours=tuple(row(window, spans[n][1], calls[n], staff[n]) for n in shown),
            )
        )
    return Report(
        centre=centre,
        span=span,
        since=since,
        at=ledger.at,
        seq=ledger.seq,
        one_day=len(windows) == 1,
        total=row(windows[0], span, records, together([d.row.staffing for d in days], opened)),
        days=tuple(days),
        queues=by_queue(ledger.visits.of(centre.id, *span)),
        policy_rejections=ledger.books.refused(centre.id, *span),
    )


def _by_span(records: Sequence[Record], spans: Sequence[Span]) -> list[list[Record]]:
    """Records in the span of their arrival; both in order."""
    found: list[list[Record]] = [[] for _ in spans]
    n = 0
    for record in records:
        while record.arrived_at >= spans[n][1]:
            n += 1
        found[n].append(record)
    return found
