"""The figures by hand: textbook examples for each formula of the definitions."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from callcore.domain import inputs as i
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, Instant, QueueId
from callcore.domain.measures import Figures, Ratio, Record, figures, imbalance
from callcore.domain.stages import NOT_OFFERED, Outcome, Party
from tests.support.floors import NODE, Desk, centre, configuration
from tests.support.sim import Sim

NOON = Instant(1_795_402_800 * SECOND)
NOW = 600.0


def at(s: float) -> Instant:
    return Instant(NOON + round(s * SECOND))


_n = 0


def call(
    outcome: Outcome | None = None,
    *,
    arrived: float = 0.0,
    entered: float | None = None,
    answered: float | None = None,
    ended: float | None = None,
    by: Party = Party.CALLER,
    due: bool | None = True,
    reconstructed: bool = False,
) -> Record:
    """One record. Seconds from noon. `due`: admitted to an agent; None: not decided yet."""
    global _n  # noqa: PLW0603 - names only
    _n += 1
    return Record(
        call=CallId(f"c{_n}"),
        centre=CentreId("demo"),
        queue=QueueId("demo-general"),
        number="0975105151",
        arrived_at=at(arrived),
        due_agent=outcome not in NOT_OFFERED if outcome is not None else due,
        entered_at=None if entered is None else at(entered),
        answered_at=None if answered is None else at(answered),
        agent=AgentId("1001") if answered is not None else None,
        ended_at=None if outcome is None else at(NOW if ended is None else ended),
        outcome=outcome,
        hung_up_by=by if outcome is not None else None,
        reconstructed=reconstructed,
    )


def answered(wait: float, outcome: Outcome | None = Outcome.COMPLETED) -> Record:
    return call(outcome, arrived=0, entered=5, answered=5 + wait, ended=NOW if outcome else None)


def of(*records: Record, now: float = NOW, within_s: int = 20) -> Figures:
    """The figures, and the books balance whatever stands in them."""
    result = figures(records, at=at(now), service_level_s=within_s)
    assert imbalance(result) is None
    shuffled = list(records)
    for seed in range(3):
        random.Random(seed).shuffle(shuffled)
        assert figures(shuffled, at=at(now), service_level_s=within_s) == result
    return result


def test_with_no_call_every_ratio_and_mean_is_shown_as_a_dash() -> None:
    none = of()
    assert none.answer_ratio.value is None
    assert none.service_level.value is None
    assert none.abandon_ratio.value is None
    assert (none.wait_mean_s, none.wait_median_s, none.wait_p90_s, none.wait_max_s) == (None,) * 4
    assert none.longest_waiting_s is None


def test_with_only_refused_callers_there_is_nothing_to_divide_by() -> None:
    told = of(call(Outcome.CLOSED), call(Outcome.EMERGENCY_CLOSED), call(Outcome.BLOCKED))
    assert (told.arrived, told.offered, told.answer_ratio.value, told.abandon_ratio.value) == (
        3,
        0,
        None,
        None,
    )


def test_a_day_of_ten_offered_calls_by_hand() -> None:
    told = of(
        *(answered(wait) for wait in (4, 10, 20, 21, 45, 60)),  # 6 answered, 3 of them within 20 s
        call(Outcome.ABANDONED, entered=5, ended=35),
        call(Outcome.ABANDONED_SHORT, entered=1, ended=4),
        call(Outcome.FAILED, entered=5, ended=100, by=Party.SYSTEM),
        call(Outcome.OVERFLOW_WAIT, entered=5, ended=300, by=Party.SYSTEM),
        call(Outcome.IVR_ONLY),
        call(Outcome.CLOSED),
        call(Outcome.CLOSED),
    )
    assert (told.arrived, told.offered, told.answered) == (13, 10, 6)
    assert told.arrivals == 11, "offered + IVR only"
    assert told.answer_ratio == Ratio(6, 10)
    assert told.service_level == Ratio(3, 10), "of all offered, not of the answered"
    assert told.abandon_ratio == Ratio(2, 10), "abandoned and abandoned_short"
    assert told.hangups_before_answer == 2, "ended by the caller, and not the refused ones"
    assert told.wait_mean_s == pytest.approx((4 + 10 + 20 + 21 + 45 + 60) / 6)


def test_a_short_abandon_is_counted_apart_and_stays_in_every_denominator() -> None:
    told = of(answered(3), call(Outcome.ABANDONED_SHORT, entered=1, ended=4))
    assert (told.abandoned, told.abandoned_short) == (0, 1)
    assert told.answer_ratio == Ratio(1, 2)
    assert told.service_level == Ratio(1, 2)
    assert told.abandon_ratio == Ratio(1, 2)


@pytest.mark.parametrize(("wait", "in_time"), [(19.999, 1), (20.0, 1), (20.000001, 0)])
def test_the_service_level_counts_an_answer_at_exactly_its_bound(wait: float, in_time: int) -> None:
    assert of(answered(wait)).service_level == Ratio(in_time, 1)


def test_who_waits_longer_than_the_bound_is_missed_already_and_who_waits_less_is_not_counted_yet() -> None:
    waits_long = call(entered=NOW - 20.5)
    waits_short = call(entered=NOW - 20)
    hears_greeting = call()
    told = of(answered(5), waits_long, waits_short, hears_greeting)
    assert told.service_level == Ratio(1, 2)
    assert (told.waiting, told.offered) == (3, 4)
    assert told.answer_ratio == Ratio(1, 4), "offered is offered: who still waits is in the denominator"
    later = of(answered(5), waits_long, waits_short, hears_greeting, now=NOW + 1)
    assert later.service_level == Ratio(1, 3)


def test_who_gave_up_before_the_bound_is_missed_in_the_service_level() -> None:
    assert of(answered(5), call(Outcome.ABANDONED, entered=5, ended=12)).service_level == Ratio(1, 2)


def test_a_talk_that_is_still_on_counts_as_answered() -> None:
    told = of(answered(7, outcome=None), call(Outcome.ABANDONED, entered=0, ended=40))
    assert (told.answered, told.talking, told.waiting, told.open) == (1, 1, 0, 1)
    assert told.answer_ratio == Ratio(1, 2)
    assert told.service_level == Ratio(1, 2)
    assert told.wait_mean_s == 7.0


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.COMPLETED,
        Outcome.TRANSFERRED_ATTENDED,
        Outcome.TRANSFERRED_BLIND,
        Outcome.LOST_ON_HOLD,
        Outcome.CUT_OFF,
    ],
)
def test_however_a_talk_ended_it_was_answered(outcome: Outcome) -> None:
    told = of(answered(3, outcome))
    assert (told.answered, told.answer_ratio, told.hangups_before_answer) == (1, Ratio(1, 1), 0)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_its_place_in_the_books(outcome: Outcome) -> None:
    told = of(call(outcome, entered=1, ended=9, answered=3 if outcome is Outcome.COMPLETED else None))
    assert told.arrived == 1
    assert told.offered == (outcome not in NOT_OFFERED)


def test_the_wait_is_from_the_first_entry_into_a_queue_to_the_answer_or_the_end() -> None:
    assert answered(7).waited(at(NOW)) == 7 * SECOND
    assert call(Outcome.ABANDONED, arrived=0, entered=10, ended=40).waited(at(NOW)) == 30 * SECOND
    assert call(entered=NOW - 3).waited(at(NOW)) == 3 * SECOND
    assert call(Outcome.ABANDONED_SHORT, ended=3).waited(at(NOW)) is None, "never came to a queue"


def test_a_caller_who_came_back_into_the_queue_waited_until_the_first_answer_only() -> None:
    d = Desk().begin(configuration(centre(1)))
    d.sign_in(0, 1)
    d.wait(10)
    leg = d.pick_up(14)
    lost = d.floor.calls[CallId("c1")].bridge
    assert lost is not None
    d.tell(i.BridgeLeft(at=d.at(30), bridge=lost, channel=leg))
    d.tell(i.ChannelGone(at=d.at(30), channel=leg, cause=38))
    d.tell(i.CallerHeld(at=d.at(31), call=CallId("c1")))
    d.hang_up(90)
    told = d.figures(d.at(100))
    assert (told.wait_mean_s, told.answered, told.answer_ratio) == (4.0, 1, Ratio(1, 1))
    record = d.books.records[CallId("c1")]
    assert (record.talk, record.visits, record.outcome) == (16 * SECOND, 2, Outcome.CUT_OFF)


@pytest.mark.parametrize(
    ("waits", "median", "p90", "longest"),
    [
        ([8], 8, 8, 8),
        ([1, 2], 1, 2, 2),
        ([1, 2, 3], 2, 3, 3),
        (list(range(1, 11)), 5, 9, 10),  # 90 % of ten are nine
        (list(range(1, 12)), 6, 10, 11),
        (list(range(1, 101)), 50, 90, 100),
    ],
)
def test_a_percentile_is_the_smallest_wait_that_so_many_do_not_exceed(
    waits: list[int], median: int, p90: int, longest: int
) -> None:
    told = of(*(answered(float(w)) for w in waits))
    assert (told.wait_median_s, told.wait_p90_s, told.wait_max_s) == (median, p90, longest)


def test_the_longest_of_those_who_wait_now_is_shown_and_an_answered_one_is_not_among_them() -> None:
    told = of(answered(100), call(entered=NOW - 30), call(entered=NOW - 12))
    assert told.longest_waiting_s == 30.0


def test_hold_that_nobody_watched_is_unknown_and_not_0() -> None:
    assert answered(3).held == 0
    assert replace(answered(3), reconstructed=True).held is None
    assert call(Outcome.ABANDONED, reconstructed=True).held == 0, "who was never answered was never held"


def test_what_was_reconstructed_is_counted_beside_and_within() -> None:
    told = of(answered(3), call(Outcome.FAILED, reconstructed=True), call(reconstructed=True))
    assert (told.reconstructed, told.arrived) == (2, 3)


def test_a_call_of_which_nothing_is_decided_yet_is_on_a_line_of_its_own() -> None:
    told = of(call(due=None), call(due=False))
    assert (told.arrived, told.undecided, told.closed, told.offered) == (2, 1, 1, 0)


def test_live_books_and_the_same_records_in_any_order_give_the_same_figures() -> None:
    sim = Sim(20_261_120)
    sim.engine_starts()
    sim.run(1)
    for n in (1, 2, 3):
        sim.keys_in(n)
    for n in range(25):
        sim.later(4 + 5 * n, lambda: sim.comes(sim.between(2, 90)) and None)
    for _ in range(20):
        sim.run(11)
        records = list(sim.core.books.records.values())
        live = sim.core.figures(sim.now)
        assert imbalance(live) is None
        for seed in range(3):
            random.Random(seed).shuffle(records)
            assert figures(records, at=sim.now, service_level_s=20) == live
    assert sim.core.figures(sim.now).answered > 5


def test_a_call_that_went_before_the_dialplan_decided_is_closed_outside_hours_and_abandoned_inside() -> None:
    d = Desk().begin(configuration(centre(1, open_all_day=False)))
    for name, s in (("day", 0.0), ("night", 9 * 3600.0)):
        told = i.ChannelArrived(
            at=d.at(s), node=NODE, channel=ChannelId(name), name=name, number="0975105151", caller=None
        )
        d.tell(told)
        d.hang_up(s + 1, name)
    assert d.outcomes() == {"day": "abandoned_short", "night": "closed"}
