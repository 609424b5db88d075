"""How long what is kept of calls is kept: by months, by order, and by a clock that somebody has set."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from callcore.domain.centre import Retention
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import KeptBy, RecordingKind
from callcore.domain.retention import (
    Clock,
    Item,
    KeepOrder,
    Look,
    Sound,
    Verdict,
    Why,
    at_least_until,
    by_call,
    judge,
    kept_to,
    kept_until,
    months_of,
    over_from,
    rule_until,
    stepped,
)
from callcore.erasing.clock import Witness, steps_of

TOKYO = "Asia/Tokyo"
CALL = CallId("node1-1.1")
DAY_US = 86_400 * SECOND


def at(text: str, zone: str = TOKYO) -> Instant:
    return Instant(round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * SECOND))


def item(over: str = "2026-11-20T12:00", *kinds: RecordingKind, reported: bool = False) -> Item:
    sounds = tuple(
        Sound(f"{CALL}.{n}", kind, reported, at(over))
        for n, kind in enumerate(kinds or (RecordingKind.CALL,))
    )
    return Item(CALL, CALL, at(over), sounds, personal=True)


def order(until: str | None, given: str = "2026-12-01T09:00", call: CallId = CALL) -> KeepOrder:
    end = None if until is None else at(until)
    return KeepOrder("keep-1", CentreId("demo"), (call,), end, "訴訟", "user:sato", at(given))


def judged(
    now: str, of: Item | None = None, rule: Retention | None = None, orders: tuple[KeepOrder, ...] = ()
) -> Verdict:
    (verdict,) = judge([of or item()], rule or Retention(), TOKYO, Clock(at(now)), by_call(orders))
    return verdict


def whys(verdict: Verdict) -> list[Why]:
    return [judged.why for _, judged in verdict.sounds]


@pytest.mark.parametrize(
    ("day", "months", "last"),
    [
        ("2026-11-20", 6, "2027-05-20"),
        ("2026-08-31", 6, "2027-02-28"),
        ("2026-08-30", 6, "2027-02-28"),
        ("2027-02-28", 6, "2027-08-31"),  # begins on 1 March
        ("2027-08-31", 6, "2028-02-29"),
        ("2026-12-31", 1, "2027-01-31"),
        ("2026-11-30", 12, "2027-11-30"),
        ("2028-02-29", 12, "2029-02-28"),
    ],
)
def test_months_are_counted_as_the_civil_code_counts_them(day: str, months: int, last: str) -> None:
    assert kept_to(date.fromisoformat(day), months) == date.fromisoformat(last)


@pytest.mark.parametrize("zone", [TOKYO, "Europe/Berlin", "America/Havana"])
@pytest.mark.parametrize("months", [1, 6, 11, 360])
def test_what_is_kept_to_a_day_was_over_at_a_certain_time_or_later(months: int, zone: str) -> None:
    """Each day of five years and the instants about it, leap day and change of the clock included; asked both ways."""
    for day in range(0, 5 * 366):
        until = rule_until(at("2026-11-20T12:00", zone), months, zone)
        assert until is not None
        for asked in (Instant(until + day * DAY_US + off) for off in (-1, 0, 1)):
            first = over_from(asked, months, zone)
            kept, before = (rule_until(Instant(first + off), months, zone) for off in (0, -1))
            assert kept is not None and before is not None and before < asked <= kept
    for far in (Instant(-(10**17)), Instant(0), Instant(253_402_300_799 * SECOND)):
        over_from(far, months, zone)


def test_it_is_told_by_what_a_recording_is_kept_and_until_when() -> None:
    over, end, later = at("2026-11-20T12:00"), at("2027-05-21T00:00"), at("2027-08-01T00:00")

    def told(months: int = 6, *, held: bool = False, extended: Instant | None = None) -> object:
        return kept_until(over, months, TOKYO, held=held, extended=extended)

    assert told() == (KeptBy.RULE, end)
    assert told(extended=at("2027-02-01T00:00")) == (KeptBy.RULE, end), "an order never shortens"
    assert told(extended=later) == (KeptBy.EXTENDED, later)
    assert told(0, extended=later) == (KeptBy.UNTIL_TOLD, None)
    assert told(extended=later, held=True) == (KeptBy.HELD, None)
    (_, judgement), *_ = judged("2027-01-01T00:00", orders=(order("2027-08-01T00:00"),)).sounds
    assert (judgement.why, judgement.until) == (Why.EXTENDED, later), "the preview tells the same"


def test_a_recording_is_kept_to_the_end_of_the_local_day() -> None:
    assert rule_until(at("2026-11-20T23:59:59"), 6, TOKYO) == at("2027-05-21T00:00")
    assert rule_until(at("2026-11-21T00:00"), 6, TOKYO) == at("2027-05-22T00:00")
    assert rule_until(at("2026-11-20T12:00"), 0, TOKYO) is None
    assert whys(judged("2027-05-20T23:59:59")) == [Why.RULE]
    verdict = judged("2027-05-21T00:00")
    assert whys(verdict) == [Why.DUE] and verdict.personal_due
    assert [sound.name for sound in verdict.due] == [f"{CALL}.0"]


def test_each_kind_has_months_of_its_own_and_the_number_stays_while_any_sound_does() -> None:
    rule = Retention(call=12, message=1, consult=0)
    both = item("2026-11-20T12:00", RecordingKind.CALL, RecordingKind.MESSAGE, RecordingKind.CONSULT)
    verdict = judged("2027-06-01T00:00", both, rule)
    assert whys(verdict) == [Why.RULE, Why.DUE, Why.UNTIL_TOLD]
    assert verdict.personal is not None and verdict.personal.why is Why.SOUND
    assert not verdict.personal_due


def test_a_reported_call_is_kept_until_told() -> None:
    verdict = judged("2036-01-01T00:00", item(reported=True))
    assert whys(verdict) == [Why.UNTIL_TOLD] and not verdict.personal_due
    assert whys(judged("2036-01-01T00:00", item(reported=True), Retention(reported=24))) == [Why.DUE]


@pytest.mark.parametrize(
    ("call", "reported", "kept"),
    [(60, 36, 60), (36, 60, 60), (36, 36, 36), (0, 36, 0), (36, 0, 0), (0, 0, 0)],
)
def test_whoever_reports_a_call_makes_nothing_due(call: int, reported: int, kept: int) -> None:
    """The longer of both; 0, until told, is the longest."""
    rule = Retention(call=call, reported=reported)
    assert months_of(rule, RecordingKind.CALL, reported=False) == call
    assert months_of(rule, RecordingKind.CALL, reported=True) == kept
    for now in ("2029-11-20T12:00", "2029-11-21T00:00", "2030-11-20T12:00", "2031-11-21T00:00"):
        before, after = (whys(judged(now, item(reported=marked), rule)) for marked in (False, True))
        assert before == [Why.DUE] or after != [Why.DUE], now


def test_a_legal_hold_keeps_for_ever_and_an_extension_until_its_end_and_neither_shortens() -> None:
    held = judged("2046-01-01T00:00", orders=(order(None),))
    assert whys(held) == [Why.HELD] and held.personal is not None and held.personal.why is Why.HELD
    longer = judged("2027-12-31T12:00", orders=(order("2028-01-01T00:00"),))
    assert whys(longer) == [Why.EXTENDED]
    assert longer.sounds[0][1].until == at("2028-01-01T00:00")
    assert whys(judged("2028-01-01T00:00", orders=(order("2028-01-01T00:00"),))) == [Why.DUE]
    assert whys(judged("2027-01-15T00:00", orders=(order("2027-01-01T00:00"),))) == [Why.RULE]
    other = order(None, call=CallId("node1-9.9"))
    assert whys(judged("2046-01-01T00:00", orders=(other,))) == [Why.DUE]


def test_an_order_for_the_call_keeps_the_consult_beside_it() -> None:
    beside = Item(
        CallId("k1"),
        CALL,
        at("2026-11-20T12:00"),
        (Sound("k1", RecordingKind.CONSULT, False, at("2026-11-20T12:00")),),
    )
    (verdict,) = judge([beside], Retention(), TOKYO, Clock(at("2036-01-01T00:00")), by_call([order(None)]))
    assert whys(verdict) == [Why.HELD]


def test_a_clock_set_ahead_makes_nothing_due_and_one_set_right_again_takes_nothing_off() -> None:
    half_a_year = 200 * DAY_US
    ahead = Clock(at("2027-06-10T00:00"), ((at("2027-06-09T00:00"), half_a_year),))
    assert ahead.seen_from(at("2026-11-20T12:00")) == ahead.now - half_a_year
    (verdict,) = judge([item()], Retention(), TOKYO, ahead, {})
    assert whys(verdict) == [Why.RULE]
    back = Clock(at("2027-06-10T00:00"), (*ahead.steps, (at("2026-11-23T00:00"), -half_a_year)))
    (verdict,) = judge([item()], Retention(), TOKYO, back, {})
    assert whys(verdict) == [Why.DUE], "both steps were taken since; what is left went by"
    later = at("2027-06-09T12:00")
    assert ahead.seen_from(later) == ahead.now, "what came after the step is not touched by it"


def test_what_surely_cannot_be_due_is_not_looked_at_and_all_that_may_be_is() -> None:
    now = at("2027-05-21T00:00")
    before = at_least_until(now, Retention(), TOKYO)
    assert before is not None and at("2026-11-20T23:59") < before < at("2026-12-06T00:00")
    never = Retention(0, 0, 0, 0, 0, 0, 0)
    assert at_least_until(now, never, TOKYO) is None


# -- the witness ---------------------------------------------------------------------------------------------


def look(s: float, up: float, boot: str = "a") -> Look:
    return Look(Instant(round(s * SECOND)), round(up * SECOND), boot)


def test_a_step_is_what_the_wall_clock_went_beyond_the_machines_own() -> None:
    assert stepped(look(100, 10), look(160, 70)) == 0
    assert stepped(look(100, 10), look(160.9, 70)) == 0, "slewed"
    assert stepped(look(100, 10), look(86_560, 70)) == 86_400 * SECOND
    assert stepped(look(1000, 10), look(400, 70)) == -660 * SECOND
    assert stepped(look(0, 999), look(3600, 5, "b")) == 0, "off for an hour"
    assert stepped(look(0, 999), look(10 * 86_400, 5, "b")) == 9 * 86_400 * SECOND
    assert stepped(look(5000, 999), look(10, 5, "b")) == -4990 * SECOND


def test_the_witness_keeps_every_step_over_restarts(tmp_path: Path) -> None:
    witness = Witness(tmp_path / "erasures")
    assert witness.read() is None and steps_of(None) == ()
    witness.look(look(100, 10))
    witness.look(look(160, 70))
    seen = Witness(tmp_path / "erasures").look(look(100_000, 130))
    assert steps_of(seen) == ((100_000 * SECOND, 99_780 * SECOND),)
    again = Witness(tmp_path / "erasures").look(look(100_060, 190))
    assert (again.since, steps_of(again)) == (100 * SECOND, steps_of(seen))
    real = Witness(tmp_path / "real")
    assert real.look().steps == real.look().steps == []


def test_a_note_of_the_clock_that_is_damaged_is_put_aside_and_begun_anew(tmp_path: Path) -> None:
    """Else nothing would be erased any more, and nobody told."""
    folder = tmp_path / "erasures"
    Witness(folder).look(look(100, 10))
    (folder / "clock.json").write_bytes(b"\0\0\0")
    assert Witness(folder).look(look(160, 70)).since == 160 * SECOND
    assert Witness(folder).look(look(220, 130)).since == 160 * SECOND
    assert (folder / "clock.damaged").read_bytes() == b"\0\0\0"
