"""Whoever pays by the month's 応答率 is warned in time: the figure is the reports' own, and never made up."""

from __future__ import annotations

from dataclasses import replace

from callcore.domain.board import day_of
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.measures import Record
from callcore.monthly import ANEW_S, MonthSoFar
from tests.support.floors import MONDAY_NOON, Desk
from tests.support.web import DeskSource

DEMO = CentreId("demo")
DAY = 86400 * SECOND


class Table:
    """Earlier days' records; what was asked for is kept."""

    def __init__(self, *records: Record) -> None:
        self.records_kept = records
        self.asked: list[Instant] = []

    async def records(self, centre: CentreId, first: Instant, before: Instant) -> list[Record]:
        self.asked.append(first)
        return [r for r in self.records_kept if first <= r.arrived_at < before]


def a_day() -> DeskSource:
    """One call answered, one abandoned."""
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(10, "c1")
    desk.pick_up(15, "c1")
    desk.wait(20, "c2")
    desk.hang_up(80, "c2")
    desk.hang_up(90, "c1")
    source = DeskSource(desk)
    source.turn()
    return source


async def test_the_months_ratio_is_made_of_the_days_before_and_of_today() -> None:
    today = a_day()
    centre = today.desk.floor.centres[DEMO]
    calls = today.view().books.of(DEMO, Instant(0), Instant(MONDAY_NOON + DAY))
    before = [replace(r, arrived_at=Instant(r.arrived_at - DAY)) for r in calls]
    table, clock = Table(*before), [0.0]
    month = MonthSoFar(table, lambda: clock[0])
    assert month.gauges(today.view(), today.now()) == {}, "nothing is said before the earlier days are known"
    await month.look(centre, today.now())
    assert month.gauges(today.view(), today.now())[DEMO] == {
        "month_answer_part": 2.0,
        "month_answer_whole": 4.0,
        "month_answer_ratio": 0.5,
    }
    first = centre.calendar.local_date(today.now()).replace(day=1)
    assert table.asked[0] == day_of(centre, first).first

    asked = len(table.asked)
    await month.look(centre, today.now())
    assert len(table.asked) == asked, "an hour long nothing is asked again"
    clock[0] += ANEW_S
    await month.look(centre, today.now())
    assert len(table.asked) == 2 * asked
    assert month.gauges(today.view(), Instant(today.now() + DAY)) == {}, (
        "on the next day they are asked for anew"
    )


async def test_a_month_without_calls_has_parts_and_no_ratio() -> None:
    source = DeskSource(Desk().begin())
    month = MonthSoFar(Table(), lambda: 0.0)
    await month.look(source.desk.floor.centres[DEMO], source.now())
    assert month.gauges(source.view(), source.now())[DEMO] == {
        "month_answer_part": 0.0,
        "month_answer_whole": 0.0,
    }
