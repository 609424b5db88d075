"""`[hours]` of a centre file → its calendar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from callcore.centres.holidays import public_holidays
from callcore.centres.sheet import Once, Table, shown
from callcore.domain.hours import Calendar, Period, Rule, SpecialDay, Week, Window, YearlyRange

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
CLOSED, OPEN = "closed", "open"


def read_hours(
    hours: Table, zone: str, today: date | None, *, known: tuple[tuple[str, str], ...] = ()
) -> Calendar:
    """Notes on the sheet what is wrong. `today` (local date; None: now) picks the years of public holidays.

    `known`: the holidays that hold here unless these hours name a file or days of their own; none: those by law."""
    rule = hours.choice("holidays", (CLOSED, OPEN, "saturday", "sunday"), CLOSED)
    at_once = hours.choice("closing", ("when_served", "at_once"), "when_served") == "at_once"
    week = hours.table("weekly")
    weekly = _week(week)
    if "weekly" in hours and not any(weekly) and not week.sheet.problems:
        hours.wrong(
            "weekly",
            "営業する曜日がひとつもありません",
            "there is no day of the week on which the centre opens",
            '例: monday = ["08:30-18:00"]',
            'e.g. monday = ["08:30-18:00"]',
        )
    yearly = []
    yearly_tables = hours.tables("yearly")
    for entry in yearly_tables:
        first, last = entry.month_day("first", "12-29"), entry.month_day("last", "01-03")
        yearly.append(YearlyRange(first, last, entry.text("reason", "年末年始"), _own_hours(entry)))
        entry.close()
    periods: list[Period] = []
    period_tables = hours.tables("periods")
    for entry in period_tables:
        periods.append(_period(entry, periods))
        entry.close()
    once = Once("特別日", "the day")
    special = []
    day_tables = hours.tables("days")
    for entry in day_tables:
        day = entry.day("date")
        once.claim(entry, "date", day)
        special.append(SpecialDay(day, entry.windows("windows"), entry.text("reason", "休日開庁")))
        entry.close()
    year = (today or datetime.now(ZoneInfo(zone)).date()).year
    own = not known or "holiday_file" in hours or "own_holidays" in hours
    found = public_holidays(hours, year - 1, year + 2)
    holidays = found if own else known
    frame = _week(hours.table("frame", required=False)) if hours.given("frame") else None
    hours.close()
    calendar = Calendar(
        zone,
        weekly,
        holidays if rule != OPEN else (),
        tuple(yearly),
        tuple(sorted(special, key=lambda entry: entry.date)),
        weekly[WEEKDAYS.index(rule)] if rule in WEEKDAYS else (),
        tuple(periods),
        at_once,
    )
    _warn_of_holidays(hours, calendar, today or datetime.now(ZoneInfo(zone)).date())
    if frame is not None and not hours.sheet.problems:  # else a date may be none
        holiday = frame[WEEKDAYS.index(rule)] if rule in WEEKDAYS else ()
        limits = _Frame(frame, holiday, {day for day, _ in calendar.holidays})
        limits.check_week(week, weekly, range(7))
        for table, each in zip(yearly_tables, yearly, strict=True):
            limits.check_week(table, each.weekly, range(7))
        for table, period in zip(period_tables, periods, strict=True):
            limits.check_week(table, period.weekly, limits.weekdays(period))
        for table, one in zip(day_tables, special, strict=True):
            limits.check(table, "windows", one.windows, limits.of(date.fromisoformat(one.date)), one.date)
    return calendar


def _warn_of_holidays(hours: Table, calendar: Calendar, today: date) -> None:
    """The next public holiday that opens in the middle of a closing, which somebody may not have meant."""
    for iso, name in calendar.holidays if calendar.holiday_windows else ():
        day = date.fromisoformat(iso)
        if day < today or calendar.day(day).rule is not Rule.HOLIDAY:
            continue
        for reason in calendar.closings(day):
            hours.sheet.warn(
                hours.at("holidays"),
                f"{iso}({name})は「{reason}」の中ですが、祝日の時間で開きます",
                f'{iso} ({name}) lies in "{reason}" and opens with the hours of a public holiday',
                f"休むなら、[[hours.days]] に date = {iso} を windows なしで書いてください",
                f"to be closed, write a [[hours.days]] with date = {iso} and no windows",
            )
            return


@dataclass(frozen=True, slots=True)
class _Frame:
    """契約の枠: the hours within which the centre may open."""

    weekly: Week
    holiday: tuple[Window, ...]
    holidays: set[str]

    def of(self, day: date) -> tuple[Window, ...]:
        return self.holiday if day.isoformat() in self.holidays else self.weekly[day.weekday()]

    def weekdays(self, period: Period) -> Iterable[int]:
        """The days of the week to which the period gives hours; a holiday keeps its own."""
        day, last = date.fromisoformat(period.first), date.fromisoformat(period.last)
        found: set[int] = set()
        while day <= last and len(found) < len(WEEKDAYS):
            found |= set() if day.isoformat() in self.holidays else {day.weekday()}
            day += timedelta(days=1)
        return sorted(found)

    def check_week(self, table: Table, weekly: Week, weekdays: Iterable[int]) -> None:
        """`table`: the week itself, or a range with `windows` or a week of its own."""
        for n in weekdays if any(weekly) else ():
            key = next(
                (each for each in (WEEKDAYS[n], "windows", "weekly") if each in table and weekly[n]), None
            )
            if key is not None and not self.check(table, key, weekly[n], self.weekly[n], WEEKDAYS[n]):
                return  # one line of a range is enough

    def check(
        self, table: Table, key: str, windows: tuple[Window, ...], allowed: tuple[Window, ...], when: str
    ) -> bool:
        """Notes the first window that lies outside; whether there is none."""
        for window in windows:
            if not any(each.opens <= window.opens and window.closes <= each.closes for each in allowed):
                told, frame = shown((window,)), shown(allowed)
                table.wrong(
                    key,
                    f"{when} の {told} は、契約の枠({frame or '休み'})の外です",
                    f"{when}: {told} is outside the contract's frame ({frame or 'closed'})",
                    "枠の中の時間にしてください。枠を変えるときは、発注者と取り決めてから [hours.frame] を直します",
                    "keep within the frame; once the client has agreed to another one, change [hours.frame]",
                )
                return False
        return True


def _week(table: Table) -> Week:
    weekly = tuple(table.windows(day) for day in WEEKDAYS)
    table.close()
    return weekly


def _own_hours(entry: Table) -> Week:
    """The hours of a range: the same on each day (`windows`) or by the day of the week (`weekly`); neither: none."""
    windows: tuple[Window, ...] = entry.windows("windows")
    by_day = _week(entry.table("weekly", required=False))
    if "windows" in entry and "weekly" in entry:
        entry.wrong(
            "weekly",
            "「windows」(毎日同じ)と「weekly」(曜日ごと)の両方があります",
            'there are both "windows" (the same each day) and "weekly" (by day of the week)',
            "どちらか片方にしてください",
            "keep one of the two",
        )
    if windows:
        return (windows,) * 7
    return by_day if any(by_day) else ()


def _period(entry: Table, before: list[Period]) -> Period:
    found = Period(entry.day("first"), entry.day("last"), entry.text("reason", "申請期間"), _own_hours(entry))
    if found.first and found.last and found.last < found.first:
        entry.wrong(
            "last",
            f"「last」({found.last})が「first」({found.first})より前です",
            f'"last" ({found.last}) is before "first" ({found.first})',
            "終わりの日を後の日付にしてください。年をまたぐ毎年の期間は [[hours.yearly]] に書きます",
            "write a later last day; what comes each year goes into [[hours.yearly]]",
        )
    for n, other in enumerate(before, 1):
        closes = not any(found.weekly)
        if other.first <= found.first and found.last <= other.last and (not closes or not any(other.weekly)):
            entry.sheet.wrong(
                entry.path,
                f"この期間が使われる日はありません。{n} 番目の期間({other.reason})が先に当てはまります",
                f"no day comes to this period: period {n} ({other.reason}) goes before it",
                "短い期間を先に書くか、この期間を消してください",
                "write the shorter one first, or take this one out",
            )
            break
    return found
