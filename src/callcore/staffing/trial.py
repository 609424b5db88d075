"""One seeded run of the virtual centre, measured without bias, with how sure its figures are.

How bias is kept out
- Warm-up: the world begins empty with everybody idle, which favours the first callers. Calls that arrive in the
  warm-up are lived and not counted. It lasts `WARM_UP` relaxation times, in which what is left of the beginning has
  shrunk to e^−10 of itself.
- Measured are the calls that arrive in [warm-up, warm-up + hours), whatever becomes of them and whenever.
- Run-out: arrivals go on until the last of those has ended, so that late callers wait among as many others as early
  ones. What arrives then is not counted.
- Agents' time is cut at both edges, as the definitions say of intervals.

How sure it is: batch means. The measured time is cut into equal stretches, each several relaxation times long, so that
they are nearly independent; a ratio's standard error comes from the spread of part − ratio × whole over the stretches
(the ratio estimator; source: A. Law, "Simulation modeling and analysis", on batch means). The half width of a 95 %
interval is that times Student's quantile.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist, fmean, stdev

from callcore.domain.centre import Agent, Centre, Configuration, Number, Phone, Queue
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, Instant, PhoneId, QueueId
from callcore.domain.measures import Figures, Record, figures
from callcore.domain.stages import Outcome, Party
from callcore.staffing.erlang import MOST_SEATS, Erlang, StaffingError, erlang_a, erlang_c
from callcore.staffing.world import START, Callers, Length, Shape, Spent, Watch, World

WARM_UP = 10
"""Relaxation times of warm-up: e^−10 is 0.00005, far below any sampling error."""
BATCHES = 20
"""Stretches for the standard error. 20 is the usual choice: more would make each shorter, fewer the error vague."""
APART = 5
"""Relaxation times that one stretch must last: e^−5 is below 1 %."""
MOST_CALLS = 20_000_000
"""Calls in one run, at most: an hour or two, and some 700 MB."""
LONG_S = 10_000_000
"""Four months: no bound at all for a ring, a wait or after-call work."""
NUMBER = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One queue, so many equal seats. Lengths in seconds unless the name says hours."""

    per_hour: tuple[float, ...]
    """Arrivals per hour; several values: one for each half hour, again and again."""
    aht_s: float
    seats: int
    hours: float
    seed: int = 1
    patience_s: float | None = None
    """Mean patience; None: everybody waits until answered."""
    service_level_s: int = 20
    handling: Shape = "exponential"
    handling_variation: float = 1.0
    patience: Shape = "exponential"
    acw_share: float = 0.0
    answer_s: float = 0.0
    warm_up_hours: float | None = None
    """None: `WARM_UP` relaxation times."""

    @property
    def mean_per_hour(self) -> float:
        return fmean(self.per_hour)

    @property
    def load_erlangs(self) -> float:
        return self.mean_per_hour * (self.aht_s + self.answer_s) / 3600

    def callers(self) -> Callers:
        """Who comes. Raises `StaffingError` on values that mean nothing."""
        return Callers(
            number=NUMBER,
            per_hour=self.per_hour,
            handling=Length(mean_s=self.aht_s, shape=self.handling, variation=self.handling_variation),
            patience=None if self.patience_s is None else Length(mean_s=self.patience_s, shape=self.patience),
            acw_share=self.acw_share,
        )

    def exact(self) -> Erlang | None:
        """Erlang's exact figures, where this plan is one of his models; else None."""
        exponential = self.handling == "exponential" and (
            self.patience_s is None or self.patience == "exponential"
        )
        if len(self.per_hour) > 1 or not exponential or self.answer_s:
            return None
        if self.patience_s is None:
            return erlang_c(self.per_hour[0], self.aht_s, self.seats, self.service_level_s)
        return erlang_a(self.per_hour[0], self.aht_s, self.patience_s, self.seats, self.service_level_s)

    def relaxation_s(self) -> float:
        """Seconds in which the memory of the state shrinks to 1/e, estimated from above.

        With abandonment each caller more lets the floor empty faster by at least the smaller of the two rates, so that
        two floors under one stream of callers come together at that rate. Without, near full load, the rate is
        (√n − √a)² per handling time, and never above one (source: D. Gamarnik and D. Goldberg, "On the rate of
        convergence to stationarity of the M/M/n queue in the Halfin-Whitt regime", 2013).
        """
        rates: list[float] = []
        if self.load_erlangs < self.seats:
            gap = (math.sqrt(self.seats) - math.sqrt(self.load_erlangs)) ** 2
            rates.append(min(1.0, gap) / self.aht_s)
        if self.patience_s is not None:
            rates.append(min(1 / self.aht_s, 1 / self.patience_s))
        return 1 / max(rates)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A simulated figure: its standard error, and half of its 95 % interval. None: there is nothing to tell it by."""

    value: float | None
    standard_error: float | None = None
    half_width: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a run showed. Ratios 0 to 1, lengths in seconds."""

    figures: Figures
    """Of all measured calls, by the same formulas as everything else."""
    by_queue: dict[QueueId, Figures]
    spent: Spent
    hours: float
    warm_up_hours: float
    batches: int
    """Stretches of which the standard errors are made; below 2 there are none."""
    inputs: int
    """What the core was told, warm-up and run-out included."""
    calls: int
    """Likewise: all calls that were lived."""
    answer_ratio: Estimate
    service_level: Estimate
    abandon_ratio: Estimate
    delayed_ratio: Estimate
    """Who was not offered to an agent at once."""
    wait_mean_s: Estimate
    wait_median_s: Estimate
    wait_p90_s: Estimate
    wait_mean_all_s: Estimate
    """Of all callers, answered or not."""
    occupancy: Estimate


# -- ended calls, kept small ---------------------------------------------------------------------------------

_OUTCOMES, _PARTIES = tuple(Outcome), tuple(Party)
_NEVER = -1


@dataclass(slots=True)
class Ended:
    """Ended calls as columns of whole numbers: 34 bytes each instead of a kilobyte. They come back as records."""

    centre: CentreId
    queue: QueueId
    arrived: array[int] = field(default_factory=lambda: array("q"))
    entered: array[int] = field(default_factory=lambda: array("q"))
    answered: array[int] = field(default_factory=lambda: array("q"))
    ended: array[int] = field(default_factory=lambda: array("q"))
    outcomes: array[int] = field(default_factory=lambda: array("b"))
    parties: array[int] = field(default_factory=lambda: array("b"))

    def add(self, of: Record) -> None:
        assert of.outcome is not None and of.ended_at is not None and of.hung_up_by is not None
        self.arrived.append(of.arrived_at)
        self.entered.append(_NEVER if of.entered_at is None else of.entered_at)
        self.answered.append(_NEVER if of.answered_at is None else of.answered_at)
        self.ended.append(of.ended_at)
        self.outcomes.append(_OUTCOMES.index(of.outcome))
        self.parties.append(_PARTIES.index(of.hung_up_by))

    def __iter__(self) -> Iterator[Record]:
        for n, arrived in enumerate(self.arrived):
            entered, answered = self.entered[n], self.answered[n]
            yield Record(
                call=CallId(str(n)),
                centre=self.centre,
                queue=self.queue,
                number="",
                arrived_at=Instant(arrived),
                entered_at=None if entered == _NEVER else Instant(entered),
                answered_at=None if answered == _NEVER else Instant(answered),
                ended_at=Instant(self.ended[n]),
                outcome=_OUTCOMES[self.outcomes[n]],
                hung_up_by=_PARTIES[self.parties[n]],
            )


# -- measuring -----------------------------------------------------------------------------------------------

_HOUR = 3600 * SECOND


@dataclass(slots=True)
class _Stretch:
    """One batch: the calls that arrived in it, by queue, and what agents did in it."""

    calls: dict[QueueId, Ended] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)

    def add(self, of: Record) -> None:
        if of.queue not in self.calls:
            self.calls[of.queue] = Ended(of.centre, of.queue)
        self.calls[of.queue].add(of)

    def records(self) -> Iterator[Record]:
        for calls in self.calls.values():
            yield from calls


@dataclass(frozen=True, slots=True)
class _Sums:
    """Parts and wholes of one stretch, or of all."""

    figures: Figures
    waited: int
    delayed: int
    spent: Spent

    def ratios(self) -> dict[str, tuple[float, float]]:
        of = self.figures
        answered = of.answer_ratio.part
        return {
            "answer_ratio": (answered, of.answer_ratio.whole),
            "service_level": (of.service_level.part, of.service_level.whole),
            "abandon_ratio": (of.abandon_ratio.part, of.abandon_ratio.whole),
            "delayed_ratio": (self.delayed, of.offered),
            "wait_mean_s": ((of.wait_mean_s or 0.0) * answered, answered),
            "wait_mean_all_s": (self.waited / SECOND, of.offered),
            "occupancy": (self.spent.worked, self.spent.present),
        }

    def percentiles(self) -> dict[str, float | None]:
        return {"wait_median_s": self.figures.wait_median_s, "wait_p90_s": self.figures.wait_p90_s}


def measure(
    configuration: Configuration,
    callers: Sequence[Callers],
    *,
    seed: int,
    hours: float,
    warm_up_hours: float,
    service_level_s: int,
    batches: int = BATCHES,
    answer_s: float = 0.0,
    watch: Watch | None = None,
    check_every: int = 1000,
) -> Trial:
    """Live `warm_up_hours` and then `hours` in any configuration, and measure as the head of this file says."""
    begins = Instant(START + round(warm_up_hours * _HOUR))
    length = round(hours * _HOUR)
    cut = max(1, batches)
    edges = [begins + length * n // cut for n in range(cut + 1)]
    stretches = [_Stretch() for _ in range(cut)]

    def ended(of: Record) -> None:
        if edges[0] <= of.arrived_at < edges[-1]:
            stretches[bisect_right(edges, of.arrived_at) - 1].add(of)

    world = World(
        configuration,
        callers,
        seed=seed,
        ended=ended,
        answer_s=answer_s,
        watch=watch,
        check_every=check_every,
    )
    world.run(begins)
    before = world.spent()
    for stretch, edge in zip(stretches, edges[1:], strict=True):
        world.run(Instant(edge))
        after = world.spent()
        stretch.spent = after.since(before)
        before = after
    world.run_out()

    def sums(of: Iterable[Record], spent: Spent) -> _Sums:
        waited = delayed = 0
        at_once = round(answer_s * SECOND)

        def passing() -> Iterator[Record]:
            nonlocal waited, delayed
            for call in of:
                wait = call.waited(world.now)
                waited += wait or 0
                delayed += call.answered_at is None or (wait or 0) > at_once
                yield call

        told = figures(passing(), at=world.now, service_level_s=service_level_s)
        return _Sums(told, waited, delayed, spent)

    spent = Spent(
        sum(s.spent.talk for s in stretches),
        sum(s.spent.acw for s in stretches),
        sum(s.spent.ready for s in stretches),
    )
    whole = sums((call for stretch in stretches for call in stretch.records()), spent)
    parts = [sums(stretch.records(), stretch.spent) for stretch in stretches] if batches > 1 else []
    queues = sorted({queue for stretch in stretches for queue in stretch.calls})
    by_queue = {
        queue: sums((c for s in stretches if queue in s.calls for c in s.calls[queue]), spent).figures
        for queue in queues
    }
    found = {name: _of_ratio(name, whole, parts) for name in whole.ratios()}
    found |= {name: _of_percentile(name, whole, parts) for name in whole.percentiles()}
    return Trial(
        figures=whole.figures,
        by_queue=by_queue,
        spent=spent,
        hours=hours,
        warm_up_hours=warm_up_hours,
        batches=len(parts),
        inputs=world.inputs,
        calls=world.arrived,
        **found,
    )


def _of_ratio(name: str, whole: _Sums, parts: Sequence[_Sums]) -> Estimate:
    """The ratio of the sums, with the ratio estimator's standard error."""
    part, of = whole.ratios()[name]
    if not of:
        return Estimate(None)
    value = part / of
    if len(parts) < 2:
        return Estimate(value)
    each = [p.ratios()[name] for p in parts]
    rest = [x - value * y for x, y in each]
    error = stdev(rest) / math.sqrt(len(parts)) / (of / len(parts))
    return Estimate(value, error, _student(len(parts) - 1) * error)


def _of_percentile(name: str, whole: _Sums, parts: Sequence[_Sums]) -> Estimate:
    """The percentile of all waits, with the spread of the stretches' own percentiles."""
    value = whole.percentiles()[name]
    each = [p.percentiles()[name] for p in parts]
    known = [v for v in each if v is not None]
    if value is None or len(known) < 2 or len(known) < len(each):
        return Estimate(value)
    error = stdev(known) / math.sqrt(len(known))
    return Estimate(value, error, _student(len(known) - 1) * error)


def _student(freedom: int) -> float:
    """Student's quantile for a two-sided 95 % interval, exact where the series is not good enough.

    Source of the series: Cornish and Fisher's expansion about the normal quantile; from 5 degrees of freedom on it is
    right to 0.3 %. Source of the values before: any table of the t distribution.
    """
    small = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}
    if freedom in small:
        return small[freedom]
    z = NormalDist().inv_cdf(0.975)
    first = (z**3 + z) / (4 * freedom)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return z + first + second


def per_half_hour(text: str) -> tuple[float, ...]:
    """Arrivals per hour from `40`, or from `20,40,60`: one value for each half hour. Raises `StaffingError`."""
    try:
        return tuple(float(value) for value in text.split(","))
    except ValueError:
        raise StaffingError(
            f"1 時間の着信数は 40 または 20,40,60 のように書きます: {text} / "
            f"write arrivals per hour like 40 or 20,40,60, not {text}"
        ) from None


# -- one queue, equal seats ----------------------------------------------------------------------------------


def one_queue(seats: int, *, acw_s: int = 0, service_level_s: int = 20) -> Configuration:
    """A centre with one queue and so many equal agents, each at a phone, open all day, with no bound on a wait."""
    queue = QueueId("sim-general")
    open_all_day = Window(0, 86_400)
    centre = Centre(
        id=CentreId("sim"),
        name="シミュレーション",
        name_en="Simulation",
        calendar=Calendar("Asia/Tokyo", tuple((open_all_day,) for _ in range(7))),
        numbers=(Number(NUMBER, queue),),
        queues=(Queue(queue, "総合", ring_s=LONG_S, acw_s=acw_s, longest_wait_s=LONG_S),),
        agents=tuple(
            Agent(AgentId(str(100_001 + n)), f"{n + 1}", (queue,), PhoneId(f"sim-p{n + 1}"))
            for n in range(seats)
        ),
        phones=tuple(Phone(PhoneId(f"sim-p{n + 1}"), f"{n + 1}", "simulated") for n in range(seats)),
        announcements=(),
        service_level_s=service_level_s,
    )
    return Configuration("simulation", (centre,))


def run_trial(plan: Plan, *, watch: Watch | None = None, check_every: int = 1000) -> Trial:
    """One run of the plan. The same plan gives the same figures, to the last digit.

    Raises `StaffingError` when the plan asks for what has no answer, or for more than can be lived.
    """
    cycle = len(plan.per_hour) * 0.5 if len(plan.per_hour) > 1 else None
    _check(plan, cycle)
    callers = plan.callers()
    relaxation_h = plan.relaxation_s() / 3600
    warm_up = WARM_UP * relaxation_h if plan.warm_up_hours is None else plan.warm_up_hours
    if plan.mean_per_hour * (warm_up + plan.hours) > MOST_CALLS:
        raise StaffingError(
            f"一度に {MOST_CALLS:,} 件までです(慣らしの {warm_up:,.0f} 時間を含む)。時間数を減らすか、席を増やして"
            f"ください / at most {MOST_CALLS:,} calls in one run, {warm_up:,.0f} hours of warm-up included: ask for "
            "fewer hours or more seats"
        )
    batches = min(BATCHES, int(plan.hours / (APART * relaxation_h)))
    if cycle is not None:
        # Stretches of whole cycles are alike; unlike ones would make the error look larger than it is.
        warm_up = math.ceil(warm_up / cycle) * cycle
        cycles = round(plan.hours / cycle)
        batches = max((n for n in range(1, batches + 1) if cycles % n == 0), default=1)
    return measure(
        one_queue(plan.seats, acw_s=LONG_S if plan.acw_share else 0, service_level_s=plan.service_level_s),
        [callers],
        seed=plan.seed,
        hours=plan.hours,
        warm_up_hours=warm_up,
        batches=batches,
        service_level_s=plan.service_level_s,
        answer_s=plan.answer_s,
        watch=watch,
        check_every=check_every,
    )


def _check(plan: Plan, cycle: float | None) -> None:
    if not 1 <= plan.seats <= MOST_SEATS:
        raise StaffingError(
            f"席数は 1 から {MOST_SEATS} です: {plan.seats} / seats: from 1 to {MOST_SEATS}, not {plan.seats}"
        )
    if not (math.isfinite(plan.hours) and plan.hours > 0):
        raise StaffingError(
            f"時間数は 0 より大きい数です: {plan.hours} / hours: a number above 0, not {plan.hours}"
        )
    if cycle is not None and abs(plan.hours / cycle - round(plan.hours / cycle)) > 1e-9:
        raise StaffingError(
            f"時間数は着信の型の長さ {cycle} 時間の倍数にしてください: {plan.hours} / "
            f"hours: a multiple of the profile's {cycle} h, not {plan.hours}"
        )
    if plan.service_level_s < 0:
        raise StaffingError(
            f"サービスレベルの秒数は 0 以上です: {plan.service_level_s} / "
            f"service level: seconds, 0 or more, not {plan.service_level_s}"
        )
    if plan.patience_s is None and plan.load_erlangs >= plan.seats:
        raise StaffingError(
            f"呼量 {plan.load_erlangs:.4g} アーランは {plan.seats} 席では処理しきれず、待ちは増え続けます。"
            f"席を増やすか、我慢時間を指定してください / {plan.load_erlangs:.4g} erlangs are too much for "
            f"{plan.seats} seats: the line grows for ever. Take more seats, or give a patience"
        )
