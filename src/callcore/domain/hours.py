"""Opening hours: one calendar, one question (`decide`), and the same answer spread out ahead as a policy.

Precedence, first that speaks: one-off day > public holiday > yearly range > weekly hours.
A window is half open: at the instant of opening it is open, at the instant of closing it is closed.

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


@dataclass(frozen=True, slots=True)
class YearlyRange:
    """Closed each year from `first` to `last` (month, day), both included; may cross the new year."""

    first: tuple[int, int]
    last: tuple[int, int]
    reason: str

    def covers(self, day: date) -> bool:
        at = (day.month, day.day)
        if self.first <= self.last:
            return self.first <= at <= self.last
        return at >= self.first or at <= self.last


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


@dataclass(frozen=True, slots=True)
class Calendar:
    zone: str
    """IANA name, e.g. `Asia/Tokyo`."""
    weekly: tuple[tuple[Window, ...], ...]
    """Seven entries, Monday first."""
    holidays: tuple[tuple[str, str], ...] = ()
    """(ISO date, name) of the public holidays that close the centre, a few years of them."""
    yearly: tuple[YearlyRange, ...] = ()
    special: tuple[SpecialDay, ...] = ()

    def local_date(self, at: Instant) -> date:
        """The date that the centre's wall clock shows at an instant."""
        return datetime.fromtimestamp(at // SECOND, ZoneInfo(self.zone)).date()

    def day(self, day: date) -> tuple[tuple[Window, ...], Reason]:
        """The windows of a local date in wall time, in order, and the rule that gave them."""
        iso = day.isoformat()
        for special in self.special:
            if special.date == iso:
                reason = Reason(f"特別日: {special.reason}", f"special day: {special.reason}")
                return _in_order(special.windows), reason
        for holiday, name in self.holidays:
            if holiday == iso:
                return (), Reason(f"祝日: {name}", f"public holiday: {name}")
        for yearly in self.yearly:
            if yearly.covers(day):
                return (), Reason(yearly.reason, f"closed each year: {yearly.reason}")
        windows = _in_order(self.weekly[day.weekday()])
        if not windows:
            return (), Reason("定休日", "closed on this day of the week")
        return windows, Reason("通常の営業日", "ordinary opening day")

    def windows(self, day: date) -> tuple[Span, ...]:
        """The opening windows of a local date, in order. One that summer time leaves out whole is dropped."""
        zone = ZoneInfo(self.zone)
        spans = ((_instant(day, w.opens, zone), _instant(day, w.closes, zone)) for w in self.day(day)[0])
        return tuple(span for span in spans if span[0] < span[1])

    def judge(self, at: Instant) -> tuple[bool, Reason]:
        """Open or closed at an instant, and why."""
        today = self.local_date(at)
        windows, rule = self.day(today)
        if not windows:
            return False, rule
        within = _holds(self.windows(today), at)
        reason = (
            Reason("営業時間内", "within opening hours")
            if within
            else Reason("時間外", "outside opening hours")
        )
        if any(special.date == today.isoformat() for special in self.special):
            reason = Reason(f"{reason.ja}({rule.ja})", f"{reason.en} ({rule.en})")
        return within, reason

    def decide(self, at: Instant) -> Verdict:
        """Open or closed at an instant, why, and until when; the last looks up to a year ahead."""
        within, reason = self.judge(at)
        return Verdict(within, reason.ja, self._next_change(self.local_date(at), at, within), reason.en)

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

    Each entry is (`yyyymmdd`, `open-close[,open-close…]` in epoch seconds UTC, or `closed`). The dialplan is
    open at epoch second s iff open <= s < close; openings fall on whole seconds, so it agrees with `decide`.
    """
    entries = []
    for n in range(days):
        day = first + timedelta(days=n)
        spans = calendar.windows(day)
        value = ",".join(f"{opens // SECOND}-{closes // SECOND}" for opens, closes in spans) or "closed"
        entries.append((day.strftime("%Y%m%d"), value))
    return tuple(entries)


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
