"""Whoever plans seats by Erlang's formulas: published tables, the models' limits, and two independent computations."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcore.staffing.erlang import (
    Erlang,
    StaffingError,
    blocking,
    equilibrium,
    erlang_a,
    erlang_b,
    erlang_c,
    three,
)

GRID = [
    (40.0, 360.0, 120.0, 6),
    (40.0, 360.0, 120.0, 4),
    (80.0, 360.0, 120.0, 6),
    (7.0, 360.0, 45.0, 1),
    (30.0, 360.0, 600.0, 1),
    (800.0, 240.0, 90.0, 50),
    (2880.0, 60.0, 120.0, 50),
    (2600.0, 200.0, 90.0, 150),
    (6000.0, 180.0, 60.0, 300),
    (5400.0, 180.0, 1800.0, 270),
    (12_000.0, 180.0, 60.0, 300),
]
"""(arrivals per hour, handling time, patience, seats): light, full and overloaded, 1 to 300 seats."""


@pytest.mark.parametrize(
    ("seats", "one_in_100", "one_in_1000"),
    [(1, 0.0101, 0.0010), (5, 1.361, 0.7621), (10, 4.461, 3.092), (20, 12.03, 9.412), (100, 84.06, 75.24)],
)
def test_a_planner_finds_the_loads_of_the_published_blocking_tables(
    seats: int, one_in_100: float, one_in_1000: float
) -> None:
    """Any printed Erlang B table: the load that so many lines carry at 1 % and at 0.1 % blocking."""
    assert blocking(one_in_100, seats) == pytest.approx(0.01, rel=0.01)
    assert blocking(one_in_1000, seats) == pytest.approx(0.001, rel=0.01)


def test_a_planner_finds_the_example_that_the_literature_gives() -> None:
    """50 agents, 48 calls a minute of 1 minute, patience 2 minutes: N. Gans, G. Koole, A. Mandelbaum, "Telephone call
    centers: tutorial, review, and research prospects", 2003, prints both columns."""
    patient, hasty = erlang_c(2880, 60, 50), erlang_a(2880, 60, 120, 50)
    assert round(patient.wait_mean_s, 1) == 20.8 and round(patient.wait_p90_s, 1) == 58.1
    assert round(patient.occupancy, 2) == 0.96 and round(patient.waiting_mean) == 17
    assert round(hasty.abandon_ratio, 3) == 0.031 and round(hasty.wait_mean_all_s, 1) == 3.7
    assert round(hasty.occupancy, 2) == 0.93 and round(hasty.waiting_mean) == 3


def test_with_one_and_with_two_seats_the_formulas_are_those_that_fit_on_one_line() -> None:
    alone = erlang_c(9, 300, 1)  # 0.75 erlangs; M/M/1
    assert alone.delayed_ratio == pytest.approx(0.75)
    assert alone.wait_mean_s == pytest.approx(0.75 * 300 / 0.25)
    assert alone.wait_p90_s == pytest.approx(300 / 0.25 * math.log(0.75 / 0.1))
    two = erlang_c(12, 300, 2)  # 1 erlang: C = a² / (2 + a)
    assert two.delayed_ratio == pytest.approx(1 / 3)
    assert erlang_b(12, 300, 2).abandon_ratio == pytest.approx(1 / 5)  # a²/2 ÷ (1 + a + a²/2)


@pytest.mark.parametrize(("per_hour", "aht", "patience", "seats"), GRID)
def test_callers_come_and_go_equally_often_between_any_two_states(
    per_hour: float, aht: float, patience: float, seats: int
) -> None:
    load, leaving = per_hour * aht / 3600, aht / patience
    first, present = equilibrium(load, seats, leaving)
    assert math.fsum(present) == pytest.approx(1, abs=1e-14)
    for j, (lower, upper) in enumerate(pairwise(present), start=first):
        death = min(j + 1, seats) + max(0, j + 1 - seats) * leaving
        assert lower * load == pytest.approx(upper * death, rel=1e-12)


@pytest.mark.parametrize(("per_hour", "aht", "patience", "seats"), GRID)
def test_who_comes_is_served_or_leaves_and_the_line_is_as_long_as_its_waits(
    per_hour: float, aht: float, patience: float, seats: int
) -> None:
    told = erlang_a(per_hour, aht, patience, seats)
    assert told.answer_ratio + told.abandon_ratio == pytest.approx(1, abs=1e-12)
    assert told.waiting_mean == pytest.approx(per_hour / 3600 * told.wait_mean_all_s)
    assert told.abandon_ratio == pytest.approx(
        told.wait_mean_all_s / patience
    )  # each waiting second risks 1/patience
    assert 0 <= told.service_level <= told.answer_ratio + 1e-12 and 0 < told.occupancy < 1 + 1e-12
    assert told.wait_median_s <= told.wait_p90_s


# -- the same figures by integrals over the wait, which know no states ------------------------------------------


def simpson(of: Callable[[float], float], until: float, cuts: int = 20_000) -> float:
    h = until / cuts
    odd = math.fsum(of((2 * n + 1) * h) for n in range(cuts // 2))
    even = math.fsum(of(2 * n * h) for n in range(1, cuts // 2))
    return h / 3 * (of(0.0) + 4 * odd + 2 * even + of(until))


def by_integrals(told: Erlang) -> dict[str, float]:
    """M/M/n+G for an exponential patience: F. Baccelli and G. Hebuterne 1981; A. Mandelbaum and S. Zeltyn 2007.

    The wait that a caller of endless patience would have has, above 0, a density in proportion to
    exp(λ·H(x) − n·μ·x), H(x) the mean patience up to x.
    """
    assert told.patience_s is not None
    rate, service, leave = told.arrivals_per_hour / 3600, 1 / told.aht_s, 1 / told.patience_s
    seats = told.seats

    def grown(x: float) -> float:
        return rate * -math.expm1(-leave * x) / leave - seats * service * x

    top = max(0.0, math.log(rate / (seats * service)) / leave) if rate > seats * service else 0.0
    peak = grown(top)
    end = max(top, 1.0)
    while grown(end) - peak > -60:
        end *= 1.3

    def density(x: float) -> float:
        return math.exp(grown(x) - peak)

    before = math.fsum(  # Σ_{j<n} a^j/j! ÷ a^(n−1)/(n−1)!: the weight of a free seat against that of x = 0
        math.exp((j - seats + 1) * math.log(told.load_erlangs) - math.lgamma(j + 1) + math.lgamma(seats))
        for j in range(seats)
    )
    free = before * math.exp(-peak)
    j0 = simpson(density, end)
    total = free + rate * j0
    served = free + rate * simpson(lambda x: density(x) * math.exp(-leave * x), end)
    within = min(told.service_level_s, end)
    return {
        "delayed_ratio": rate * j0 / total,
        "answer_ratio": served / total,
        "service_level": (free + rate * simpson(lambda x: density(x) * math.exp(-leave * x), within)) / total,
        "wait_mean_s": rate * simpson(lambda x: x * density(x) * math.exp(-leave * x), end) / served,
        "wait_mean_all_s": rate
        * simpson(lambda x: -math.expm1(-leave * x) / leave * density(x), end)
        / total,
    }


@pytest.mark.parametrize("within", [0.0, 3.0, 20.0, 90.0])
@pytest.mark.parametrize(("per_hour", "aht", "patience", "seats"), GRID)
def test_integrals_over_the_wait_give_the_figures_of_the_states(
    per_hour: float, aht: float, patience: float, seats: int, within: float
) -> None:
    told = erlang_a(per_hour, aht, patience, seats, within)
    for name, value in by_integrals(told).items():
        assert getattr(told, name) == pytest.approx(value, rel=1e-6, abs=1e-9), name


# -- and by living it, in a dozen lines that know neither states nor integrals --------------------------------


def lived(
    per_hour: float, aht: float, patience: float, seats: int, seed: int, calls: int
) -> list[list[float]]:
    """Per batch of calls: answered, answered within 20 s, mean wait of the answered."""
    chance = random.Random(seed)
    free_at = [0.0] * seats
    now, batches, size = 0.0, [], calls // 20
    told: list[float | None] = []
    for _ in range(calls):
        now += chance.expovariate(per_hour / 3600)
        begins = max(now, free_at[0])
        gone = begins - now > chance.expovariate(1 / patience)
        if not gone:
            heapq.heapreplace(free_at, begins + chance.expovariate(1 / aht))
        told.append(None if gone else begins - now)
    for n in range(20):
        waits = [w for w in told[n * size : (n + 1) * size] if w is not None]
        batches.append([len(waits) / size, sum(w <= 20 for w in waits) / size, fmean(waits)])
    return batches


@pytest.mark.parametrize(
    ("per_hour", "aht", "patience", "seats"), [(40.0, 360.0, 120.0, 6), (30.0, 360.0, 600.0, 1), GRID[5]]
)
def test_a_hundred_thousand_callers_live_what_the_formula_says(
    per_hour: float, aht: float, patience: float, seats: int
) -> None:
    told = erlang_a(per_hour, aht, patience, seats)
    exact = [told.answer_ratio, told.service_level, told.wait_mean_s]
    for value, found in zip(
        exact, zip(*lived(per_hour, aht, patience, seats, 7, 100_000), strict=True), strict=True
    ):
        assert abs(fmean(found) - value) < 4 * stdev(found) / math.sqrt(len(found))


# -- limits, and what must not be asked ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seats=st.integers(1, 100), share=st.floats(0.2, 0.9), aht=st.floats(30, 900))
def test_without_patience_it_is_b_and_with_endless_patience_it_is_c(
    seats: int, share: float, aht: float
) -> None:
    per_hour = share * seats * 3600 / aht
    none, b = erlang_a(per_hour, aht, 1e-7 * aht, seats), erlang_b(per_hour, aht, seats)
    endless, c = erlang_a(per_hour, aht, 1e5 * aht, seats), erlang_c(per_hour, aht, seats)
    for name in ("answer_ratio", "service_level", "occupancy", "delayed_ratio"):
        assert getattr(none, name) == pytest.approx(getattr(b, name), abs=1e-4), name
        assert getattr(endless, name) == pytest.approx(getattr(c, name), abs=1e-3), name
    for name in ("wait_mean_s", "wait_median_s", "wait_p90_s", "wait_mean_all_s"):
        assert getattr(endless, name) == pytest.approx(getattr(c, name), rel=0.01, abs=1e-3), name


@settings(max_examples=40, deadline=None)
@given(
    seats=st.integers(1, 299), share=st.floats(0.1, 4), aht=st.floats(10, 1800), longer=st.floats(1e-3, 20)
)
def test_one_more_seat_never_makes_a_caller_worse_off(
    seats: int, share: float, aht: float, longer: float
) -> None:
    per_hour = share * seats * 3600 / aht
    patience = longer * aht
    fewer, more = erlang_a(per_hour, aht, patience, seats), erlang_a(per_hour, aht, patience, seats + 1)
    assert more.answer_ratio >= fewer.answer_ratio - 1e-12
    assert more.service_level >= fewer.service_level - 1e-12
    assert more.wait_mean_all_s <= fewer.wait_mean_all_s + 1e-9
    assert more.wait_p90_s <= fewer.wait_p90_s * (1 + 1e-9) + 1e-9


@settings(max_examples=40, deadline=None)
@given(
    seats=st.integers(1, 300),
    share=st.floats(0.01, 10),
    aht=st.floats(1, 7200),
    longer=st.floats(1e-5, 20),
)
def test_no_load_and_no_patience_leads_to_a_figure_that_means_nothing(
    seats: int, share: float, aht: float, longer: float
) -> None:
    told = erlang_a(share * seats * 3600 / aht, aht, longer * aht, seats)
    for ratio in (
        told.answer_ratio,
        told.abandon_ratio,
        told.service_level,
        told.delayed_ratio,
        told.occupancy,
    ):
        assert -1e-12 <= ratio <= 1 + 1e-12
    for length in (told.wait_mean_s, told.wait_median_s, told.wait_p90_s, told.wait_mean_all_s):
        assert math.isfinite(length) and length >= 0


@pytest.mark.parametrize(("per_hour", "aht", "patience", "seats"), GRID)
def test_the_percentile_is_the_wait_within_which_that_share_was_answered(
    per_hour: float, aht: float, patience: float, seats: int
) -> None:
    told = erlang_a(per_hour, aht, patience, seats)
    for share, t in ((0.5, told.wait_median_s), (0.9, told.wait_p90_s)):
        within = erlang_a(per_hour, aht, patience, seats, t).service_level / told.answer_ratio
        assert within == pytest.approx(share) if t else within >= share


@pytest.mark.parametrize(
    "question",
    [
        lambda: erlang_c(40, 360, 4),
        lambda: erlang_c(0, 360, 4),
        lambda: erlang_b(40, math.nan, 4),
        lambda: erlang_b(40, 360, 0),
        lambda: erlang_b(40, 360, 4, -1),
        lambda: erlang_a(40, 360, 0, 4),
        lambda: erlang_a(40, 360, math.inf, 4),
        lambda: erlang_a(1e6, 360, 1e9, 4),
        lambda: three(40, 360, 4, None),
    ],
)
def test_a_planner_who_asks_what_has_no_answer_is_told_so_in_both_languages(
    question: Callable[[], object],
) -> None:
    with pytest.raises(StaffingError, match=r"[ぁ-ん].* / .*[a-z]"):
        question()


def test_where_everybody_waits_for_ever_the_other_models_still_answer() -> None:
    a, b, c = three(40, 360, 4, 120)
    assert a is not None and c is None and b.answer_ratio < a.answer_ratio
