"""Japan's public holidays (国民の祝日に関する法律): by the library, the Cabinet Office's file, and the centre's own.

The Cabinet Office publishes `syukujitsu.csv` (内閣府「国民の祝日」について): Shift_JIS, a heading, then one line
`2026/1/1,元日` for each holiday and substitute holiday. It is used for the years that it tells of, the library
(jpholiday) for the others, so that a file that nobody renewed does not stop a start.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from jpholiday import JPHoliday
from jpholiday.checker.checker import NationalHolidayChecker, TransferHolidayChecker

from callcore.centres.problems import Problem
from callcore.centres.sheet import Once, Table

FEWEST = 9
"""Public holidays of a year: 1955, where the Cabinet Office's file begins, had nine, and no year since fewer."""
SHOWN = 5
"""Wrong lines that are shown of one file."""

_LINE = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2}),([^,]+)", re.ASCII)


def public_holidays(hours: Table, first: int, last: int) -> tuple[tuple[str, str], ...]:
    """(ISO date, name) of whole years, in order. Notes on the sheet what is wrong with the file or the own ones."""
    found = {day: name for year in range(first, last + 1) for day, name in by_law(year)}
    name = hours.optional_text("holiday_file", "syukujitsu.csv")
    if name is not None and name.strip():
        told = read_file(hours.sheet.file.parent / name)
        if isinstance(told, list):
            for problem in told:
                hours.wrong(
                    "holiday_file",
                    f"{_place(name, problem)}: {problem.what_ja}",
                    f"{_place(name, problem)}: {problem.what_en}",
                    problem.instead_ja,
                    problem.instead_en,
                )
        else:
            years = {day[:4] for day in told}
            found = {day: name for day, name in found.items() if day[:4] not in years}
            found |= {day: name for day, name in told.items() if first <= int(day[:4]) <= last}
    once = Once("祝日", "the holiday")
    for entry in hours.tables("own_holidays"):
        day = entry.day("date")
        once.claim(entry, "date", day)
        words = entry.text("name", "市制記念日")
        if entry.truth("kept", True):
            found[day] = words
        elif day and found.pop(day, None) is None and str(first) <= day[:4] <= str(last):
            entry.wrong(
                "date",
                f"{day} は祝日ではないので、外せません",
                f"{day} is no public holiday and can't be taken out",
                "日付を確かめるか、この項目を消してください",
                "check the date, or take this entry out",
            )
        entry.close()
    return tuple(sorted((day, name) for day, name in found.items() if day))


def _place(name: str, problem: Problem) -> str:
    return name if problem.line is None else f"{name}:{problem.line}"


@cache
def by_law(year: int) -> tuple[tuple[str, str], ...]:
    """(ISO date, name) of the year's public holidays, in order.

    As the library's `year_holidays`, which looks at each day whether it is a substitute (祝日法 3 条 2 項) or lies
    between two holidays (3 項): that alone was a fifth of the engine's start. Both lie beside a day that has a name of
    its own, so it is asked of those alone."""
    law = JPHoliday()
    own_names = [
        each
        for each in law.registry.checkers()
        if not isinstance(each, NationalHolidayChecker | TransferHolidayChecker)
    ]
    days = [date(year, 1, 1) + timedelta(n) for n in range(-1, 367)]
    named = [day for day in days if any(each.is_holiday(day) for each in own_names)]
    near = sorted({day + timedelta(n) for day in named for n in (-1, 0, 1)})
    found = [each for day in near for each in law.holidays(day)]
    return tuple((each.date.isoformat(), each.name) for each in found if each.date.year == year)


def read_file(path: Path) -> dict[str, str] | list[Problem]:
    """ISO date → name, of a file in the form of the Cabinet Office's; or what is wrong with it."""
    again = (
        "内閣府のページから syukujitsu.csv をもう一度取得し、そのまま置いてください",
        "download syukujitsu.csv from the Cabinet Office again and put it there as it is",
    )
    try:
        data = path.read_bytes()
    except OSError as error:
        return [
            Problem(
                path,
                None,
                f"祝日ファイルを読めません({error.strerror})",
                f"the file of holidays can't be read ({error.strerror})",
                "センターファイルと同じフォルダに置き、名前と権限を確かめてください",
                "put it into the folder of the centre files; check its name and permissions",
            )
        ]
    if _is_utf8(data):
        return [
            Problem(
                path, None, "文字コードが UTF-8 です(Shift_JIS のはず)", "it is UTF-8, not Shift_JIS", *again
            )
        ]
    try:
        lines = data.decode("cp932").splitlines()
    except UnicodeDecodeError as error:
        torn = data.count(b"\n", 0, error.start) + 1
        return [Problem(path, torn, "Shift_JIS として読めません", "this can't be read as Shift_JIS", *again)]
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for n, line in enumerate(lines, 1):
        day = _day(line)
        if day is None and (n == 1 or not line.strip(" ,")):
            continue  # the heading, and what a spreadsheet leaves at the end
        if day is None:
            problems.append(
                Problem(
                    path,
                    n,
                    f"「{line}」は祝日の行ではありません",
                    f'"{line}" is no line of a holiday',
                    *again,
                )
            )
        elif day[0] in found:
            problems.append(Problem(path, n, f"{day[0]} が二度あります", f"{day[0]} is there twice", *again))
        else:
            found[day[0]] = day[1]
    counts = Counter(day[:4] for day in found)
    for year, count in sorted(counts.items()):
        if count < FEWEST:
            problems.append(
                Problem(
                    path,
                    None,
                    f"{year} 年の祝日が {count} 日しかありません",
                    f"there are only {count} holidays in {year}",
                    *again,
                )
            )
    if not found and not problems:
        problems.append(Problem(path, None, "祝日がひとつもありません", "there is not one holiday", *again))
    return problems[:SHOWN] if problems else found


def _is_utf8(data: bytes) -> bool:
    """Japanese in Shift_JIS is never well-formed UTF-8 by chance; plain ASCII is either."""
    if data.isascii():
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _day(line: str) -> tuple[str, str] | None:
    parts = _LINE.fullmatch(line.strip())
    if parts is None:
        return None
    try:
        return date(int(parts[1]), int(parts[2]), int(parts[3])).isoformat(), parts[4].strip()
    except ValueError:
        return None
