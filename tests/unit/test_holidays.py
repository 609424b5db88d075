"""Which days are holidays: the library, the Cabinet Office's file, and what the centre itself says."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import jpholiday
import pytest

from callcore import centres
from callcore.centres.holidays import SHOWN, by_law, read_file
from tests.unit.test_centre_files import GOOD, TODAY

HEAD = "国民の祝日・休日月日,国民の祝日・休日名称"


def cabinet(*years: int, extra: dict[str, str] | None = None) -> str:
    """A file in the form of the Cabinet Office's: what the law gives for these years, and what it adds."""
    days = {day: name for year in years for day, name in jpholiday.year_holidays(year)}
    days |= {date.fromisoformat(day): name for day, name in (extra or {}).items()}
    return (
        "\r\n".join([HEAD, *(f"{d.year}/{d.month}/{d.day},{name}" for d, name in sorted(days.items()))])
        + "\r\n"
    )


def mori(folder: Path, hours: str, file: bytes | None = None) -> dict[str, str]:
    """The holidays of a centre file with these lines under `[hours]`, by date."""
    (folder / "mori.toml").write_text(
        GOOD.replace("[hours.weekly]", f"[hours]\n{hours}\n[hours.weekly]"), "utf-8"
    )
    if file is not None:
        (folder / "syukujitsu.csv").write_bytes(file)
    return dict(centres.read(folder, today=TODAY).centres[0].calendar.holidays)


def problems(folder: Path, hours: str, file: bytes | None = None) -> list[centres.Problem]:
    with pytest.raises(centres.CentreFileErrors) as caught:
        mori(folder, hours, file)
    return list(caught.value.problems)


def test_the_years_are_those_of_the_law_and_a_start_does_not_wait_for_them() -> None:
    """Years with substitute holidays in a row, days between two holidays, days of one year, and none of all these."""
    years = (1949, 1959, 1973, 1988, 1990, 1993, 2007, 2009, 2019, 2020, 2026, 2032)
    began = time.process_time()
    ours = [each for year in years for each in by_law(year)]
    took = time.process_time() - began
    began = time.process_time()
    law = jpholiday.JPHoliday()
    told = [(each.date.isoformat(), each.name) for year in years for each in law.year_holidays(year)]
    assert took < (time.process_time() - began) / 2
    assert ours == told


def test_a_holiday_that_only_the_cabinet_offices_file_knows_closes_the_centre(tmp_path: Path) -> None:
    told = cabinet(2025, 2026, 2027, extra={"2027-06-01": "即位の礼"})
    found = mori(tmp_path, 'holiday_file = "syukujitsu.csv"', told.encode("cp932"))
    assert found["2027-06-01"] == "即位の礼"
    assert {day[:4] for day in found} == {"2025", "2026", "2027", "2028"}, "2028 is the library's"
    assert ("2024-01-01" in found, "2029-01-01" in found) == (False, False)


def test_a_holiday_that_was_moved_for_a_year_is_where_the_file_has_it(tmp_path: Path) -> None:
    told = cabinet(2026, extra={"2026-07-23": "海の日"}).replace("2026/7/20,海の日\r\n", "")
    found = mori(tmp_path, 'holiday_file = "syukujitsu.csv"', told.encode("cp932"))
    assert ("2026-07-20" in found, found["2026-07-23"]) == (False, "海の日")


def test_the_file_as_a_spreadsheet_saves_it_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "syukujitsu.csv"
    path.write_bytes(cabinet(2026).replace("2026/1/1,", "2026/01/01,").encode("cp932") + b",\r\n,\r\n\r\n")
    found = read_file(path)
    assert isinstance(found, dict) and found["2026-01-01"] == "元日" and len(found) == 18


WRONG = {
    "utf-8": (cabinet(2026).encode(), None, "UTF-8"),
    "no text": (b"\x81\x00\xff\xfe\r\n", 1, "Shift_JIS として読めません"),
    "another table": ("氏名,電話\r\n山田,03\r\n".encode("cp932"), 2, "祝日の行ではありません"),
    "a day that never comes": (
        cabinet(2026).replace("2026/1/1,", "2026/2/30,").encode("cp932"),
        2,
        "2026/2/30",
    ),
    "a day twice": ((cabinet(2026) + "2026/1/1,元日\r\n").encode("cp932"), 20, "二度"),
    "a file cut off": (
        "\r\n".join(cabinet(2026, 2027).splitlines()[:23]).encode("cp932"),
        None,
        "2027 年の祝日が 4 日しか",
    ),
    "nothing": (b"", None, "ひとつもありません"),
    "a heading only": (HEAD.encode("cp932"), None, "ひとつもありません"),
}


@pytest.mark.parametrize(("data", "line", "what"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_of_holidays_is_shown_with_its_line_and_stops_the_start(
    tmp_path: Path, data: bytes, line: int | None, what: str
) -> None:
    found = problems(tmp_path, 'holiday_file = "syukujitsu.csv"', data)
    problem = next(p for p in found if what in p.what_ja)
    assert problem.what_ja.startswith("syukujitsu.csv:" + ("" if line is None else f"{line}:"))
    assert problem.file == tmp_path / "mori.toml" and problem.line is not None
    assert "syukujitsu.csv" in problem.instead_en and problem.what_en


def test_a_file_of_holidays_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, 'holiday_file = "syukujitu.csv"')
    assert "祝日ファイルを読めません" in problem.what_ja
    assert "センターファイルと同じフォルダ" in problem.instead_ja


def test_of_a_file_full_of_mistakes_the_first_few_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("\n".join(f"行{n}" for n in range(500)).encode("cp932"))
    found = read_file(path)
    assert isinstance(found, list) and [p.line for p in found] == list(range(2, 2 + SHOWN))


OWN = '[[hours.own_holidays]]\ndate = {day}\nname = "{name}"\n{more}'


def own(day: str, name: str, more: str = "") -> str:
    return OWN.format(day=day, name=name, more=more)


def test_a_centre_has_holidays_of_its_own_and_leaves_others_out(tmp_path: Path) -> None:
    found = mori(
        tmp_path, own("2026-11-01", "市制記念日") + own("2026-10-12", "スポーツの日", "kept = false")
    )
    assert (found["2026-11-01"], "2026-10-12" in found) == ("市制記念日", False)
    assert found["2026-11-03"] == "文化の日"


def test_a_day_that_is_no_holiday_cannot_be_left_out(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, own("2026-10-13", "スポーツの日", "kept = false"))
    assert "2026-10-13 は祝日ではない" in problem.what_ja


def test_an_own_holiday_given_twice_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, own("2026-11-01", "市制記念日") + own("2026-11-01", "創立記念日"))
    assert "2026-11-01" in problem.what_ja
