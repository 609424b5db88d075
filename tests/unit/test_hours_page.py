"""A city officer signs the month off; anybody asks for one instant."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from callcore.centres import read
from callcore.centres.month import WIDTH, NotUnderstood, answer, instant_of, month_json, month_of, page
from callcore.centres.problems import Language
from callcore.cli import app
from callcore.domain.centre import Centre, Configuration
from callcore.domain.emergency import Emergency
from callcore.domain.hours import Window
from callcore.domain.ids import SECOND, Instant

PROJECT = Path(__file__).parents[2]
SEPTEMBER = date(2026, 9, 1)


def shipped(name: str, month: date = SEPTEMBER) -> tuple[Configuration, Centre]:
    found = read(PROJECT / "centres", today=month)
    return found, next(centre for centre in found.centres if centre.id == name)


def printed(name: str, month: date = SEPTEMBER, language: Language = "ja", **changes: object) -> str:
    configuration, centre = shipped(name, month)
    centre = replace(centre, calendar=replace(centre.calendar, **changes))  # type: ignore[arg-type]
    out = StringIO()
    Console(file=out, width=WIDTH + 2).print(page(configuration, centre, month, date(2026, 8, 20), language))
    return out.getvalue()


def at(text: str) -> Instant:
    return Instant(round(datetime.fromisoformat(text).timestamp()) * SECOND)


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.strip().startswith("│")]
    return [[cell.strip() for cell in line.strip().strip("│").split("│")] for line in lines]


def test_a_city_officer_reads_every_day_of_september_with_hours_and_reason_and_signs_below() -> None:
    text = printed("oita")
    table = rows(text)
    assert table[0] == ["日付", "曜日", "受付時間", "時間", "備考"]
    days = table[1:]
    assert len(days) == 30
    assert days[0] == ["9月 1日", "火", "8:30–18:00", "9:30", ""]
    assert days[4] == ["9月 5日", "土", "休業", "–", "定休日"]
    assert days[20:23] == [
        ["9月21日", "月", "休業", "–", "祝日: 敬老の日"],
        ["9月22日", "火", "休業", "–", "祝日: 国民の休日"],
        ["9月23日", "水", "休業", "–", "祝日: 秋分の日"],
    ]
    assert "営業日・受付時間 2026年9月(令和8年)" in text
    assert "営業 19 日、休業 11 日、受付時間の合計 180:30" in text
    for part in ("日本標準時", "2026年8月20日", "上記のとおり確認しました", "確認日", "氏名", "印", "受託者"):
        assert part in text, part
    assert {cell_len(line) for line in text.splitlines() if "│" in line} == {WIDTH + 2}


def test_the_page_is_there_in_english() -> None:
    text = printed("sogo", language="en")
    table = rows(text)
    assert table[0] == ["Date", "Day", "Hours", "Length", "Remarks"]
    assert table[5] == ["05 Sep", "Sat", "9:30–17:30", "8:00", ""]
    assert table[21][:4] == ["21 Sep", "Mon", "9:30–17:30", "8:00"]
    assert "Opening hours, September 2026" in text and "Seen and agreed" in text
    assert "Open on 30 days, closed on 0" in text


def test_the_staffing_levels_of_the_month_stand_below_with_their_first_days() -> None:
    assert "体制: 体制1(100 席) 9月1日から" in printed("sogo") and "体制2" not in printed("sogo")
    assert "Staffing level: 体制2 (150 seats) from 01 Jan" in printed("sogo", date(2027, 1, 1), "en")
    assert "体制:" not in printed("sogo", date(2026, 3, 1)), "before the first"
    configuration, sogo = shipped("sogo")
    sogo = replace(sogo, staffing=(*sogo.staffing[:1], replace(sogo.staffing[1], first="2026-09-16")))
    found = [day["staffing"]["seats"] for day in month_json(sogo, SEPTEMBER)["days"]]
    assert found == [100] * 15 + [150] * 15
    assert configuration.centres[0].staffed(SEPTEMBER) is None, "a centre without"


def test_a_break_both_openings_and_an_end_at_once_are_shown() -> None:
    lunch = ((Window(30_600, 43_200), Window(46_800, 64_800)),) * 7
    text = printed("oita", weekly=lunch, close_at_once=True)
    assert ["9月 1日", "火", "8:30–12:00、13:00–18:00", "8:30", ""] in rows(text)
    assert "終了時刻にお待ちの方には、受付終了をご案内して" in text
    assert "順番に応対します" in printed("oita")


def test_a_february_of_a_leap_year_and_a_december_with_its_closing_are_whole() -> None:
    assert len(rows(printed("ageo", date(2028, 2, 1)))) == 1 + 29
    december = rows(printed("oita", date(2026, 12, 1)))[1:]
    assert [row[4] for row in december[28:]] == ["年末年始"] * 3


@pytest.fixture
def city(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.setenv("CALLCORE_HOME", str(tmp_path))
    return CliRunner()


def asked(runner: CliRunner, *words: str) -> str:
    result = runner.invoke(app, ["hours", *words])
    assert result.exit_code == 0, result.output
    return result.output


def test_callcore_hours_prints_the_month_and_answers_for_one_instant(city: CliRunner) -> None:
    assert "敬老の日" in asked(city, "oita", "--month", "2026-09")
    told = json.loads(asked(city, "oita", "--at", "2026-09-22T10:00:00", "--json"))
    assert told == {
        "centre": "oita",
        "at": "2026-09-22T10:00:00+09:00",
        "open": False,
        "reason": {"ja": "祝日: 国民の休日", "en": "public holiday: 国民の休日"},
        "next_change": {"at": "2026-09-24T08:30:00+09:00", "open": True},
        "emergency": None,
        "emergency_known": False,
    }
    assert "休止中(祝日: 国民の休日)、次: 2026-09-24T08:30:00+09:00 開始" in asked(
        city, "oita", "--at", "2026-09-22T10:00:00"
    )
    assert "open (within opening hours); next: closes 2026-09-24T18:00:00+09:00" in asked(
        city, "oita", "--at", "2026-09-24T08:30:00", "--language", "en"
    )


def test_a_year_far_ahead_has_its_own_holidays(city: CliRunner) -> None:
    told = json.loads(asked(city, "oita", "--at", "2035-05-03T10:00:00", "--json"))
    assert told["reason"]["ja"] == "祝日: 憲法記念日"
    month = json.loads(asked(city, "oita", "--month", "2035-05", "--json"))
    assert month["days"][2] == {
        "date": "2035-05-03",
        "windows": [],
        "rule": "holiday",
        "reason": {"ja": "祝日: 憲法記念日", "en": "public holiday: 憲法記念日"},
        "staffing": None,
    }
    assert month["days"][0]["windows"] == ["08:30-18:00"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere", "--month", "2026-09"], "there is no centre nowhere; one of: ageo"),
        (["oita", "--month", "2026-13"], "is no month; write e.g. 2026-09"),
        (["oita", "--at", "tomorrow"], "is no time; write e.g. 2026-09-22T10:00:00"),
    ],
)
def test_what_is_not_understood_is_said_with_what_to_write(
    city: CliRunner, words: list[str], said: str
) -> None:
    result = city.invoke(app, ["hours", *words])
    assert result.exit_code == 1 and said in result.output


def test_without_an_engine_an_emergency_cannot_be_begun_and_says_so(city: CliRunner) -> None:
    result = city.invoke(app, ["emergency", "begin", "oita", "--reason", "地震", "--until", "2h"])
    assert result.exit_code == 1 and "the engine cannot be reached" in result.output
    result = city.invoke(app, ["emergency", "begin", "oita", "--reason", "地震", "--until", "soon"])
    assert result.exit_code == 1 and "is no time" in result.output


def test_the_answer_in_an_emergency_names_it_and_when_it_opens_again() -> None:
    _, oita = shipped("oita")
    emergency = Emergency(at("2026-09-24T10:00:00+09:00"), at("2026-09-24T12:00:00+09:00"), "地震", "課長")
    told = answer(oita, emergency, at("2026-09-24T11:00:00+09:00"))
    assert (told["open"], told["reason"]["ja"]) == (False, "臨時休止: 地震")
    assert told["next_change"] == {"at": "2026-09-24T12:00:00+09:00", "open": True}
    assert told["emergency"] == {"until": "2026-09-24T12:00:00+09:00", "reason": "地震", "by": "課長"}
    assert answer(oita, emergency, at("2026-09-24T12:00:00+09:00"))["emergency"] is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("18:00", "2026-09-24T18:00:00+09:00"),
        ("9:00", "2026-09-25T09:00:00+09:00"),
        ("2h", "2026-09-24T12:00:00+09:00"),
        ("90m", "2026-09-24T11:30:00+09:00"),
        ("30d", "2026-10-24T10:00:00+09:00"),
        ("2026-09-26T08:30", "2026-09-26T08:30:00+09:00"),
        ("2026-09-26T08:30+00:00", "2026-09-26T17:30:00+09:00"),
    ],
)
def test_an_end_is_understood_as_people_say_it_by_the_centres_clock(typed: str, meant: str) -> None:
    assert instant_of(typed, "Asia/Tokyo", at("2026-09-24T10:00:00+09:00")) == at(meant)


@pytest.mark.parametrize("typed", ["", "25:00", "2w", "now", "2026-02-30T10:00", "99999999999h", "9999999d"])
def test_an_end_that_is_no_time_is_refused(typed: str) -> None:
    with pytest.raises(NotUnderstood):
        instant_of(typed, "Asia/Tokyo", at("2026-09-24T10:00:00+09:00"))
    with pytest.raises(NotUnderstood):
        month_of(typed)
