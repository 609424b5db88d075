"""A report for people: what a reader may rely on in the table and in the CSV."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from callcore.cells import defused
from callcore.domain import inputs as i
from callcore.domain.board import half_hours, today
from callcore.domain.centre import Cause, Overflow
from callcore.domain.hours import Calendar
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, PhoneId, QueueId
from callcore.domain.measures import Ratio
from callcore.domain.phones import Policy
from callcore.domain.shifts import Doing
from callcore.domain.stages import Outcome, Treatment
from callcore.domain.visits import VisitEnd
from callcore.reports import day_report, month_report
from callcore.reports.report import month_of
from callcore.reports.screen import clock, percent, report_tables
from callcore.reports.sheet import csv_of, departments_csv_of, queues_csv_of
from callcore.settings import PROJECT
from tests.support.floors import MONDAY_NOON, centre, configuration
from tests.support.tapes import Taped, a_month

DEMO = CentreId("demo")
DAY = date(2026, 11, 23)


def a_desk(agents: int = 1) -> Taped:
    desk = Taped()
    desk.begin(configuration(centre(agents)))
    return desk


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def test_a_day_with_an_open_call_is_not_final_and_says_how_many_are_open() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    told = day_report(desk.frames, DEMO, DAY)
    assert (told.final, told.total.figures.open, told.total.figures.answered) == (False, 1, 1)


def test_calls_from_test_numbers_are_left_out_and_counted() -> None:
    desk = Taped()
    desk.begin(configuration(replace(centre(2), test_numbers=("0990000000",))))
    desk.sign_in(0, 1)
    desk.sign_in(0, 2)
    desk.wait(5, "a1")
    desk.pick_up(6, "a1")
    desk.hang_up(8, "a1")
    desk.tell(i.TimerFired(at=desk.at(38), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    desk.arrive(20, "c1")
    desk.hang_up(28, "c1")
    desk.arrive(40, "t2", caller="0990000000")
    desk.tell(i.CallerHeld(at=desk.at(41), call=CallId("t2")))
    desk.pick_up(45, "t2")
    desk.hang_up(55, "t2")
    told = day_report(desk.frames, DEMO, DAY)
    assert (told.total.figures.tests, told.total.figures.arrived, told.total.figures.answered) == (1, 2, 1)
    assert told.total.endings.completion_ratio.part == 1
    assert told.total.handling.time.whole == 1
    assert [row["試験呼(除く) tests"] for row in rows(csv_of(told, half_hours=False))] == ["1"]
    out = Console(width=400, record=True, file=io.StringIO())
    for table in report_tables(told, half_hours=False):
        out.print(table)
    assert "試験呼 1件を除く" in out.export_text()


def test_a_call_that_moves_on_is_told_where_it_waited_and_each_queue_of_its_own_visits() -> None:
    first, second = QueueId("demo-general"), QueueId("demo-second")
    base = centre(1)
    desk = Taped()
    desk.begin(
        configuration(
            replace(
                base,
                queues=(
                    replace(
                        base.queues[0],
                        overflow=(Overflow(Cause.LONGEST_WAIT, Treatment.QUEUE, 20, target=second),),
                    ),
                    replace(base.queues[0], id=second, name="二次受付"),
                ),
                agents=(replace(base.agents[0], queues=(second,)),),
            )
        )
    )
    desk.sign_in(0, 1)
    desk.arrive(10, "c1")
    desk.tell(i.CallerHeld(at=desk.at(14), call=CallId("c1")))
    desk.tell(i.TimerFired(at=desk.at(34), timer=i.Timer(i.TimerKind.WAIT, "c1")))
    desk.pick_up(37, "c1")
    desk.arrive(40, "c2")
    desk.tell(i.CallerHeld(at=desk.at(46), call=CallId("c2")))
    desk.hang_up(50, "c2")
    desk.wait(60, "c3")
    told = day_report(desk.frames, DEMO, DAY)
    general, other = told.queues[first], told.queues[second]
    assert (general.visits, general.waiting) == (3, 1)
    assert {end.value: n for end, n in general.ends.items() if n} == {"moved": 1, "gave_up": 1}
    assert general.before_mean_s == (4 + 6 + 0) / 3
    assert (other.visits, other.ends[VisitEnd.ANSWERED], other.wait_max_s) == (1, 1, 3.0)
    assert other.before_mean_s is None
    assert told.total.figures.wait_max_s == 23.0, "of the call: from the first entry"
    read = rows(queues_csv_of(told))
    assert [(row["待ち行列 queue"], row["待ち visits"], row["移動 moved"]) for row in read] == [
        (first, "3", "1"),
        (second, "1", "0"),
    ]


def test_pauses_are_told_by_reason_and_breaks_are_not_staffed() -> None:
    desk = a_desk(2)
    desk.sign_in(0, 1)
    desk.sign_in(0, 2)
    desk.tell(i.PauseAsked(at=desk.at(600), reason="昼休み", agent=AgentId("1001")))
    desk.tell(i.PauseAsked(at=desk.at(600), reason="研修", agent=AgentId("1002")))
    desk.tell(i.ReadyAsked(at=desk.at(1200), agent=AgentId("1001")))
    desk.tell(i.ReadyAsked(at=desk.at(1500), agent=AgentId("1002")))
    desk.sign_in(1700, 1)  # another frame, so that the time goes on
    first = day_report(desk.frames, DEMO, DAY).days[0].half_hours[-1].staffing
    assert first.pauses == {"昼休み": 600 * SECOND, "研修": 900 * SECOND}
    assert first.lengths[Doing.PAUSED] == 1500 * SECOND
    assert first.staffed.part == first.signed_in - 600 * SECOND
    assert (first.least, first.most) == (1, 2)
    (line,) = rows(csv_of(day_report(desk.frames, DEMO, DAY), half_hours=False))
    assert (line["離席 昼休み(秒)"], line["離席 研修(秒)"]) == ("600", "900")


def test_who_pauses_in_a_talk_is_talking_then_wrapping_up_and_then_away() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    desk.tell(i.PauseAsked(at=desk.at(50), reason="休憩", agent=AgentId("1001")))
    desk.hang_up(112)
    desk.tell(i.TimerFired(at=desk.at(142), timer=i.Timer(i.TimerKind.WRAP_UP, AgentId("1001"))))
    desk.tell(i.ReadyAsked(at=desk.at(200), agent=AgentId("1001")))
    told = day_report(desk.frames, DEMO, DAY).total
    assert told.staffing.lengths[Doing.TALKING] == 100 * SECOND
    assert told.staffing.lengths[Doing.ACW] == 30 * SECOND
    assert told.staffing.pauses == {"休憩": 58 * SECOND}
    assert told.handling.mean_s == 130.0


def test_after_call_work_that_was_made_longer_is_one_stretch_of_the_same_call() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    desk.hang_up(112)
    desk.tell(i.WrapUpExtendAsked(at=desk.at(120), agent=AgentId("1001")))
    desk.tell(i.ReadyAsked(at=desk.at(160), agent=AgentId("1001")))
    assert day_report(desk.frames, DEMO, DAY).total.handling.time == Ratio(148 * SECOND, 1)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_step_of_the_wall_clock_makes_no_length_longer_or_shorter(hours: int) -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    desk.wait(10)
    desk.pick_up(12)
    by = hours * 3600
    desk.tell(i.ClockJumped(at=desk.at(62 + by), by=by * SECOND))
    desk.hang_up(112 + by)
    desk.tell(i.ReadyAsked(at=desk.at(122 + by), agent=AgentId("1001")))
    told = day_report(desk.frames, DEMO, DAY).total
    assert told.staffing.lengths[Doing.TALKING] == 100 * SECOND
    assert told.handling.time == Ratio(110 * SECOND, 1)
    assert told.figures.wait_max_s == 2.0
    # Set back: the 12 s before the talk bear an hour that is still to come again, and count when it is past.
    assert told.staffing.signed_in == (122 if hours > 0 else 110) * SECOND


def test_a_reader_never_sees_all_or_nothing_that_is_not() -> None:
    assert percent(Ratio(0, 0)) == "–"
    assert percent(Ratio(19, 20)) == "95.0% (19/20)"
    assert percent(Ratio(3479, 3480)) == "99.97% (3479/3480)"
    assert percent(Ratio(1, 3480)) == "0.03% (1/3480)"
    assert percent(Ratio(7, 7)) == "100.0% (7/7)"
    assert (clock(None), clock(0), clock(75.4), clock(3675)) == ("–", "0:00", "1:15", "1:01:15")


def test_a_spreadsheet_takes_no_cell_for_a_formula() -> None:
    for text in ("=1+1", "+81", "-1", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1+1", "＠SUM(A1)"):
        assert defused(text) == "'" + text
    assert defused("大分市") == "大分市"
    evil = centre(1)
    desk = Taped()
    desk.begin(configuration(replace(evil, id=CentreId("=cmd"))))
    desk.sign_in(0, 1)
    (line,) = rows(csv_of(day_report(desk.frames, CentreId("=cmd"), DAY), half_hours=False))
    assert line["センター centre"] == "'=cmd"


def test_the_csv_has_both_parts_of_every_ratio_and_no_two_columns_of_one_name() -> None:
    text = csv_of(day_report(a_month(30, days=1), DEMO, None), half_hours=True)
    names = next(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(set(names)) == len(names)
    for name in names:
        if name.endswith("_ratio"):
            ja, en = name.split(" ")
            assert {f"{ja} 分子 {en}_part", f"{ja} 分母 {en}_whole"} <= set(names)
    assert "\r\n" in text
    assert {f"{o.value}" for o in Outcome} <= {name.split(" ")[-1] for name in names}


def test_a_half_hour_without_a_call_has_a_dash_and_never_all_or_nothing() -> None:
    made = day_report(a_month(30, days=1), DEMO, None)
    quiet = made.days[0].half_hours[0]
    assert (quiet.figures.arrived, quiet.staffing.signed_in > 0) == (0, True)
    assert {percent(r) for r in (quiet.figures.answer_ratio, quiet.endings.completion_ratio)} == {"–"}
    line = rows(csv_of(made, half_hours=True))[0]
    assert line["行 kind"] == "half_hour"
    for name in ("応答率 answer_ratio", "センター内完了率 completion_ratio", "平均処理時間(秒) aht_s"):
        assert line[name] == ""
    assert (line["応答件数 answered"], line["応答率 分母 answer_ratio_whole"]) == ("0", "0")


def test_a_reader_of_a_report_finds_every_column_and_its_formula_in_the_documents() -> None:
    made = day_report(a_month(30, days=1), DEMO, None)
    names = {
        name.split(" ")[-1]
        for text in (
            csv_of(made, half_hours=False),
            queues_csv_of(made),
            departments_csv_of(made, half_hours=False),
        )
        for name in next(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    }
    ratios = {name for name in names if f"{name}_part" in names}
    names -= {f"{ratio}_{part}" for ratio in ratios for part in ("part", "whole")}
    page = (PROJECT / "docs" / "reports.md").read_text(encoding="utf-8")
    columns = {
        c
        for line in page.splitlines()
        if line.startswith("| `")
        for c in re.findall(r"`(\w+)`", line.split(" | ")[0])
    }
    assert columns == names


def test_a_month_ends_with_its_last_day() -> None:
    assert month_of(date(2028, 2, 11)) == (date(2028, 2, 1), date(2028, 2, 29))
    assert month_of(date(2026, 12, 31)) == (date(2026, 12, 1), date(2026, 12, 31))


def test_a_day_has_forty_eight_half_hours_but_where_summer_time_begins_or_ends() -> None:
    tokyo = centre(1)
    assert len(half_hours(today(tokyo, MONDAY_NOON))) == 48
    berlin = replace(tokyo, calendar=Calendar("Europe/Berlin", tokyo.calendar.weekly))
    assert len(half_hours(today(berlin, Instant(1_774_785_600 * SECOND)))) == 46  # 2026-03-29
    assert len(half_hours(today(berlin, Instant(1_792_929_600 * SECOND)))) == 50  # 2026-10-25


def test_days_before_the_journal_begins_are_not_told_as_days_without_calls() -> None:
    desk = a_desk()
    desk.sign_in(0, 1)
    told = month_report(desk.frames, DEMO, DAY)
    assert [d.row.date for d in told.days] == [DAY]
    assert told.since == MONDAY_NOON
    assert told.total.staffing.staffed.whole <= 3 * SECOND, "only what was watched is divided by"


def test_a_day_on_which_the_centre_is_closed_and_nobody_is_there_has_no_staffing() -> None:
    desk = Taped()
    small = centre(1)
    closed = replace(small, calendar=Calendar("Asia/Tokyo", tuple(() for _ in range(7))))
    desk.begin(configuration(closed))
    desk.arrive(5, "c1", open=False)
    desk.hang_up(8, "c1")
    told = day_report(desk.frames, DEMO, DAY).total
    assert (told.figures.closed, told.figures.arrivals) == (1, 0)
    assert (told.staffing.staffed.value, told.staffing.least) == (None, None)


def test_what_is_no_phone_of_the_inventory_stands_in_the_days_report() -> None:
    for times in (0, 3):
        desk = Taped()
        desk.begin()
        for n in range(times):
            desk.tell(
                i.PhoneTurnedAway(
                    at=desk.at(n), phone=PhoneId("demo-p1"), reason=Policy.UNREGISTERED, address="192.0.2.9"
                )
            )
        desk.tell(
            i.PhoneTurnedAway(
                at=desk.at(86_400), phone=PhoneId("demo-p1"), reason=Policy.CONTACTS, address="192.0.2.9"
            )
        )
        told = day_report(desk.frames, DEMO, DAY)
        assert told.policy_rejections == times, "the next day's are the next day's"
        out = Console(width=400, record=True, file=io.StringIO())
        for table in report_tables(told, half_hours=False):
            out.print(table)
        assert f"端末ポリシー違反 {times}件" in out.export_text()
