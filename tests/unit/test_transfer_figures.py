"""Figures of hold, consult and transfer: one arrival is one, talk is whose it was, and each department's own."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from rich.console import Console

from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.by_department import DepartmentFigures, by_department
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, DepartmentId, PhoneId
from callcore.domain.shifts import Doing
from callcore.domain.stages import Outcome, SideKind, SideOutcome
from callcore.reports import Report, day_report, range_report
from callcore.reports.report import Ledger
from callcore.reports.screen import report_tables
from callcore.reports.sheet import csv_of, departments_csv_of
from tests.property.test_shifts_and_reports import adds_up
from tests.support.floors import NODE, NUMBER
from tests.support.tapes import Taped
from tests.unit.test_core_transfer import CALLER, CITY, TAX, Moves

DEMO = CentreId("demo")
DAY = date(2026, 11, 23)


@pytest.fixture
def m() -> Moves:
    return Moves(d=Taped()).begin()


def told(m: Moves) -> Report:
    assert isinstance(m.d, Taped)
    made = day_report(m.d.frames, DEMO, DAY)
    adds_up(made)
    return made


def seconds(m: Moves) -> dict[str, float]:
    """Of talk, by agent."""
    assert isinstance(m.d, Taped)
    ledger = Ledger()
    for frame in m.d.frames:
        ledger.take(frame)
    found: dict[str, float] = defaultdict(float)
    for stretch in ledger.roster.stretches(ledger.at):
        if stretch.doing is Doing.TALKING:
            found[stretch.agent] += (stretch.before - stretch.first) / SECOND
    return dict(found)


def ends(of: DepartmentFigures) -> dict[str, int]:
    return {end.value: n for end, n in of.ends.items() if n}


def picked_up_again(m: Moves, s: float) -> None:
    """By agent 2, out of the line."""
    m.leg = m.d.pick_up(s)
    m.bridge = m.call.bridge or ""


# -- one arrival, and whose the talk is ----------------------------------------------------------------------


def escalated(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    far = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, far)
    m.passes_on(30)
    m.d.hang_up(60, by=far)


def came_back(m: Moves) -> None:
    m.hold(10)
    far = m.ask(12)
    m.answers(20, far)
    m.tell(
        i.ChannelGone(at=m.d.at(25), channel=far, cause=16),
        i.ChannelGone(at=m.d.at(25), channel=ChannelId("k1"), cause=16),
        i.HoldChanged(at=m.d.at(26), channel=m.leg, held=False),
    )
    m.d.hang_up(60, by=m.leg)


def asked_and_put_through(m: Moves) -> None:
    m.hold(10)
    far = m.ask(12)
    m.answers(20, far)
    m.passes_on(30)
    m.city_puts_down(90, far)
    m.over(90)


def back_from_one_and_on_to_another(m: Moves) -> None:
    far = m.unasked(10, "u1", TAX)
    m.city_takes(15, far)
    m.city_puts_down(17, far, "city")
    m.back(17)
    m.d.sign_in(18, 2)
    picked_up_again(m, 20)
    m.tell(i.HoldChanged(at=m.d.at(24), channel=m.leg, held=True))
    far = m.ask(25)
    m.answers(31, far)
    m.passes_on(40)
    m.city_puts_down(90, far)
    m.over(90)


def sent_away_and_back(m: Moves) -> None:
    """In the order in which Asterisk tells it."""
    far = m.unasked(10, "u1")
    m.back(18)
    m.tell(i.ChannelGone(at=m.d.at(18), channel=far, cause=17))
    m.d.sign_in(19, 2)
    picked_up_again(m, 20)
    m.d.hang_up(50, by=m.leg)


@pytest.mark.parametrize(
    ("way", "talk", "hold", "away", "outcome", "became"),
    [
        (escalated, {"1001": 27.0, "1002": 30.0}, 20, 0, Outcome.COMPLETED, {}),
        (came_back, {"1001": 57.0}, 16, 0, Outcome.COMPLETED, {"came_back": 1}),
        (asked_and_put_through, {"1001": 27.0}, 20, 60, Outcome.TRANSFERRED_ATTENDED, {"put_through": 1}),
        (
            back_from_one_and_on_to_another,
            {"1001": 7.0, "1002": 20.0},
            16,
            52,
            Outcome.TRANSFERRED_ATTENDED,
            {"put_through": 2},
        ),
        (sent_away_and_back, {"1001": 7.0, "1002": 30.0}, 0, 0, Outcome.COMPLETED, {"busy": 1}),
    ],
)
def test_one_arrival_stays_one_and_each_agents_talk_is_the_time_with_the_caller(
    m: Moves,
    way: Callable[[Moves], None],
    talk: dict[str, float],
    hold: int,
    away: int,
    outcome: Outcome,
    became: dict[str, int],
) -> None:
    way(m)
    row = told(m).total
    assert (row.figures.arrived, row.figures.offered, row.figures.answered) == (1, 1, 1)
    assert (row.endings.by_outcome[outcome], sum(row.endings.by_outcome.values())) == (1, 1)
    assert seconds(m) == talk
    record = m.d.books.records[CallId("c1")]
    assert (record.talk, record.hold, record.away) == (
        sum(talk.values()) * SECOND,
        hold * SECOND,
        away * SECOND,
    )
    assert row.staffing.lengths[Doing.TALKING] == record.talk, "nobody's talk: the time with the department"
    assert (row.figures.held, row.figures.hold_max_s) == ((1, hold) if hold else (0, None))
    assert ends(row.asks) == became
    assert row.endings.transfer_ratio.part == (outcome is Outcome.TRANSFERRED_ATTENDED)
    assert row.endings.completion_ratio.part == (outcome is Outcome.COMPLETED and way is not escalated)


def test_a_transfer_after_coming_back_is_one_transfer_to_the_last_department(m: Moves) -> None:
    back_from_one_and_on_to_another(m)
    city, tax = (told(m).total.by_department[each.id] for each in (CITY, TAX))
    assert (tax.transferred_blind, tax.unasked, ends(tax), tax.answer_max_s) == (
        0,
        1,
        {"put_through": 1},
        5.0,
    )
    assert (city.transferred_attended, city.asked, ends(city), city.answer_max_s) == (
        1,
        1,
        {"put_through": 1},
        6.0,
    )


# -- what became of each ask ---------------------------------------------------------------------------------


def test_why_a_department_did_not_answer_is_told_by_reason(m: Moves) -> None:
    m.hold(10)
    for n, outcome in enumerate(
        (SideOutcome.BUSY, SideOutcome.NO_ANSWER, SideOutcome.FAILED, SideOutcome.REFUSED)
    ):
        far = m.ask(20 + 10 * n, f"k{n}")
        m.tell(i.SideReturned(at=m.d.at(25 + 10 * n), call=CallId(f"k{n}"), outcome=outcome))
        m.tell(i.ChannelGone(at=m.d.at(25 + 10 * n), channel=far, cause=17))
    m.tell(
        i.SideCallTold(
            at=m.d.at(70),
            node=NODE,
            call=CallId("k9"),
            centre=DEMO,
            kind=SideKind.DEPARTMENT,
            phone=PhoneId("demo-p1"),
            number=NUMBER,
            other=TAX.number,
            why=TAX.id,
            refused=True,
            beside=CallId("c1"),
        )
    )
    m.ask(80, "k5", to=TAX)
    made = told(m).total
    city, tax = made.by_department[CITY.id], made.by_department[TAX.id]
    assert ends(city) == {"busy": 1, "no_answer": 1, "failed": 1, "refused": 1}
    assert (ends(tax), tax.open, tax.asked) == ({"closed": 1}, 1, 2)
    assert (city.answered, city.answer_median_s) == (0, None)


def test_who_is_sent_unasked_to_a_closed_department_is_counted_there_and_comes_back(m: Moves) -> None:
    at = m.d.at(10)
    m.tell(
        i.BridgeLeft(at=at, bridge=m.bridge, channel=CALLER),
        i.BridgeLeft(at=at, bridge=m.bridge, channel=m.leg),
        i.TransferTold(at=at, call=CallId("c1"), department=TAX.id, closed=True),
        i.ChannelGone(at=at, channel=m.leg, cause=16),
    )
    assert m.call.moving_to is None, "nobody is rung"
    m.back(10)
    m.caller_puts_down(20)
    of = told(m).total.by_department[TAX.id]
    assert (of.unasked, ends(of), of.open, of.lost_on_hold) == (1, {"closed": 1}, 0, 0)
    assert m.outcome is Outcome.CUT_OFF


@pytest.mark.parametrize(
    ("way", "whose"),
    [("asked", CITY.id), ("left while it rings", CITY.id), ("unasked", TAX.id), ("consult over", None)],
)
def test_who_hangs_up_on_hold_is_lost_with_the_department_that_was_being_called(
    m: Moves, way: str, whose: DepartmentId | None
) -> None:
    if way == "unasked":
        far = m.unasked(10, "u1", TAX)
    else:
        m.hold(10)
        far = m.ask(12)
    if way == "left while it rings":
        m.lets_go(15)
    if way == "consult over":
        m.answers(20, far)
        for channel in (far, ChannelId("k1")):
            m.tell(i.ChannelGone(at=m.d.at(22), channel=channel, cause=16))
    elif way != "asked":
        # Asterisk takes the department's leg down first.
        m.tell(i.HangupRequested(at=m.d.at(25), channel=CALLER))
        m.tell(i.ChannelGone(at=m.d.at(25), channel=far, cause=0))
    m.caller_puts_down(25)
    made = told(m).total
    assert (
        made.figures.arrived == made.asks.lost_on_hold == made.endings.by_outcome[Outcome.LOST_ON_HOLD] == 1
    )
    assert {name: of.lost_on_hold for name, of in made.by_department.items() if of.lost_on_hold} == {whose: 1}
    assert ends(made.asks) == ({"lost_on_hold": 1} if whose else {"came_back": 1})


def test_a_transfer_key_pressed_while_it_rings_waits_for_the_departments_answer(m: Moves) -> None:
    m.hold(10)
    far = m.ask(12)
    m.lets_go(15)
    assert told(m).total.asks.open == 1, "it rings on for the caller"
    m.city_takes(21, far)
    m.city_puts_down(80, far, "city")
    m.over(80)
    of = told(m).total.by_department[CITY.id]
    assert (of.transferred_blind, of.asked, ends(of), of.answer_median_s) == (1, 1, {"put_through": 1}, 9.0)


def test_a_step_of_the_wall_clock_makes_no_departments_answer_later(m: Moves) -> None:
    far = m.ask(12)
    m.tell(i.ClockJumped(at=m.d.at(15 + 3600), by=3600 * SECOND))
    m.answers(20 + 3600, far)
    m.passes_on(30 + 3600)
    assert m.d.books.asks[CallId("c1")][0].answer == 8 * SECOND


def test_asks_for_calls_from_test_numbers_are_left_out(m: Moves) -> None:
    asked_and_put_through(m)
    books = m.d.books
    [record] = books.records.values()
    made = replace(books, records=books.records.set(record.call, replace(record, test=True)))
    assert made.asks == books.asks
    assert by_department(made.records.values(), made.asks) == {}


# -- outlets -------------------------------------------------------------------------------------------------


def test_everything_of_a_call_belongs_to_the_half_hour_and_day_of_its_arrival(m: Moves) -> None:
    """The call came at 12:00, the consult is asked at 12:30, and the talk with the city goes on over midnight."""
    m.hold(1700)
    far = m.ask(1812, to=TAX)
    m.answers(1820, far)
    m.passes_on(1830)
    m.city_puts_down(12 * 3600 + 60, far)
    m.over(12 * 3600 + 60)
    assert isinstance(m.d, Taped)
    made = told(m)
    [half] = [row for row in made.days[0].half_hours if row.asks.asked]
    assert (half.span[0], half.asks.transferred_attended) == (m.d.at(0), 1)
    both = range_report(m.d.frames, DEMO, DAY, date(2026, 11, 24))
    adds_up(both)
    assert [day.row.asks.asked for day in both.days] == [1, 0]
    assert both.dates == (DAY, date(2026, 11, 24))
    lines = list(
        csv.DictReader(io.StringIO(departments_csv_of(both, half_hours=True).removeprefix("\ufeff")))
    )
    assert [(line["行 kind"], line["開始 from"]) for line in lines] == [
        ("half_hour", "2026-11-23 12:00"),
        ("day", "2026-11-23 00:00"),
        ("total", "2026-11-23 00:00"),
    ]
    for line in lines:
        assert (line["部署 department"], line["部署名 department_name"]) == (TAX.id, TAX.name)
        assert line["転送(相談後) transferred_attended"] == line["部署に相談 asked"] == "1"
        assert line["部署 応答まで中央値(秒) answer_median_s"] == "8"
    (day,) = csv.DictReader(io.StringIO(csv_of(made, half_hours=False).removeprefix("\ufeff")))
    assert (day["部署に相談 asks_asked"], day["部署 取り次ぎ asks_put_through"]) == ("1", "1")
    out = Console(width=400, record=True, file=io.StringIO())
    for table in report_tables(both, half_hours=False):
        out.print(table)
    shown = out.export_text()
    assert "2026-11-23 – 2026-11-24" in shown
    assert TAX.name in shown


def test_a_day_without_a_call_to_a_department_has_no_such_table(m: Moves) -> None:
    m.d.hang_up(60, by=m.leg)
    made = told(m)
    assert made.total.by_department == {}
    assert made.total.asks.ends == dict.fromkeys(AskEnd, 0)
    assert m.d.floor.agents[AgentId("1001")].call is None
