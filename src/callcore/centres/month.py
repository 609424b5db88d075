"""A centre's hours for people: a month as a calendar that a city officer signs off, and the answer for one instant."""

from __future__ import annotations

import calendar as gregorian
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from callcore.centres.problems import Language
from callcore.centres.sheet import clock
from callcore.domain.centre import Centre, Configuration, StaffingLevel
from callcore.domain.emergency import Emergency, decide
from callcore.domain.hours import Calendar, Day, Rule, Window
from callcore.domain.ids import SECOND, Instant

WIDTH = 84
"""Columns of the page: it fits a sheet of A4 in a fixed-width type of 10 points."""

_WEEKDAYS = {"ja": "月火水木金土日", "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
_REIWA = date(2019, 5, 1)
_LENGTH = re.compile(r"(\d{1,4})([dhm])", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


class NotUnderstood(ValueError):
    """What a person typed is no time, or names no centre. Says in both languages what to write."""


# -- reading what people type --------------------------------------------------------------------------------


def month_of(text: str) -> date:
    """The first day of `2026-09`. Raises NotUnderstood."""
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        raise NotUnderstood(
            f'「{text}」は月として読めません。例: 2026-09 / "{text}" is no month; write e.g. 2026-09'
        ) from None


def instant_of(text: str, zone: str, now: Instant) -> Instant:
    """`2026-09-22T10:00:00` by the centre's clock (or with an offset), `18:00` (the next to come), `2h`, `90m` or `30d`
    from now. Raises NotUnderstood."""
    here = ZoneInfo(zone)
    wall = datetime.fromtimestamp(now // SECOND, here)
    length, clock = _LENGTH.fullmatch(text), _CLOCK.fullmatch(text)
    try:
        if length is not None:
            found = wall + timedelta(minutes=int(length[1]) * {"d": 1440, "h": 60, "m": 1}[length[2]])
        elif clock is not None:
            found = wall.replace(hour=int(clock[1]), minute=int(clock[2]), second=0)
            if found <= wall:
                found += timedelta(days=1)
        else:
            found = datetime.fromisoformat(text)
            found = found if found.tzinfo is not None else found.replace(tzinfo=here)
        return Instant(round(found.timestamp() * SECOND))
    except (ValueError, OverflowError):
        raise NotUnderstood(
            f"「{text}」は日時として読めません。例: 2026-09-22T10:00:00、18:00、2h、30d / "
            f'"{text}" is no time; write e.g. 2026-09-22T10:00:00, 18:00, 2h or 30d'
        ) from None


def iso(at: Instant, zone: str) -> str:
    """By the centre's clock, with its offset."""
    wall = datetime.fromtimestamp(at // SECOND, ZoneInfo(zone)).replace(microsecond=at % SECOND)
    return wall.isoformat()


# -- one instant ---------------------------------------------------------------------------------------------


def answer(centre: Centre, emergency: Emergency | None, at: Instant) -> dict[str, Any]:
    """Open or closed at an instant, why, and when that changes next (None: not within a year)."""
    zone = centre.time_zone
    verdict = decide(centre.calendar, emergency, at)
    change = verdict.changes_at
    held = emergency is not None and emergency.on(at)
    return {
        "centre": centre.id,
        "at": iso(at, zone),
        "open": verdict.open,
        "reason": {"ja": verdict.reason, "en": verdict.reason_en},
        "next_change": None if change is None else {"at": iso(change, zone), "open": not verdict.open},
        "emergency": None
        if emergency is None or not held
        else {"until": iso(emergency.until, zone), "reason": emergency.reason, "by": emergency.by},
    }


def sentence(told: dict[str, Any], language: Language) -> str:
    """The same on one line."""
    change, reason = told["next_change"], told["reason"][language]
    if language == "ja":
        state = "営業中" if told["open"] else "休止中"
        then = (
            "1年以内の変更なし"
            if change is None
            else f"{change['at']} {'開始' if change['open'] else '終了'}"
        )
        return f"{told['centre']}  {told['at']}  {state}({reason})、次: {then}"
    state = "open" if told["open"] else "closed"
    then = (
        "no change within a year"
        if change is None
        else f"{'opens' if change['open'] else 'closes'} {change['at']}"
    )
    return f"{told['centre']}  {told['at']}  {state} ({reason}); next: {then}"


# -- one month -----------------------------------------------------------------------------------------------


def days(calendar: Calendar, month: date) -> Iterator[tuple[date, Day]]:
    for n in range(1, gregorian.monthrange(month.year, month.month)[1] + 1):
        day = month.replace(day=n)
        yield day, calendar.day(day)


def month_json(centre: Centre, month: date) -> dict[str, Any]:
    return {
        "centre": centre.id,
        "month": f"{month:%Y-%m}",
        "time_zone": centre.time_zone,
        "days": [
            {
                "date": day.isoformat(),
                "windows": [f"{clock(w.opens)}-{clock(w.closes)}" for w in told.windows],
                "rule": told.rule.value,
                "reason": {"ja": told.reason.ja, "en": told.reason.en},
                "staffing": None
                if (level := centre.staffed(day)) is None
                else {"name": level.name, "seats": level.seats},
            }
            for day, told in days(centre.calendar, month)
        ],
    }


def page(
    configuration: Configuration, centre: Centre, month: date, made: date, language: Language
) -> RenderableType:
    """The month as a page to be signed. `made`: the local date on which it is made."""
    japanese = language == "ja"
    table = Table(box=box.SQUARE, width=WIDTH, show_lines=False, header_style="bold")
    heads = (
        ("日付", "曜日", "受付時間", "時間", "備考")
        if japanese
        else ("Date", "Day", "Hours", "Length", "Remarks")
    )
    table.add_column(heads[0], justify="right", no_wrap=True)
    table.add_column(heads[1], justify="center", no_wrap=True)
    table.add_column(heads[2], no_wrap=True, min_width=24)
    table.add_column(heads[3], justify="right", no_wrap=True)
    table.add_column(heads[4], ratio=1)
    opened = total = 0
    for day, told in days(centre.calendar, month):
        seconds = sum(w.closes - w.opens for w in told.windows)
        opened += bool(told.windows)
        total += seconds
        table.add_row(
            f"{day.month}月{day.day:2}日" if japanese else f"{day:%d %b}",
            _WEEKDAYS[language][day.weekday()],
            _spoken(told.windows, language) or ("休業" if japanese else "closed"),
            _length(seconds) if seconds else "–",
            _remark(told, language),
            end_section=day.weekday() == gregorian.SUNDAY,
        )
    shut = gregorian.monthrange(month.year, month.month)[1] - opened
    return Padding(
        Group(
            Text(centre.name if japanese else centre.name_en, style="bold", justify="center"),
            Text(_title(month, language), style="bold", justify="center"),
            Text(),
            table,
            *_foot(configuration, centre, month, made, (opened, shut, total), language),
        ),
        (1, 1),
        expand=False,
    )


def _title(month: date, language: Language) -> str:
    if language == "en":
        return f"Opening hours, {month:%B %Y}"
    era = f"(令和{month.year - 2018}年)" if month >= _REIWA else ""
    return f"営業日・受付時間 {month.year}年{month.month}月{era}"


def _remark(told: Day, language: Language) -> str:
    if told.rule is Rule.WEEKLY:
        return "" if told.windows else {"ja": "定休日", "en": "weekly closing day"}[language]
    return told.reason.ja if language == "ja" else told.reason.en


def _foot(
    configuration: Configuration,
    centre: Centre,
    month: date,
    made: date,
    sums: tuple[int, int, int],
    language: Language,
) -> list[Text]:
    opened, shut, total = sums
    levels = _levels(centre, month, language)
    version = configuration.version[:12]
    at_once = centre.calendar.close_at_once
    if language == "ja":
        ending = (
            "終了時刻にお待ちの方には、受付終了をご案内して通話を終えます。"
            if at_once
            else "終了時刻までにお電話をいただき、お待ちの方には、順番に応対します。"
        )
        lines = (
            f"営業 {opened} 日、休業 {shut} 日、受付時間の合計 {_length(total)}",
            *levels,
            f"時刻は{_zone_name(centre.time_zone)}。開始時刻から受け付け、終了時刻からは時間外です。",
            ending,
            "災害などによる臨時休止は、この表に含みません。",
            f"作成 {made.year}年{made.month}月{made.day}日 (callcore、設定の版 {version})",
            "",
            "上記のとおり確認しました。",
            "",
            "確認日      年   月   日   所属 ____________________  氏名 ________________ 印",
            "",
            "受託者 __________________________________________  作成者 ________________ 印",
        )
    else:
        ending = (
            "Callers who still wait at closing time are told so, and their calls end."
            if at_once
            else "Callers who came before closing time and wait are served in their turn."
        )
        lines = (
            f"Open on {opened} days, closed on {shut}; {_length(total)} hours in all",
            *levels,
            f"Times are {centre.time_zone}: open at the opening time, closed at the closing time.",
            ending,
            "Emergency closures (disasters and the like) are not shown here.",
            f"Made on {made.isoformat()} (callcore, configuration {version})",
            "",
            "Seen and agreed.",
            "",
            "Date ______________  Department ____________________  Name ______________________",
            "",
            "Contractor ____________________________________  Made by ______________________",
        )
    return [Text(f" {line}" if line else "") for line in lines]


def _levels(centre: Centre, month: date, language: Language) -> list[str]:
    """The staffing levels of the month, each with its first day there."""
    firsts: dict[StaffingLevel, date] = {}
    for day, _ in days(centre.calendar, month):
        level = centre.staffed(day)
        if level is not None:
            firsts.setdefault(level, day)
    if language == "ja":
        return [
            f"体制: {each.name}({each.seats} 席) {day.month}月{day.day}日から" for each, day in firsts.items()
        ]
    return [
        f"Staffing level: {each.name} ({each.seats} seats) from {day:%d %b}" for each, day in firsts.items()
    ]


def _zone_name(zone: str) -> str:
    return "日本標準時" if zone == "Asia/Tokyo" else zone


def _spoken(windows: tuple[Window, ...], language: Language) -> str:
    between = "、" if language == "ja" else ", "
    return between.join(f"{clock(w.opens).removeprefix('0')}–{clock(w.closes)}" for w in windows)


def _length(seconds: int) -> str:
    """Hours and minutes."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02}"
