"""When a centre is open: what a caller meets at each instant, and what is pushed to Asterisk for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays as holidays_library
import jpholiday
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.domain.hours import Calendar, Period, Rule, SpecialDay, Window, YearlyRange, policy
from callcore.domain.ids import SECOND, Instant

H = 3600
TENTH = SECOND // 10
DAYTIME = (Window(8 * H + 1800, 18 * H),)
WEEKDAYS = (DAYTIME,) * 5 + ((), ())
NEW_YEAR = YearlyRange((12, 29), (1, 3), "年末年始")


def japanese_holidays(*years: int) -> tuple[tuple[str, str], ...]:
    return tuple((day.isoformat(), name) for year in years for day, name in jpholiday.year_holidays(year))


CITY = Calendar("Asia/Tokyo", WEEKDAYS, japanese_holidays(2025, 2026, 2027, 2028), (NEW_YEAR,))


def instant(text: str, zone: str = "Asia/Tokyo", fold: int = 0) -> Instant:
    wall = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return Instant(round(wall.timestamp()) * SECOND)


def pushed_open(entries: tuple[tuple[str, str], ...], at: Instant, zone: str) -> bool:
    """The dialplan's arithmetic: whole epoch seconds, the key of the local date."""
    second = at // SECOND
    key = datetime.fromtimestamp(second, ZoneInfo(zone)).strftime("%Y%m%d")
    value = dict(entries)[key].partition("~")[0]
    if value == "closed":
        return False
    return any(int(a) <= second < int(b) for a, b in (part.split("-") for part in value.split(",")))


@pytest.mark.parametrize(
    ("wall", "shift", "is_open"),
    [
        ("2026-11-20T08:30:00", -TENTH, False),
        ("2026-11-20T08:30:00", 0, True),
        ("2026-11-20T08:30:00", +TENTH, True),
        ("2026-11-20T18:00:00", -TENTH, True),
        ("2026-11-20T18:00:00", 0, False),
        ("2026-11-20T18:00:00", +TENTH, False),
    ],
)
def test_a_caller_a_tenth_of_a_second_around_opening_and_closing(
    wall: str, shift: int, is_open: bool
) -> None:
    at = Instant(instant(wall) + shift)
    verdict = CITY.decide(at)
    assert verdict.open is is_open
    assert verdict.reason == ("営業時間内" if is_open else "時間外")
    assert verdict.reason_en == ("within opening hours" if is_open else "outside opening hours")
    assert pushed_open(policy(CITY, date(2026, 11, 20), 1), at, "Asia/Tokyo") is is_open


@pytest.mark.parametrize(
    ("wall", "reason", "opens_again"),
    [
        ("2026-09-22T10:00:00", "祝日: 国民の休日", "2026-09-24T08:30:00"),
        ("2026-05-06T10:00:00", "祝日: 憲法記念日 振替休日", "2026-05-07T08:30:00"),
        ("2026-12-29T10:00:00", "年末年始", "2027-01-04T08:30:00"),
        ("2026-12-31T23:59:59", "年末年始", "2027-01-04T08:30:00"),
        ("2027-01-01T10:00:00", "祝日: 元日", "2027-01-04T08:30:00"),
        ("2029-01-03T10:00:00", "年末年始", "2029-01-04T08:30:00"),
        ("2026-11-21T10:00:00", "定休日", "2026-11-24T08:30:00"),
        ("2026-11-23T10:00:00", "祝日: 勤労感謝の日", "2026-11-24T08:30:00"),
    ],
)
def test_a_caller_on_a_closed_day_is_told_why_and_when_it_opens(
    wall: str, reason: str, opens_again: str
) -> None:
    verdict = CITY.decide(instant(wall))
    assert (verdict.open, verdict.reason) == (False, reason)
    assert verdict.changes_at == instant(opens_again)


@pytest.mark.parametrize("wall", ["2026-12-28T09:00:00", "2027-01-04T08:30:00", "2026-09-24T08:30:00"])
def test_a_caller_on_the_opening_day_beside_a_closed_one_is_let_in(wall: str) -> None:
    assert CITY.decide(instant(wall)).open


def test_an_open_centre_says_when_it_closes() -> None:
    assert CITY.decide(instant("2026-11-20T09:00:00")).changes_at == instant("2026-11-20T18:00:00")


def test_the_earlier_rule_wins_over_the_later_one() -> None:
    calendar = Calendar(
        "Asia/Tokyo",
        WEEKDAYS,
        japanese_holidays(2026),
        (NEW_YEAR,),
        (
            SpecialDay("2026-11-21", (Window(9 * H, 12 * H),), "休日開庁"),
            SpecialDay("2026-11-23", (Window(9 * H, 12 * H),), "祝日開庁"),
            SpecialDay("2026-12-29", (Window(9 * H, 12 * H),), "年末開庁"),
            SpecialDay("2026-11-20", (), "庁舎停電"),
        ),
    )
    for day, name in (("2026-11-21", "休日開庁"), ("2026-11-23", "祝日開庁"), ("2026-12-29", "年末開庁")):
        inside = calendar.decide(instant(f"{day}T10:00:00"))
        assert (inside.open, inside.reason) == (True, f"営業時間内(特別日: {name})")
        assert inside.reason_en == f"within opening hours (special day: {name})"
        outside = calendar.decide(instant(f"{day}T12:00:00"))
        assert (outside.open, outside.reason) == (False, f"時間外(特別日: {name})")
    shut = calendar.decide(instant("2026-11-20T10:00:00"))
    assert (shut.open, shut.reason) == (False, "特別日: 庁舎停電")


EVENING = (Window(17 * H, 20 * H),)
EVENINGS = (EVENING,) * 7
LATE_ON_WEEKDAYS = ((Window(9 * H, 20 * H),),) * 5 + ((), ())
RANKED = Calendar(
    "Asia/Tokyo",
    WEEKDAYS,
    (("2027-01-01", "元日"), ("2027-01-11", "成人の日"), ("2027-02-11", "建国記念の日")),
    (NEW_YEAR, YearlyRange((1, 1), (3, 31), "繁忙期", LATE_ON_WEEKDAYS)),
    (SpecialDay("2027-02-11", (Window(9 * H, 12 * H),), "祝日開庁"),),
    holiday_windows=(Window(10 * H, 11 * H),),
    periods=(
        Period("2027-01-20", "2027-01-21", "設備更新"),
        Period("2027-01-15", "2027-02-15", "申請期限", EVENINGS),
    ),
)


@pytest.mark.parametrize(
    ("day", "rule", "opens"),
    [
        ("2027-02-11", Rule.SPECIAL, 9),  # a one-off day goes before the holiday and the period
        ("2027-01-01", Rule.HOLIDAY, 10),  # a holiday goes before the closing at the year's end
        ("2027-01-02", Rule.CLOSING, None),  # which goes before the busy season
        ("2027-01-20", Rule.CLOSING, None),  # a closing of some days goes before the period that holds them
        ("2027-01-11", Rule.HOLIDAY, 10),  # a holiday goes before the busy season
        ("2027-01-15", Rule.PERIOD, 17),  # this year's period goes before the season of every year
        ("2027-01-23", Rule.PERIOD, 17),  # on a Saturday too, for the period has hours there
        ("2027-02-16", Rule.YEARLY, 9),
        ("2027-02-20", Rule.YEARLY, None),  # a Saturday of the season, without hours
        ("2027-04-01", Rule.WEEKLY, 8.5),
        ("2027-04-03", Rule.WEEKLY, None),
    ],
)
def test_the_rule_that_goes_first_gives_the_day_its_hours(day: str, rule: Rule, opens: float | None) -> None:
    found = RANKED.day(date.fromisoformat(day))
    assert found.rule is rule
    assert [w.opens / H for w in found.windows] == ([] if opens is None else [opens])


@pytest.mark.parametrize(
    ("wall", "is_open", "reason", "reason_en"),
    [
        (
            "2027-01-11T10:30:00",
            True,
            "営業時間内(祝日: 成人の日)",
            "within opening hours (public holiday: 成人の日)",
        ),
        (
            "2027-01-11T12:00:00",
            False,
            "時間外(祝日: 成人の日)",
            "outside opening hours (public holiday: 成人の日)",
        ),
        ("2027-01-15T18:00:00", True, "営業時間内(申請期限)", "within opening hours (period: 申請期限)"),
        ("2027-02-20T12:00:00", False, "定休日(繁忙期)", "closed on this day of the week (繁忙期)"),
        ("2027-01-20T12:00:00", False, "設備更新", "closed: 設備更新"),
    ],
)
def test_a_caller_on_a_day_with_other_hours_is_told_by_which(
    wall: str, is_open: bool, reason: str, reason_en: str
) -> None:
    verdict = RANKED.decide(instant(wall))
    assert (verdict.open, verdict.reason, verdict.reason_en) == (is_open, reason, reason_en)


@pytest.mark.parametrize(
    ("clock", "shift", "is_open", "reason"),
    [
        ("12:00:00", -TENTH, True, "営業時間内"),
        ("12:00:00", 0, False, "休憩時間"),
        ("13:00:00", -TENTH, False, "休憩時間"),
        ("13:00:00", 0, True, "営業時間内"),
        ("08:29:59", 0, False, "時間外"),
        ("17:00:00", 0, False, "時間外"),
    ],
)
def test_a_caller_at_lunch_is_told_of_the_break(clock: str, shift: int, is_open: bool, reason: str) -> None:
    lunch = (Window(8 * H + 1800, 12 * H), Window(13 * H, 17 * H))
    calendar = Calendar("Asia/Tokyo", (lunch,) * 7)
    at = Instant(instant(f"2026-11-20T{clock}") + shift)
    verdict = calendar.decide(at)
    assert (verdict.open, verdict.reason) == (is_open, reason)
    assert pushed_open(policy(calendar, date(2026, 11, 20), 1), at, "Asia/Tokyo") is is_open


def test_of_two_periods_the_first_in_the_file_counts() -> None:
    week = Period("2027-05-10", "2027-05-16", "短い期間", ((Window(9 * H, 10 * H),),) * 7)
    month = Period("2027-05-01", "2027-05-31", "長い期間", EVENINGS)
    calendar = Calendar("Asia/Tokyo", WEEKDAYS, periods=(week, month))
    reasons = [calendar.day(date(2027, 5, day)).reason.ja for day in (9, 10, 16, 17)]
    assert reasons == ["長い期間", "短い期間", "短い期間", "長い期間"]
    assert calendar.day(date(2027, 6, 1)).rule is Rule.WEEKLY


def test_windows_that_touch_are_one_opening() -> None:
    nights = Calendar("Asia/Tokyo", ((Window(0, 2 * H), Window(22 * H, 24 * H)),) * 7)
    assert nights.decide(instant("2026-11-20T23:00:00")).changes_at == instant("2026-11-21T02:00:00")


def test_a_centre_that_never_closes_names_no_change() -> None:
    always = Calendar("Asia/Tokyo", ((Window(0, 24 * H),),) * 7)
    verdict = always.decide(instant("2026-11-20T23:00:00"))
    assert verdict.open
    assert verdict.changes_at is None


def test_the_policy_is_keyed_by_local_date_and_counts_in_epoch_seconds() -> None:
    split = Calendar("Asia/Tokyo", ((Window(9 * H, 12 * H), Window(13 * H, 17 * H)),) * 5 + ((), ()))
    assert policy(split, date(2026, 11, 20), 2) == (
        ("20261120", "1795132800-1795143600,1795147200-1795161600"),
        ("20261121", "closed"),
    )


@pytest.mark.parametrize(
    ("day", "value"),
    [
        ("2026-11-28", "closed"),  # a Saturday
        ("2026-11-23", "closed~holiday"),
        ("2026-12-29", "closed~year_end"),
        ("2027-01-01", "closed~year_end"),  # a holiday too
        ("2027-01-02", "closed~year_end"),  # a Saturday
        ("2027-01-04", None),
    ],
)
def test_the_policy_says_why_a_day_is_closed_where_it_is_worth_saying(day: str, value: str | None) -> None:
    [(_, pushed)] = policy(CITY, date.fromisoformat(day), 1)
    assert (pushed if pushed.startswith("closed") else None) == value


@pytest.mark.parametrize(
    ("windows", "value"),
    [
        ((), "closed~day"),
        ((Window(9 * H, 12 * H),), "1795132800-1795143600~changed"),
        ((Window(9 * H, 17 * H),), "1795132800-1795161600"),
    ],
)
def test_of_a_one_off_day_it_is_said_that_it_is_off_or_that_its_hours_are_others_than_usual(
    windows: tuple[Window, ...], value: str
) -> None:
    week = Calendar("Asia/Tokyo", ((Window(9 * H, 17 * H),),) * 7)
    one_off = replace(week, special=(SpecialDay("2026-11-20", windows, "点検"),))
    assert policy(one_off, date(2026, 11, 20), 1) == (("20261120", value),)


def test_a_holiday_with_hours_of_its_own_is_said_to_have_others_than_usual() -> None:
    sundays = replace(CITY, holiday_windows=(Window(10 * H, 15 * H),))
    [(_, pushed)] = policy(sundays, date(2026, 11, 23), 1)
    assert pushed.endswith("~changed")


@pytest.mark.parametrize(
    ("day", "spans"),
    [
        # 02:00–03:00 is left out on 29 March 2026, and shown twice on 25 October.
        ("2026-03-29", [("2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00")]),
        ("2026-10-25", [("2026-10-25T01:00:00+02:00", "2026-10-25T02:30:00+02:00")]),
        ("2026-10-24", [("2026-10-24T01:00:00+02:00", "2026-10-24T02:30:00+02:00")]),
    ],
)
def test_a_night_line_on_the_days_the_clocks_change(day: str, spans: list[tuple[str, str]]) -> None:
    berlin = Calendar("Europe/Berlin", ((Window(1 * H, 2 * H + 1800),),) * 7)
    expected = tuple(
        tuple(int(datetime.fromisoformat(end).timestamp()) * SECOND for end in span) for span in spans
    )
    assert berlin.windows(date.fromisoformat(day)) == expected


def test_a_window_in_the_hour_that_never_comes_is_no_window() -> None:
    berlin = Calendar("Europe/Berlin", ((Window(2 * H, 3 * H), Window(9 * H, 10 * H)),) * 7)
    assert len(berlin.windows(date(2026, 3, 29))) == 1
    assert len(berlin.windows(date(2026, 3, 30))) == 2


def test_opening_hours_stay_on_the_wall_clock_through_summer_time() -> None:
    berlin = Calendar("Europe/Berlin", (DAYTIME,) * 7)
    for day in ("2026-03-28", "2026-03-29", "2026-10-24", "2026-10-25"):
        opens = instant(f"{day}T08:30:00", "Europe/Berlin")
        closes = instant(f"{day}T18:00:00", "Europe/Berlin")
        assert berlin.windows(date.fromisoformat(day)) == ((opens, closes),)


SAMPLED = ["2026-09-21", "2026-09-22", "2026-11-20", "2026-11-21", "2026-12-28", "2027-01-03", "2027-01-04"]


@pytest.mark.parametrize("day", SAMPLED)
def test_the_core_and_asterisk_agree_on_every_minute_of_a_day(day: str) -> None:
    entries = policy(CITY, date.fromisoformat(day), 2)
    midnight = instant(f"{day}T00:00:00")
    for minute in range(24 * 60):
        at = Instant(midnight + minute * 60 * SECOND)
        assert CITY.decide(at).open == pushed_open(entries, at, "Asia/Tokyo")


windows_of_a_day = st.lists(st.integers(0, 24 * 60), min_size=0, max_size=6, unique=True).map(
    lambda ends: tuple(Window(a * 60, b * 60) for a, b in zip(*[iter(sorted(ends))] * 2, strict=False))
)

calendars = st.builds(
    Calendar,
    zone=st.sampled_from(
        ["Asia/Tokyo", "Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe"]
    ),
    weekly=st.tuples(*[windows_of_a_day] * 7),
    holidays=st.just(japanese_holidays(2026)),
    holiday_windows=windows_of_a_day,
    yearly=st.tuples(
        st.just(NEW_YEAR),
        st.builds(
            YearlyRange,
            st.sampled_from([(1, 1), (3, 28), (10, 20)]),
            st.sampled_from([(1, 31), (4, 2), (11, 5)]),
            st.just("季節"),
            st.tuples(*[windows_of_a_day] * 7),
        ),
    ),
    periods=st.lists(
        st.builds(
            Period,
            st.sampled_from(["2026-03-20", "2026-10-01"]),
            st.sampled_from(["2026-04-05", "2026-10-31"]),
            st.just("期間"),
            st.tuples(*[windows_of_a_day] * 7),
        ),
        max_size=2,
    ).map(tuple),
    special=st.lists(
        st.builds(
            SpecialDay,
            st.dates(date(2026, 1, 1), date(2026, 12, 31)).map(date.isoformat),
            windows_of_a_day,
            st.just("臨時"),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(calendar=calendars, first=st.dates(date(2026, 1, 1), date(2026, 12, 31)), data=st.data())
def test_the_core_and_asterisk_agree_at_and_around_every_boundary(
    calendar: Calendar, first: date, data: st.DataObject
) -> None:
    entries = policy(calendar, first - timedelta(days=2), 6)
    edges = [edge for n in range(2) for span in calendar.windows(first + timedelta(days=n)) for edge in span]
    midnight = instant(f"{first.isoformat()}T12:00:00", calendar.zone)
    edges.append(Instant(midnight + data.draw(st.integers(-86_400, 86_400)) * SECOND))
    for edge in edges:
        for shift in (-SECOND, -TENTH, -1, 0, 1, TENTH, SECOND):
            at = Instant(edge + shift)
            verdict = calendar.decide(at)
            assert verdict.open == pushed_open(entries, at, calendar.zone)
            if verdict.changes_at is not None:
                assert verdict.changes_at > at
                assert calendar.decide(verdict.changes_at).open is not verdict.open
                assert calendar.decide(Instant(verdict.changes_at - 1)).open is verdict.open


def test_a_year_of_opening_days_agrees_with_two_holiday_libraries() -> None:
    other = holidays_library.country_holidays("JP", years=range(2025, 2029))
    for n in range((date(2028, 12, 31) - date(2025, 1, 1)).days + 1):
        day = date(2025, 1, 1) + timedelta(days=n)
        shut = day.weekday() >= 5 or (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
        noon = CITY.decide(instant(f"{day.isoformat()}T12:00:00"))
        assert noon.open is not (shut or jpholiday.is_holiday(day)), day
        assert noon.open is not (shut or day in other), day
