"""Opening hours: one calendar, one question (`decide`), and the same answer spread out ahead as a policy.

Precedence, first that speaks (docs/adr/0024-calendar-precedence.md):

    emergency > one-off day > public holiday > closing > period > yearly range > weekly hours

An emergency closure is a state of the floor, not of the calendar (`domain/emergency.py`). A period or yearly range
without hours is a closing and goes before those that have hours. A yearly range with hours is a period that comes again
each year; the dated one, which was written for this year, goes before it. Of several of one kind the first in the file
counts.

A window is half open: at the instant of opening it is open, at the instant of closing it is closed. Between two
windows of one day is a break (lunch).

An instant belongs to the local date that the wall clock shows at it, and that date's windows decide. A
window runs from the first time that the wall clock of its date shows (or, in the hour that a change to
summer time leaves out, passes) its opening, to the first time that it shows or passes its closing. The
policy pushed to Asterisk is made of the same windows, keyed by the same local date, so both answers are
one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from callcore.domain.ids import SECOND, Instant

DAY_S = 86_400
"""Seconds of a local day as a wall clock counts them."""

HORIZON_DAYS = 366
"""How far `decide` looks for the next change."""

Span = tuple[Instant, Instant]
"""From the first instant up to, not including, the second."""


@dataclass(frozen=True, slots=True)
class Window:
    """Open from `opens` up to, not including, `closes`. Seconds of the local day; `closes` ≤ 86,400."""

    opens: int
    closes: int


Week = tuple[tuple[Window, ...], ...]
"""The windows of the seven days of the week, Monday first; a day without: closed."""


@dataclass(frozen=True, slots=True)
class YearlyRange:
    """Each year from `first` to `last` (month, day), both included; may cross the new year."""

    first: tuple[int, int]
    last: tuple[int, int]
    reason: str
    weekly: Week = ()
    """Its own hours; none at all: closed."""

    def covers(self, day: date) -> bool:
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


@dataclass(frozen=True, slots=True)
class Period:
    """From `first` to `last` (ISO dates), both included."""

    first: str
    last: str
    reason: str
    weekly: Week = ()
    """Its own hours; none at all: closed."""

    def covers(self, day: date) -> bool:
        return self.first <= day.isoformat() <= self.last


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """One date (ISO) with windows of its own; none: closed."""

    date: str
    windows: tuple[Window, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a day or an instant is open or closed, for people. Names from a centre file stay as written."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one instant. `changes_at`: the next instant at which it differs, if within a year."""

    open: bool
    reason: str
    """In Japanese."""
    changes_at: Instant | None
    reason_en: str


class Rule(Enum):
    """Which rule gave a day its hours, in the order of precedence."""

    SPECIAL = "special"
    HOLIDAY = "holiday"
    CLOSING = "closing"
    PERIOD = "period"
    YEARLY = "yearly"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Day:
    """What the calendar says of one local date. `windows` in wall time, in order; none: closed."""

    windows: tuple[Window, ...]
    rule: Rule
    reason: Reason


@dataclass(frozen=True, slots=True)
class Calendar:
    zone: str
    """IANA name, e.g. `Asia/Tokyo`."""
    weekly: Week
    holidays: tuple[tuple[str, str], ...] = ()
    """(ISO date, name) of the public holidays that the centre keeps, a few years of them."""
    yearly: tuple[YearlyRange, ...] = ()
    special: tuple[SpecialDay, ...] = ()
    holiday_windows: tuple[Window, ...] = ()
    """The hours of a public holiday; none: closed."""
    periods: tuple[Period, ...] = ()
    close_at_once: bool = False
    """Whether a caller who still waits at a closing is sent away; else the centre closes when all are served."""

    def local_date(self, at: Instant) -> date:
        """The date that the centre's wall clock shows at an instant."""
        return datetime.fromtimestamp(at // SECOND, ZoneInfo(self.zone)).date()

    def day(self, day: date) -> Day:
        """The hours of a local date and the rule that gave them."""
        iso = day.isoformat()
        for special in self.special:
            if special.date == iso:
                words = Reason(f"特別日: {special.reason}", f"special day: {special.reason}")
                return Day(_in_order(special.windows), Rule.SPECIAL, words)
        for holiday, name in self.holidays:
            if holiday == iso:
                words = Reason(f"祝日: {name}", f"public holiday: {name}")
                return Day(_in_order(self.holiday_windows), Rule.HOLIDAY, words)
        periods = [each for each in self.periods if each.covers(day)]
        yearly = [each for each in self.yearly if each.covers(day)]
        for reason in self.closings(day):
            return Day((), Rule.CLOSING, Reason(reason, f"closed: {reason}"))
        for period in periods:
            return _of_week(period.weekly, day, Rule.PERIOD, period.reason)
        for each in yearly:
            return _of_week(each.weekly, day, Rule.YEARLY, each.reason)
        return _of_week(self.weekly, day, Rule.WEEKLY, None)

    def closings(self, day: date) -> Iterator[str]:
        """The reasons of the periods and yearly ranges without hours that a local date lies in."""
        ranges: tuple[Period | YearlyRange, ...] = (*self.periods, *self.yearly)
        return (each.reason for each in ranges if each.covers(day) and not any(each.weekly))

    def windows(self, day: date) -> tuple[Span, ...]:
        """The opening windows of a local date, in order. One that summer time leaves out whole is dropped."""
        zone = ZoneInfo(self.zone)
        spans = ((_instant(day, w.opens, zone), _instant(day, w.closes, zone)) for w in self.day(day).windows)
        return tuple(span for span in spans if span[0] < span[1])

    def judge(self, at: Instant) -> tuple[bool, Reason]:
        """Open or closed at an instant, and why."""
        today = self.local_date(at)
        day = self.day(today)
        if not day.windows:
            return False, day.reason
        spans = self.windows(today)
        if _holds(spans, at):
            reason = Reason("営業時間内", "within opening hours")
        elif spans and spans[0][0] <= at < spans[-1][1]:
            reason = Reason("休憩時間", "in the break between two openings")
        else:
            reason = Reason("時間外", "outside opening hours")
        if day.rule is not Rule.WEEKLY:
            reason = Reason(f"{reason.ja}({day.reason.ja})", f"{reason.en} ({day.reason.en})")
        return _holds(spans, at), reason

    def decide(self, at: Instant) -> Verdict:
        """Open or closed at an instant, why, and until when; the last looks up to a year ahead."""
        within, reason = self.judge(at)
        return Verdict(within, reason.ja, self._next_change(self.local_date(at), at, within), reason.en)

    def after_open(self, at: Instant, length_s: int) -> Instant | None:
        """When `length_s` seconds of opening hours will have passed since an instant; None: not within a year."""
        left = length_s * SECOND
        end = at
        for opens, closes in self._ahead(self.local_date(at)):
            begins = max(opens, end)  # windows may overlap, and the first may have begun
            if closes <= begins:
                continue
            if closes - begins >= left:
                return Instant(begins + left)
            left -= closes - begins
            end = closes
        return None

    def _next_change(self, today: date, at: Instant, within: bool) -> Instant | None:
        """The end of the window that holds `at` (windows that touch are one), or the next opening."""
        end = at
        for opens, closes in self._ahead(today):
            if closes <= at:
                continue
            if not within:
                return opens
            if opens > end:
                return end
            end = closes
        return end if within and end < self._horizon(today) else None

    def _ahead(self, today: date) -> Iterator[Span]:
        for n in range(HORIZON_DAYS):
            yield from self.windows(today + timedelta(days=n))

    def _horizon(self, today: date) -> Instant:
        return _instant(today + timedelta(days=HORIZON_DAYS), 0, ZoneInfo(self.zone))


def policy(calendar: Calendar, first: date, days: int) -> tuple[tuple[str, str], ...]:
    """The calendar of `days` local dates from `first` as Asterisk's dialplan reads it.

    Each entry is (`yyyymmdd`, `open-close[,open-close…]` in epoch seconds UTC, or `closed`; behind either perhaps
    `~<because>`: see `because`). The dialplan is open at epoch second s iff open <= s < close; openings fall on whole
    seconds, so it agrees with `decide`.
    """
    entries = []
    for n in range(days):
        day = first + timedelta(days=n)
        spans = calendar.windows(day)
        value = ",".join(f"{opens // SECOND}-{closes // SECOND}" for opens, closes in spans) or "closed"
        why = because(calendar, day)
        entries.append((day.strftime("%Y%m%d"), value if why is None else f"{value}~{why}"))
    return tuple(entries)


YEAR_END = ((12, 29), (1, 3))
"""First and last day on which offices are closed for it (Act on Holidays of Administrative Organs, article 1)."""


def because(calendar: Calendar, day: date) -> str | None:
    """What is told of a day to who comes when it is closed, in the word by which the announcement `closed_<word>` says
    it: why it is closed all day, or that its hours are not those of its day of the week; None: nothing."""
    found = calendar.day(day)
    if found.rule not in (Rule.SPECIAL, Rule.CLOSING, Rule.HOLIDAY):
        return None
    if found.windows:
        return None if found.windows == _in_order(calendar.weekly[day.weekday()]) else "changed"
    begins, ends = YEAR_END
    if (day.month, day.day) >= begins or (day.month, day.day) <= ends:
        return "year_end"
    return "holiday" if found.rule is Rule.HOLIDAY else "day"


def _of_week(weekly: Week, day: date, rule: Rule, name: str | None) -> Day:
    """The hours of a day of the week; `name`: of the period or range that they belong to."""
    windows = _in_order(weekly[day.weekday()])
    ja, en = (
        ("通常の営業日", "ordinary opening day") if windows else ("定休日", "closed on this day of the week")
    )
    if name is not None:
        ja, en = (name, f"period: {name}") if windows else (f"{ja}({name})", f"{en} ({name})")
    return Day(windows, rule, Reason(ja, en))


def _in_order(windows: tuple[Window, ...]) -> tuple[Window, ...]:
    return tuple(sorted(windows, key=lambda w: (w.opens, w.closes)))


def _holds(spans: tuple[Span, ...], at: Instant) -> bool:
    return any(opens <= at < closes for opens, closes in spans)


@lru_cache(maxsize=4096)
def _instant(day: date, second: int, zone: tzinfo) -> Instant:
    """The first instant at which the wall clock of `day` has come to `second` (0 to 86,400)."""
    wall = datetime(day.year, day.month, day.day) + timedelta(seconds=second)  # noqa: DTZ001 - wall time on purpose
    early = _epoch(wall.replace(tzinfo=zone, fold=1))
    late = _epoch(wall.replace(tzinfo=zone, fold=0))
    if early >= late:  # an ordinary time (equal), or one that is shown twice (fold 0 is the first)
        return Instant(late * SECOND)
    # The wall clock never shows this time: find the second of the jump, which lies in (early, late].
    before = _offset(early, zone)
    while late - early > 1:
        middle = (early + late) // 2
        if _offset(middle, zone) == before:
            early = middle
        else:
            late = middle
    return Instant(late * SECOND)


def _epoch(wall: datetime) -> int:
    return int(wall.timestamp())


def _offset(epoch: int, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(epoch, UTC).astimezone(zone).utcoffset()
