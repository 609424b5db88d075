"""`[hours]` of a centre file → its calendar."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from callcore.centres.holidays import public_holidays
from callcore.centres.sheet import Once, Table
from callcore.domain.hours import Calendar, Period, SpecialDay, Week, Window, YearlyRange

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
    for entry in hours.tables("yearly"):
        first, last = entry.month_day("first", "12-29"), entry.month_day("last", "01-03")
        yearly.append(YearlyRange(first, last, entry.text("reason", "年末年始"), _own_hours(entry)))
        entry.close()
    periods: list[Period] = []
    for entry in hours.tables("periods"):
        periods.append(_period(entry, periods))
        entry.close()
    once = Once("特別日", "the day")
    special = []
    for entry in hours.tables("days"):
        day = entry.day("date")
        once.claim(entry, "date", day)
        special.append(SpecialDay(day, entry.windows("windows"), entry.text("reason", "休日開庁")))
        entry.close()
    year = (today or datetime.now(ZoneInfo(zone)).date()).year
    own = not known or "holiday_file" in hours or "own_holidays" in hours
    found = public_holidays(hours, year - 1, year + 2)
    holidays = found if own else known
    hours.close()
    return Calendar(
        zone,
        weekly,
        holidays if rule != OPEN else (),
        tuple(yearly),
        tuple(sorted(special, key=lambda entry: entry.date)),
        weekly[WEEKDAYS.index(rule)] if rule in WEEKDAYS else (),
        tuple(periods),
        at_once,
    )


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
