"""The five shipped centres through a fiscal year: what each specification says, a tenth of a second around each change.

The expectations are written down here from the specifications and the official calendar, by hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays as holidays_library
import jpholiday
import pytest

from callcore.centres import load, read
from callcore.domain import effects as e
from callcore.domain import inputs as i
from callcore.domain.centre import Cause, Centre, Choice, Configuration
from callcore.domain.hours import policy
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, PhoneId
from callcore.domain.stages import Device, Outcome
from tests.support.floors import NODE, Desk

PROJECT = Path(__file__).parents[2]
TOKYO = ZoneInfo("Asia/Tokyo")
TENTH = SECOND // 10
FIRST, LAST = date(2026, 4, 1), date(2027, 3, 31)
YEAR = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]

HOLIDAYS = {
    "2026-04-29": "昭和の日",
    "2026-05-03": "憲法記念日",
    "2026-05-04": "みどりの日",
    "2026-05-05": "こどもの日",
    "2026-05-06": "振替休日",
    "2026-07-20": "海の日",
    "2026-08-11": "山の日",
    "2026-09-21": "敬老の日",
    "2026-09-22": "国民の休日",
    "2026-09-23": "秋分の日",
    "2026-10-12": "スポーツの日",
    "2026-11-03": "文化の日",
    "2026-11-23": "勤労感謝の日",
    "2027-01-01": "元日",
    "2027-01-11": "成人の日",
    "2027-02-11": "建国記念の日",
    "2027-02-23": "天皇誕生日",
    "2027-03-21": "春分の日",
    "2027-03-22": "振替休日",
}
YEAR_END = ("2026-12-29", "2026-12-30", "2026-12-31", "2027-01-01", "2027-01-02", "2027-01-03")
SATURDAY, SUNDAY, THURSDAY = 5, 6, 3


def expected(centre: str, day: date) -> str | None:
    """The hours of a day as the specification of a centre says; None: closed. No centre has a break."""
    iso = day.isoformat()
    holiday, weekend = iso in HOLIDAYS, day.weekday() in (SATURDAY, SUNDAY)
    match centre:
        case "oita":
            return None if holiday or weekend or iso in YEAR_END else "08:30:00-18:00:00"
        case "ageo":
            return "08:30:00-20:00:00"
        case "izunokuni":
            if holiday or weekend or iso in YEAR_END:
                return None
            return "08:30:00-19:00:00" if day.weekday() == THURSDAY else "08:30:00-17:15:00"
        case "sogo":
            return "09:30:00-17:30:00" if holiday or weekend else "09:30:00-20:00:00"
        case "portal":
            if holiday or weekend:
                return None
            return "09:00:00-20:00:00" if iso >= "2027-01-01" else "09:30:00-18:30:00"
    raise AssertionError(centre)


OPENING_DAYS = {
    # April to March, counted on a wall calendar
    "oita": (21, 18, 22, 22, 20, 19, 21, 19, 20, 19, 18, 22),
    "ageo": (30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31),
    "izunokuni": (21, 18, 22, 22, 20, 19, 21, 19, 20, 19, 18, 22),
    "sogo": (30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31),
    "portal": (21, 18, 22, 22, 20, 19, 21, 19, 23, 19, 18, 22),
}
CENTRES = tuple(OPENING_DAYS)


@pytest.fixture(params=["Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"])
def machine_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's own time zone, which must not count."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@cache
def shipped() -> Configuration:
    return read(PROJECT / "centres", today=FIRST)


def centre_of(name: str) -> Centre:
    (found,) = (centre for centre in shipped().centres if centre.id == name)
    return found


def instant(day: date, clock: str) -> Instant:
    wall = datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=TOKYO)
    return Instant(round(wall.timestamp()) * SECOND)


def edges(centre: str, days: list[date]) -> list[tuple[Instant, bool]]:
    """Every opening (True) and closing (False) of the days, by hand."""
    found = []
    for day in days:
        hours = expected(centre, day)
        if hours is not None:
            opens, closes = hours.split("-")
            found += [(instant(day, opens), True), (instant(day, closes), False)]
    return found


def by_the_policy(entries: dict[str, str], at: Instant) -> bool:
    """The dialplan's arithmetic on what was pushed."""
    second = at // SECOND
    value = entries[datetime.fromtimestamp(second, TOKYO).strftime("%Y%m%d")].partition("~")[0]
    spans = [] if value == "closed" else [part.split("-") for part in value.split(",")]
    return any(int(opens) <= second < int(closes) for opens, closes in spans)


def by_the_week(centre: Centre, at: Instant) -> bool:
    """The dialplan's arithmetic on the rendered week, which knows no date."""
    wall = datetime.fromtimestamp(at // SECOND, TOKYO)
    second = wall.hour * 3600 + wall.minute * 60 + wall.second
    return any(w.opens <= second < w.closes for w in centre.calendar.weekly[wall.weekday()])


def test_all_five_are_right_together_and_speak() -> None:
    found = load(PROJECT / "centres", PROJECT / "ivr_prompts")
    assert [centre.id for centre in found.centres] == sorted(CENTRES)
    for centre in found.centres:
        assert {a.kind for a in centre.announcements} >= {"closed", "emergency", "greeting"}
        assert any(agent.emergency for agent in centre.agents), "somebody may close it by key"


@pytest.mark.parametrize("name", CENTRES)
def test_a_caller_at_each_opening_and_closing_of_a_year_meets_what_the_specification_says(
    name: str, machine_zone: str
) -> None:
    calendar = centre_of(name).calendar
    pushed = dict(policy(calendar, FIRST - timedelta(days=1), len(YEAR) + 2))
    changes = edges(name, YEAR)
    assert time.localtime().tm_zone == datetime.now(ZoneInfo(machine_zone)).tzname()
    for (at, opens), following in zip(changes, [*changes[1:], (None, False)], strict=True):
        for shift, is_open in ((-TENTH, not opens), (0, opens), (TENTH, opens)):
            there = Instant(at + shift)
            verdict = calendar.decide(there)
            assert verdict.open is is_open, (there, verdict)
            assert by_the_policy(pushed, there) is is_open, there
            if shift == -TENTH:
                assert verdict.changes_at == at
            elif following[0] is not None:
                assert verdict.changes_at == following[0]


@pytest.mark.parametrize("name", CENTRES)
def test_a_caller_at_any_hour_of_a_day_meets_the_hours_of_that_day_and_on_a_closed_day_the_reason(
    name: str,
) -> None:
    calendar = centre_of(name).calendar
    pushed = dict(policy(calendar, FIRST, len(YEAR)))
    for day in YEAR:
        hours = expected(name, day)
        opens, closes = ("99", "99") if hours is None else hours.split("-")
        for clock in ("00:00:00", "08:29:59", "08:30:00", "12:00:00", "17:15:00", "18:59:59", "23:59:59"):
            at = instant(day, clock)
            assert calendar.decide(at).open is (opens <= clock < closes), (day, clock)
            assert by_the_policy(pushed, at) is (opens <= clock < closes), (day, clock)
        noon = calendar.decide(instant(day, "12:00:00"))
        iso = day.isoformat()
        if hours is None and iso in HOLIDAYS:
            assert noon.reason.startswith("祝日: ") and HOLIDAYS[iso][-2:] in noon.reason
        elif hours is None and iso in YEAR_END and name != "portal":
            assert noon.reason == "年末年始"
        elif hours is None:
            assert noon.reason in ("定休日", "定休日(繁忙期)")


@pytest.mark.parametrize("name", CENTRES)
def test_each_month_has_as_many_opening_days_as_are_counted_on_the_wall(name: str) -> None:
    calendar = centre_of(name).calendar
    opened = [
        sum(bool(calendar.day(day).windows) for day in YEAR if day.month == m)
        for m in (*range(4, 13), 1, 2, 3)
    ]
    assert tuple(opened) == OPENING_DAYS[name]


DIFFERENT = {
    "oita": sorted({*HOLIDAYS, *YEAR_END} - {"2026-05-03", "2027-03-21", "2027-01-02", "2027-01-03"}),
    "ageo": [],
    "izunokuni": sorted({*HOLIDAYS, *YEAR_END} - {"2026-05-03", "2027-03-21", "2027-01-02", "2027-01-03"}),
    "sogo": sorted({*HOLIDAYS} - {"2026-05-03", "2027-03-21"}),
    "portal": sorted(
        {day for day in HOLIDAYS if day < "2027" and day != "2026-05-03"}
        | {day.isoformat() for day in YEAR if day.year == 2027 and day.weekday() not in (SATURDAY, SUNDAY)}
    ),
}
"""Days on which the plain week, all that the dialplan has beyond the pushed days, is not what the calendar says."""


@pytest.mark.parametrize("name", CENTRES)
def test_the_plain_week_differs_from_the_calendar_on_the_exceptional_days_and_no_other(name: str) -> None:
    centre = centre_of(name)
    different = []
    for day in YEAR:
        clocks = ("08:30:00", "09:15:00", "12:00:00", "17:20:00", "18:45:00", "19:30:00")
        told = [centre.calendar.decide(instant(day, clock)).open for clock in clocks]
        if told != [by_the_week(centre, instant(day, clock)) for clock in clocks]:
            different.append(day.isoformat())
    assert different == DIFFERENT[name]


@pytest.mark.parametrize("name", CENTRES)
def test_the_year_that_begins_today_agrees_with_two_holiday_libraries(name: str) -> None:
    (centre,) = (c for c in read(PROJECT / "centres").centres if c.id == name)
    today = centre.calendar.local_date(Instant(int(time.time()) * SECOND))
    other = holidays_library.country_holidays("JP", years=range(today.year, today.year + 2))
    kept = dict(centre.calendar.holidays)
    for n in range(366):
        day = today + timedelta(days=n)
        assert jpholiday.is_holiday(day) is (day in other), day
        if name != "ageo":
            assert (day.isoformat() in kept) is (day in other), day


@pytest.mark.parametrize("name", CENTRES)
def test_who_waits_in_any_of_the_five_hears_place_and_wait_and_beyond_the_agents_may_choose(
    name: str,
) -> None:
    centre = centre_of(name)
    (queue,) = centre.queues
    assert queue.comfort is not None and queue.comfort.place and queue.comfort.wait
    (menu,) = (menu for menu in centre.menus if menu.id == f"{name}-full")
    assert menu.keys[0].choice is Choice.WAIT
    beyond = [(rule.cause, rule.limit) for rule in queue.overflow if rule.menu == menu.id]
    third = (Cause.LINES, 0) if name == "izunokuni" else (Cause.PER_AGENT, 1)
    assert beyond == [(Cause.NO_AGENT, 0), third]


def test_the_portal_takes_calls_from_the_free_dial_alone_which_dials_it_by_a_short_number_in_its_hours() -> (
    None
):
    portal, sogo = centre_of("portal"), centre_of("sogo")
    assert sogo.outgoing is not None
    assert portal.only_from == (sogo.outgoing.number,)
    (desk,) = sogo.departments
    assert (desk.short, desk.number) == ("90", portal.numbers[0].digits)
    assert [desk.calendar.windows(day) for day in YEAR] == [portal.calendar.windows(day) for day in YEAR]


@pytest.mark.parametrize("on_duty", [0, 1, 3])
def test_oita_answers_by_voice_who_comes_when_as_many_wait_as_agents_are_on_duty(on_duty: int) -> None:
    desk = Desk()
    at = instant(date(2026, 11, 20), "10:00:00")
    desk.tell(
        i.RunBegins(at=at, run=1, software="t", configuration=Configuration("oita", (centre_of("oita"),)))
    )
    desk.tell(i.Snapshot(at=at, node=NODE, first=True, channels=(), devices=(), members=()))
    for n in range(1, on_duty + 1):
        phone = PhoneId(f"oita-p{n}")
        desk.tell(i.SignInAsked(at=at, agent=AgentId(f"100{n}"), phone=phone, channel="x", verified=True))
        desk.tell(i.DeviceReported(at=at, phone=phone, device=Device.BUSY))
    for n in range(1, on_duty + 2):
        name = f"c{n}"
        desk.tell(
            i.ChannelArrived(
                at=at, node=NODE, channel=ChannelId(name), name=name, number="0975105151", caller=None
            )
        )
        desk.tell(i.AdmissionDecided(at=at, call=CallId(name), open=True, source="pushed"))
        desk.tell(i.CallerHeld(at=at, call=CallId(name)))
    led = [effect for effect in desk.effects if isinstance(effect, e.LeadAside)]
    assert [(each.call, each.menu) for each in led] == [(f"c{on_duty + 1}", "oita-full")]


def test_a_third_caller_of_izunokuni_finds_both_lines_taken() -> None:
    desk = Desk()
    at = instant(date(2026, 11, 20), "10:00:00")
    only = Configuration("izunokuni", (centre_of("izunokuni"),))
    desk.tell(i.RunBegins(at=at, run=1, software="test", configuration=only))
    desk.tell(i.Snapshot(at=at, node=NODE, first=True, channels=(), devices=(), members=()))
    for n in (1, 2):
        phone = PhoneId(f"izunokuni-p{n}")
        desk.tell(i.SignInAsked(at=at, agent=AgentId(f"300{n}"), phone=phone, channel="x", verified=True))
        desk.tell(i.DeviceReported(at=at, phone=phone, device=Device.BUSY))
    for n in (1, 2, 3):
        name = f"c{n}"
        desk.tell(
            i.ChannelArrived(
                at=at, node=NODE, channel=ChannelId(name), name=name, number="0550000001", caller=None
            )
        )
        desk.tell(i.AdmissionDecided(at=at, call=CallId(name), open=True, source="pushed"))
        desk.tell(i.CallerHeld(at=at, call=CallId(name)))
    led = [effect for effect in desk.effects if isinstance(effect, e.LeadAside)]
    assert [(each.call, each.menu, each.said[0]) for each in led] == [("c3", "izunokuni-full", "place-3")]
    desk.tell(i.HangupRequested(at=at, channel=ChannelId("c3")))
    desk.tell(i.ChannelGone(at=at, channel=ChannelId("c3"), cause=16))
    assert desk.outcomes() == {"c3": Outcome.OVERFLOW_FULL.value}
