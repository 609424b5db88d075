"""Erlang B, C and A: one group of equal seats, Poisson arrivals, exponential handling times, exact in equilibrium.

What each model says of a caller who finds every seat taken:
- B: goes at once (patience 0). C: waits for ever (patience without end). A: waits for an exponential patience.
A is Palm's model; B and C are its two limits. Who waits is served in the order of arrival.

Signs: a = load in erlangs (arrivals × handling time), n = seats, r = handling time ÷ patience; the unit of time
inside is one handling time, so that a seat serves at rate 1 and a waiting caller leaves at rate r.

Theory (sources: A. K. Erlang 1917; C. Palm, "Research on telephone traffic carried by full availability groups",
1957; A. Mandelbaum and S. Zeltyn, "Service engineering in action: the Palm/Erlang-A queue", 2007; W. Whitt,
"Engineering solution of a basic call-center model", 2005)
- Birth-death. The number j of callers present is born at rate a and dies at rate min(j, n) + r·max(0, j − n). Its
  equilibrium follows from detailed balance, π(j)·a = π(j + 1)·death(j + 1), and Poisson arrivals see it (PASTA).
- A caller who finds all seats taken and k waiting is served after k + 1 departures, if patience lasts. Their gaps are
  exponential with rates n + k·r, …, n + r, n, for those ahead leave too. Call the sum V. For exponential patience,
  P(V ≤ t and patience > V) = E[u; u ≥ e^(−r·t)] with u = e^(−r·V), and u has the moments
  E[u^s] = Π_{i=0..k} (c + i) / (c + i + s), c = n / r: those of a Beta(c, k + 1). Hence
  P(served within t | k) = c / (c + k + 1) · I_y(k + 1, c + 1), y = 1 − e^(−r·t), I the regularised incomplete beta
  function; with whole k it is the finite sum that `_Waits.served_within` runs through.
- The mean wait of those among them who are served: minus the derivative of E[e^(−s·V)] at s = r, which is
  n / (n + (k + 1)·r) · Σ_{i=1..k+1} 1 / (n + i·r).
- Little: mean wait of all callers = mean number waiting ÷ arrival rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

NEGLIGIBLE = 1e-20
"""Weight, relative to the likeliest number of callers, below which rarer numbers of callers are left out. The sum of
all that is left out stays below the 1e-16 that a float resolves."""

MOST_STATES = 500_000
"""Numbers of callers that are looked at, at most: some seconds. Beyond it stands a load above the seats with a patience
of weeks, for which the number waiting is that of no telephone centre."""

MOST_SEATS = 100_000
"""More seats than any centre has; keeps a typing error from running for minutes."""


class StaffingError(ValueError):
    """The question has no answer, or is not one. The text is for people, Japanese / English, and says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erlang:
    """Exact figures in equilibrium. Ratios 0 to 1, lengths in seconds; None where nobody is answered."""

    model: Literal["A", "B", "C"]
    arrivals_per_hour: float
    aht_s: float
    patience_s: float | None
    """None: without end (C)."""
    seats: int
    load_erlangs: float
    answer_ratio: float
    abandon_ratio: float
    """Who leaves unanswered, in B who is turned away."""
    service_level: float
    """Answered within `service_level_s` ÷ all callers."""
    service_level_s: float
    delayed_ratio: float
    """Who finds every seat taken."""
    wait_mean_s: float
    """ASA: of the answered. Likewise median and P90."""
    wait_median_s: float
    wait_p90_s: float
    wait_mean_all_s: float
    """Of all callers, answered or not."""
    waiting_mean: float
    """Callers who wait, on average over time."""
    occupancy: float


def blocking(load: float, seats: int) -> float:
    """Erlang B: the share of time in which all seats are taken when nobody waits.

    By the recursion 1/B(n) = 1 + n/a · 1/B(n−1), B(0) = 1, which only adds what is positive.
    """
    inverse = 1.0
    for n in range(1, seats + 1):
        inverse = 1.0 + inverse * n / load
        if inverse > 1e300:
            return 0.0
    return 1.0 / inverse


def erlang_b(arrivals_per_hour: float, aht_s: float, seats: int, service_level_s: float = 20.0) -> Erlang:
    """No waiting at all: who finds every seat taken goes. Raises `StaffingError` on values that mean nothing."""
    load = _load(arrivals_per_hour, aht_s, seats, service_level_s)
    taken = blocking(load, seats)
    answered = 1.0 - taken
    return Erlang(
        model="B",
        arrivals_per_hour=arrivals_per_hour,
        aht_s=aht_s,
        patience_s=0.0,
        seats=seats,
        load_erlangs=load,
        answer_ratio=answered,
        abandon_ratio=taken,
        service_level=answered,
        service_level_s=service_level_s,
        delayed_ratio=taken,
        wait_mean_s=0.0,
        wait_median_s=0.0,
        wait_p90_s=0.0,
        wait_mean_all_s=0.0,
        waiting_mean=0.0,
        occupancy=load * answered / seats,
    )


def erlang_c(arrivals_per_hour: float, aht_s: float, seats: int, service_level_s: float = 20.0) -> Erlang:
    """Everybody waits until answered. Raises `StaffingError` when the load is not below the seats."""
    load = _load(arrivals_per_hour, aht_s, seats, service_level_s)
    if load >= seats:
        raise StaffingError(
            f"呼量 {load:.4g} アーランは {seats} 席では処理しきれず、待ちは増え続けます。席を {math.floor(load) + 1} "
            f"以上にするか、我慢時間を指定してください / {load:.4g} erlangs are too much for {seats} seats: the line "
            f"grows for ever. Take at least {math.floor(load) + 1} seats, or give a patience"
        )
    taken = blocking(load, seats)
    delayed = taken / (1.0 - load / seats * (1.0 - taken))
    spare = (seats - load) / aht_s  # the rate at which the wait of the delayed ends, per second
    mean = delayed / spare

    def percentile(share: float) -> float:
        return 0.0 if delayed <= 1.0 - share else math.log(delayed / (1.0 - share)) / spare

    return Erlang(
        model="C",
        arrivals_per_hour=arrivals_per_hour,
        aht_s=aht_s,
        patience_s=None,
        seats=seats,
        load_erlangs=load,
        answer_ratio=1.0,
        abandon_ratio=0.0,
        service_level=1.0 - delayed * math.exp(-spare * service_level_s),
        service_level_s=service_level_s,
        delayed_ratio=delayed,
        wait_mean_s=mean,
        wait_median_s=percentile(0.5),
        wait_p90_s=percentile(0.9),
        wait_mean_all_s=mean,
        waiting_mean=mean * arrivals_per_hour / 3600,
        occupancy=load / seats,
    )


def erlang_a(
    arrivals_per_hour: float, aht_s: float, patience_s: float, seats: int, service_level_s: float = 20.0
) -> Erlang:
    """Callers wait for an exponential patience of mean `patience_s` seconds. Any load above 0 has an equilibrium.

    Raises `StaffingError` on values that mean nothing, and where the line would hold hundreds of thousands.
    """
    load = _load(arrivals_per_hour, aht_s, seats, service_level_s)
    if not (math.isfinite(patience_s) and patience_s > 0):
        raise StaffingError(
            f"我慢時間は 0 より大きい秒数です: {patience_s} / the patience is a number of seconds above 0: {patience_s}"
        )
    leaving = aht_s / patience_s
    first, present = equilibrium(load, seats, leaving)
    waits = _Waits(seats, leaving, first, present)
    served = waits.served

    def percentile(share: float) -> float:
        """The smallest wait that at least this share of the answered does not exceed; in seconds."""
        wanted = share * served
        return 0.0 if waits.at_once >= wanted else _crossing(waits.served_within, wanted) * aht_s

    wait_all = waits.waiting / load * aht_s
    return Erlang(
        model="A",
        arrivals_per_hour=arrivals_per_hour,
        aht_s=aht_s,
        patience_s=patience_s,
        seats=seats,
        load_erlangs=load,
        answer_ratio=served,
        abandon_ratio=waits.waiting * leaving / load,
        service_level=waits.served_within(service_level_s / aht_s),
        service_level_s=service_level_s,
        delayed_ratio=1.0 - waits.at_once,
        wait_mean_s=waits.served_wait / served * aht_s,
        wait_median_s=percentile(0.5),
        wait_p90_s=percentile(0.9),
        wait_mean_all_s=wait_all,
        waiting_mean=waits.waiting,
        occupancy=load * served / seats,
    )


def three(
    arrivals_per_hour: float,
    aht_s: float,
    seats: int,
    patience_s: float | None,
    service_level_s: float = 20.0,
) -> tuple[Erlang | None, Erlang, Erlang | None]:
    """A, B and C for one question. A is None without a patience, C where the line would grow for ever.

    Raises `StaffingError` on values that mean nothing, and when only B would be left.
    """
    b = erlang_b(arrivals_per_hour, aht_s, seats, service_level_s)
    if patience_s is None:
        return None, b, erlang_c(arrivals_per_hour, aht_s, seats, service_level_s)
    a = erlang_a(arrivals_per_hour, aht_s, patience_s, seats, service_level_s)
    stable = b.load_erlangs < seats
    return a, b, erlang_c(arrivals_per_hour, aht_s, seats, service_level_s) if stable else None


def equilibrium(load: float, seats: int, leaving: float) -> tuple[int, list[float]]:
    """The chance of each number of callers present, from the first number that is not negligible on.

    `leaving`: handling time ÷ patience, above 0. Weights are multiplied outwards from the likeliest number, so that
    none of them can overflow, whatever the load.
    """

    def death(j: int) -> float:
        return j if j <= seats else seats + (j - seats) * leaving

    likeliest = int(load) if load < seats else seats + int(min((load - seats) / leaving, MOST_STATES))
    if likeliest >= MOST_STATES:
        raise _too_many()
    above: list[float] = []
    weight, j = 1.0, likeliest
    while weight > NEGLIGIBLE:
        j += 1
        weight *= load / death(j)
        above.append(weight)
        if j > 2 * MOST_STATES:
            raise _too_many()
    below: list[float] = []
    weight, j = 1.0, likeliest
    while weight > NEGLIGIBLE and j > 0:
        weight *= death(j) / load
        j -= 1
        below.append(weight)
    weights = [*reversed(below), 1.0, *above]
    total = math.fsum(weights)
    return j, [w / total for w in weights]


class _Waits:
    """What callers live through in Erlang A, in handling times."""

    def __init__(self, seats: int, leaving: float, first: int, present: list[float]) -> None:
        self.seats, self.leaving = seats, leaving
        before = max(0, min(len(present), seats - first))
        self.at_once = math.fsum(present[:before])
        """Who finds a free seat."""
        skipped = max(0, first - seats)
        self.found: list[tuple[int, float]] = list(enumerate(present[before:], start=skipped))
        """(k, chance that an arriving caller finds every seat taken and k waiting)."""
        self.waiting = math.fsum(k * p for k, p in self.found)
        self.served = self.at_once + math.fsum(p * self._served(k) for k, p in self.found)
        self.served_wait = self._served_wait()

    def _served(self, k: int) -> float:
        """The chance that a caller with k ahead is served in the end."""
        return self.seats / (self.seats + (k + 1) * self.leaving)

    def _served_wait(self) -> float:
        """Mean wait × chance of being served: over all callers, of the served ones' waits."""
        terms: list[float] = []
        gaps, k = 0.0, 0  # Σ 1 / (n + i·r), i = 1 … k
        for ahead, chance in self.found:
            while k <= ahead:
                k += 1
                gaps += 1.0 / (self.seats + k * self.leaving)
            terms.append(chance * self._served(ahead) * gaps)
        return math.fsum(terms)

    def served_within(self, t: float) -> float:
        """The chance that a caller is served after a wait of at most `t` handling times.

        I_y(k + 1, b) = I_y(k, b) − term(k), term(k) = Γ(k + b) / (Γ(k + 1)·Γ(b)) · y^k · (1 − y)^b, by its logarithm:
        (1 − y)^b alone may be smaller than any float while later terms are not.
        """
        if t <= 0:
            return self.at_once
        b = self.seats / self.leaving + 1.0
        y = -math.expm1(-self.leaving * t)
        fall = (self.seats + self.leaving) * t  # (1 − y)^b = e^−fall
        within, log_term, log_y = -math.expm1(-fall), math.log(b) - fall, math.log(y)
        log_term += log_y
        terms: list[float] = [self.at_once]
        k = 0
        for ahead, chance in self.found:
            while k < ahead:
                within -= math.exp(log_term)
                k += 1
                log_term += log_y + math.log((k + b) / (k + 1))
            if within <= 0:
                break
            terms.append(chance * self._served(ahead) * within)
        return math.fsum(terms)


def _crossing(rising: Callable[[float], float], wanted: float) -> float:
    """Where a rising function reaches `wanted`, to 1e-10 of it: false position, the Illinois way."""
    low, at_low, high = 0.0, rising(0.0) - wanted, 1.0
    while (at_high := rising(high) - wanted) < 0:
        low, at_low, high = high, at_high, high * 2
    side = 0
    for _ in range(100):
        between = (low * at_high - high * at_low) / (at_high - at_low)
        at = rising(between) - wanted
        if abs(at) <= 1e-13 or high - low <= 1e-10 * high:
            return between
        if at < 0:
            low, at_low = between, at
            at_high = at_high / 2 if side == -1 else at_high
            side = -1
        else:
            high, at_high = between, at
            at_low = at_low / 2 if side == 1 else at_low
            side = 1
    return high


def _load(arrivals_per_hour: float, aht_s: float, seats: int, service_level_s: float) -> float:
    """The load in erlangs, once every value means something."""
    for ja, en, value in (
        ("1 時間の着信数", "arrivals per hour", arrivals_per_hour),
        ("平均処理時間 (秒)", "mean handling time (s)", aht_s),
    ):
        if not (math.isfinite(value) and value > 0):
            raise StaffingError(f"{ja}は 0 より大きい数です: {value} / {en}: a number above 0, not {value}")
    if not 1 <= seats <= MOST_SEATS:
        raise StaffingError(
            f"席数は 1 から {MOST_SEATS} です: {seats} / seats: from 1 to {MOST_SEATS}, not {seats}"
        )
    if not (math.isfinite(service_level_s) and service_level_s >= 0):
        raise StaffingError(
            f"サービスレベルの秒数は 0 以上です: {service_level_s} / "
            f"service level: seconds, 0 or more, not {service_level_s}"
        )
    return arrivals_per_hour * aht_s / 3600


def _too_many() -> StaffingError:
    return StaffingError(
        "この我慢時間では待ちが数十万人になります。我慢時間を短くするか席を増やしてください / "
        "with this patience hundreds of thousands would wait: give a shorter patience or more seats"
    )
