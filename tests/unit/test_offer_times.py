"""An operator who reads how long an offer takes reads the truth, and a bench can take it apart by phases."""

from __future__ import annotations

import random

import pytest

from callcore.domain.ids import Instant, Micros, OfferId
from callcore.runtime.offertimes import BOUNDS, GROWTH, WINDOW, OfferTimes, Spread, quantile


class Clocks:
    """The node's time, and a monotonic clock beside it; both in microseconds."""

    def __init__(self) -> None:
        self.passed = 0

    def now(self) -> Instant:
        return Instant(1_795_193_500_000_000 + self.passed)

    def clock(self) -> Micros:
        return Micros(7_000 + self.passed)


def one(times: OfferTimes, clocks: Clocks, name: str, *, delayed: int, takes: int) -> None:
    """An event stamped by Asterisk, read `delayed` later, and its redirect `takes` after that."""
    at = clocks.now()
    clocks.passed += delayed
    times.wanted(OfferId(name), clocks.clock(), at)
    times.begun(OfferId(name))
    clocks.passed += takes
    times.sent(OfferId(name))
    times.over(OfferId(name))


def test_the_time_inside_begins_with_the_bytes_and_the_whole_with_asterisks_stamp() -> None:
    clocks = Clocks()
    times = OfferTimes(clocks.now, clocks.clock)
    assert times.gauges() == {}
    one(times, clocks, "1.1", delayed=400, takes=2_000)
    one(times, clocks, "1.2", delayed=900, takes=3_000)
    assert times.gauges() == {
        "engine_offer_median_seconds": 0.002,
        "engine_offer_p99_seconds": 0.003,
        "engine_offer_largest_seconds": 0.003,
        "engine_offer_whole_p99_seconds": 0.0039,
        "engine_offer_decided_p99_seconds": 0.0,
    }


def test_an_offer_that_was_never_placed_is_no_figure() -> None:
    clocks = Clocks()
    times = OfferTimes(clocks.now, clocks.clock)
    times.wanted(OfferId("1.1"), clocks.clock(), clocks.now())
    times.over(OfferId("1.1"))
    times.sent(OfferId("1.1"))
    assert times.gauges() == {}


def test_the_gauges_look_at_the_last_offers_only() -> None:
    clocks = Clocks()
    times = OfferTimes(clocks.now, clocks.clock)
    one(times, clocks, "1.0", delayed=0, takes=5_000_000)
    for n in range(WINDOW):
        one(times, clocks, f"1.{n + 1}", delayed=0, takes=1_000)
    assert times.gauges()["engine_offer_largest_seconds"] == 0.001
    assert sum(times.inside.counts) == WINDOW + 1


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 1.0])
def test_a_quantile_read_from_the_counts_is_never_too_short_and_little_too_long(share: float) -> None:
    dice = random.Random(1)
    values = sorted(round(dice.lognormvariate(7.5, 1.0)) for _ in range(5_000))
    spread = Spread()
    for value in values:
        spread.add(value)
    true = values[round(share * len(values)) - 1] / 1e6
    read = quantile(spread.counts, share)
    assert read is not None
    assert true <= read * (1 + 1e-9)
    assert read <= true * GROWTH + 1e-4


def test_nothing_counted_has_no_quantile_and_an_hour_still_has_a_place() -> None:
    spread = Spread()
    assert quantile(spread.counts, 0.5) is None
    spread.add(3_600_000_000)
    assert spread.counts[BOUNDS - 1] == 1
