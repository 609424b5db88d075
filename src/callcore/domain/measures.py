"""Every figure's one formula: a fold over facts into one record per call, and figures as sums over records.

Rules
- A record is what the facts said of one call. Records are kept by whoever needs a window: the sidecar for the live
  board, the database for reports. Both give them to `figures`, so no two outlets can disagree.
- A ratio travels with its two parts. With no call it is None, which people see as "–", never 0 % or 100 %.
- Calls from listed test numbers are left out of everything, and counted (`tests`).
- A call belongs to the interval of its arrival. An open call is counted as what is certain of it already.
- Source of all formulas: definitions, "Numbers" and "Every call ends in exactly one outcome".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from immutables import Map

from callcore.domain import facts as f
from callcore.domain import sides
from callcore.domain.asks import Asks, Told, asks_after, asks_moved
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.phones import Refusal
from callcore.domain.sides import SideRecord
from callcore.domain.stages import (
    ANSWERED,
    ESCALATED,
    NOT_OFFERED,
    CallbackEnd,
    Mark,
    Outcome,
    Party,
    ResultKind,
)
from callcore.domain.wrapups import WrapUps


@dataclass(frozen=True, slots=True)
class Record:
    """One call as the figures see it. Lengths in microseconds; instants UTC. None: not (yet), or not known."""

    call: CallId
    centre: CentreId
    queue: QueueId
    number: str
    arrived_at: Instant
    due_agent: bool | None = None
    """Admitted to an agent; None while the dialplan has not decided."""
    entered_at: Instant | None = None
    answered_at: Instant | None = None
    agent: AgentId | None = None
    by_net: bool = False
    talk: int = 0
    hold: int = 0
    talk_since: Instant | None = None
    held_since: Instant | None = None
    ended_at: Instant | None = None
    outcome: Outcome | None = None
    reason: str | None = None
    hung_up_by: Party | None = None
    visits: int = 0
    offers: int = 0
    reconstructed: bool = False
    """Something of it was not witnessed."""
    imprecise: bool = False
    """Something of it was told late: its times are not exact."""
    position: int | None = None
    """The place in the line at the first entry; 1 is next."""
    estimate_s: float | None = None
    """The wait in seconds that was estimated then (EWT)."""
    result: str | None = None
    """What the agent keyed as its result, and what that counts as."""
    result_kind: ResultKind | None = None
    helped: bool = False
    """The agent asked for help (手上げ)."""
    abuse: bool = False
    """Reported (悪質・脅迫): its recording is not to be deleted."""
    relay: bool = False
    """電話リレー."""
    unrecorded: int = 0
    """How long its recording was paused."""
    unrecorded_since: Instant | None = None
    test: bool = False
    """From a listed test number."""
    message: bool = False
    """The caller left a message; also out of hours, where the call stays *closed*."""
    callback: CallbackEnd | None = None
    """What became of a call-back that was asked for; None: none was, or it is not over."""

    task: bool = False
    """An escalation was kept about it."""
    moved_by_hand: bool = False
    """A supervisor moved the waiting caller up, or to another queue."""
    second: bool = False
    """A colleague took it over from the agent who had asked him or her (二次対応)."""
    department: DepartmentId | None = None
    """The last that the caller was put through to."""
    transferred_at: Instant | None = None
    away: int = 0
    """How long the caller was with departments: no agent's talk."""
    away_since: Instant | None = None

    def waited(self, now: Instant) -> int | None:
        """The wait in microseconds: first entry into a queue to the answer or the end; `now` while it lasts."""
        if self.entered_at is None:
            return None
        until = self.answered_at or self.ended_at or now
        return max(0, until - self.entered_at)

    @property
    def held(self) -> int | None:
        """How long the caller was held, in microseconds; None where nobody watched, for CEL tells nothing of hold."""
        return None if self.reconstructed and self.answered_at is not None else self.hold


@dataclass(frozen=True, slots=True)
class Ratio:
    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """0 to 1; None when there is nothing to divide by."""
        return None if self.whole == 0 else self.part / self.whole


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of calls, and waits in seconds. `at` is the instant for which open calls were judged."""

    at: Instant
    arrived: int
    closed: int
    emergency_closed: int
    blocked: int
    ivr_only: int
    offered: int
    """Every call due an agent: ended, talking, or still waiting."""
    answered: int
    """Ended as answered, or talking now."""
    abandoned: int
    abandoned_short: int
    overflow: int
    other_unanswered: int
    """Call-back requested, message left."""
    failed: int
    waiting: int
    """Offered and not decided: in an announcement, waiting, or ringing."""
    undecided: int
    """Arrived, and the dialplan has not said yet whether it is open."""
    talking: int
    hangups_before_answer: int
    arrivals: int
    """着信件数: offered + IVR only."""
    answer_ratio: Ratio
    """応答率: answered ÷ offered. Callers who still wait are in the denominator; `waiting` says how many."""
    service_level: Ratio
    """Answered within the target ÷ offered; who has waited longer already counts as missed."""
    service_level_s: int
    abandon_ratio: Ratio
    wait_mean_s: float | None
    """ASA: mean wait of answered calls. Likewise median, P90 and maximum."""
    wait_median_s: float | None
    wait_p90_s: float | None
    wait_max_s: float | None
    longest_waiting_s: float | None
    """Of those who wait now."""
    held: int
    """Of the answered calls that ended, those that were on hold; none that nobody watched (`Record.held`)."""
    hold_median_s: float | None
    """How long these were on hold, each in sum. Likewise P90 and maximum."""
    hold_p90_s: float | None
    hold_max_s: float | None
    reconstructed: int
    imprecise: int
    open: int
    tests: int = 0
    """Calls from listed test numbers, which no other figure has."""


SERVED_LATER = frozenset({Outcome.CALLBACK_REQUESTED, Outcome.MESSAGE_LEFT})
"""Unanswered, and no hang-up before an answer: such a caller puts down because all is said."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How good the estimated waits were, over the answered calls that had one."""

    within: Ratio
    """Answered within what was estimated for them ÷ answered with an estimate."""
    error_median_s: float | None
    """Of |wait - estimate|, in seconds; likewise P90."""
    error_p90_s: float | None


def calibration(records: Iterable[Record]) -> Calibration:
    """Calls answered at once (estimated 0 s) count: that nobody waits was announced too."""
    errors: list[int] = []
    within = 0
    for record in records:
        if (
            record.test
            or record.estimate_s is None
            or record.answered_at is None
            or record.entered_at is None
        ):
            continue
        wait, told = record.answered_at - record.entered_at, round(record.estimate_s * SECOND)
        within += wait <= told
        errors.append(abs(wait - told))
    errors.sort()
    return Calibration(
        within=Ratio(within, len(errors)),
        error_median_s=nearest_rank_s(errors, 0.5),
        error_p90_s=nearest_rank_s(errors, 0.9),
    )


def figures(records: Iterable[Record], *, at: Instant, service_level_s: int) -> Figures:
    """The figures of these calls, as known at `at`. `service_level_s` in seconds, inclusive."""
    tally = Tally(service_level_s)
    for record in records:
        tally.add(record, at)
    return tally.figures(at)


class Tally:
    """The sums that the figures of some calls are made of. Those of calls that have ended are the same at any time, so
    they can be kept, and be put together with others."""

    def __init__(self, service_level_s: int) -> None:
        self.service_level_s = service_level_s
        self._counts: Counter[str] = Counter()
        self._ends: Counter[Outcome] = Counter()
        self._waits: list[int] = []
        self._holds: list[int] = []
        self._longest: int | None = None

    def add(self, record: Record, at: Instant) -> None:
        """One call, as known at `at`, which does not matter once it has ended."""
        counts = self._counts
        if record.test:
            counts["tests"] += 1
            return
        counts["arrived"] += 1
        counts["reconstructed"] += record.reconstructed
        counts["imprecise"] += record.imprecise
        if record.outcome is not None:
            self._ends[record.outcome] += 1
            offered = record.outcome not in NOT_OFFERED
        else:
            counts["open"] += 1
            counts["undecided"] += record.due_agent is None
            offered = record.due_agent is True
        if offered:
            self._offered(record, at)
        elif record.outcome is None and record.due_agent is False:
            # Who is refused is closed at once, whatever the caller does then.
            self._ends[Outcome.CLOSED] += 1

    def _offered(self, record: Record, at: Instant) -> None:
        counts = self._counts
        counts["offered"] += 1
        wait = record.waited(at)
        answered = record.answered_at is not None
        if answered and wait is not None:
            self._waits.append(wait)
        if record.outcome is not None and record.held:
            self._holds.append(record.held)
        if record.outcome is None:
            counts["talking" if answered else "waiting"] += 1
            if not answered and wait is not None:
                self._longest = max(wait, self._longest or 0)
        elif record.hung_up_by is Party.CALLER and not answered and record.outcome not in SERVED_LATER:
            counts["hangups_before_answer"] += 1
        over = (wait or 0) > self.service_level_s * SECOND
        if answered and not over:
            counts["in_time"] += 1
            counts["missed_or_met"] += 1
        elif answered or record.outcome is not None or over:
            counts["missed_or_met"] += 1

    def put_together(self, others: Iterable[Tally]) -> None:
        """Add what others have, of calls that are in neither of them twice, by the same `service_level_s`."""
        for other in others:
            for name, count in other._counts.items():
                self._counts[name] += count
            for outcome, count in other._ends.items():
                self._ends[outcome] += count
            self._waits += other._waits
            self._holds += other._holds
            if other._longest is not None:
                self._longest = max(other._longest, self._longest or 0)

    def figures(self, at: Instant) -> Figures:
        """`at`: for which open calls were judged when they were added."""
        ends, counts = self._ends, self._counts
        self._waits.sort()
        self._holds.sort()
        waits, holds, offered = self._waits, self._holds, counts["offered"]
        answered = sum(ends[o] for o in ANSWERED) + counts["talking"]
        return Figures(
            at=at,
            arrived=counts["arrived"],
            closed=ends[Outcome.CLOSED],
            emergency_closed=ends[Outcome.EMERGENCY_CLOSED],
            blocked=ends[Outcome.BLOCKED],
            ivr_only=ends[Outcome.IVR_ONLY],
            offered=offered,
            answered=answered,
            abandoned=ends[Outcome.ABANDONED],
            abandoned_short=ends[Outcome.ABANDONED_SHORT],
            overflow=sum(
                ends[o]
                for o in (
                    Outcome.OVERFLOW_FULL,
                    Outcome.OVERFLOW_WAIT,
                    Outcome.OVERFLOW_NO_AGENT,
                    Outcome.OVERFLOW_KEY,
                )
            ),
            other_unanswered=ends[Outcome.CALLBACK_REQUESTED] + ends[Outcome.MESSAGE_LEFT],
            failed=ends[Outcome.FAILED],
            waiting=counts["waiting"],
            undecided=counts["undecided"],
            talking=counts["talking"],
            hangups_before_answer=counts["hangups_before_answer"],
            arrivals=offered + ends[Outcome.IVR_ONLY],
            answer_ratio=Ratio(answered, offered),
            service_level=Ratio(counts["in_time"], counts["missed_or_met"]),
            service_level_s=self.service_level_s,
            abandon_ratio=Ratio(ends[Outcome.ABANDONED] + ends[Outcome.ABANDONED_SHORT], offered),
            wait_mean_s=None if not waits else sum(waits) / len(waits) / SECOND,
            wait_median_s=nearest_rank_s(waits, 0.5),
            wait_p90_s=nearest_rank_s(waits, 0.9),
            wait_max_s=nearest_rank_s(waits, 1.0),
            longest_waiting_s=None if self._longest is None else self._longest / SECOND,
            held=len(holds),
            hold_median_s=nearest_rank_s(holds, 0.5),
            hold_p90_s=nearest_rank_s(holds, 0.9),
            hold_max_s=nearest_rank_s(holds, 1.0),
            reconstructed=counts["reconstructed"],
            imprecise=counts["imprecise"],
            open=counts["open"],
            tests=counts["tests"],
        )


@dataclass(frozen=True, slots=True)
class Lengths:
    """Each length by itself, in microseconds, in no order."""

    wait: list[int]
    """Of answered calls, as in `Figures.wait_mean_s`."""
    talk: list[int]
    """Of answered calls that ended, hold included."""
    hold: list[int]
    """Of calls that ended and were on hold, as in `Figures.held`."""
    acw: list[int]
    """Of calls whose after-call work is over; none that had none."""


def lengths(records: Iterable[Record], wraps: WrapUps) -> Lengths:
    """The lengths of these calls; listed test numbers' left out."""
    found = Lengths([], [], [], [])
    busy = {one.call for one in wraps.going.values()}
    for record in records:
        if record.test:
            continue
        if record.answered_at is not None:
            if (wait := record.waited(record.answered_at)) is not None:
                found.wait.append(wait)
            if record.outcome is not None:
                found.talk.append(record.talk)
        if record.outcome is not None and record.held:
            found.hold.append(record.held)
        if record.call not in busy and (acw := wraps.lengths.get(record.call)) is not None:
            found.acw.append(acw)
    return found


@dataclass(frozen=True, slots=True)
class Endings:
    """How calls ended, and the ratios that reports name beside the contract's."""

    by_outcome: Mapping[Outcome, int]
    """Ended calls only; every outcome is there."""
    completion_ratio: Ratio
    """センター内完了率: completed and not escalated ÷ answered. Escalated: by 二次対応, or
    by its result, 取り次ぎ or 折り返し."""
    transfer_ratio: Ratio
    """転送率: both kinds ÷ answered; each is in `by_outcome`."""
    answer_ratio_without_short: Ratio
    """Answered ÷ (offered - abandoned_short)."""
    answer_ratio_of_arrivals: Ratio
    """Answered ÷ (offered + IVR only)."""
    abandon_ratio_without_short: Ratio
    """Abandoned ÷ (offered - abandoned_short)."""
    by_net: int
    """Of the answered, how many the safety net connected."""
    moved_by_hand: int
    """How many waiting callers a supervisor moved up, or to another queue."""
    results: Mapping[str, int]
    """Each result that was keyed, by its name."""
    complaints: int
    """苦情件数."""
    bookings: int
    """予約受付件数."""
    without_result: int
    """Answered and ended, and no result was keyed."""
    helped: int
    """手上げのあった通話."""
    abuse: int
    """悪質・脅迫として通報された通話."""
    relay: int
    """電話リレーの通話."""
    relay_talk: Ratio
    """Microseconds of talk of those that ended ÷ their number."""
    messages: int = 0
    """伝言を残した入電, out of hours too."""
    callbacks: Mapping[CallbackEnd, int] = field(default_factory=dict)
    """What became of the call-backs that were asked for in these calls; every end is there."""
    answer_ratio_with_callbacks: Ratio = Ratio(0, 0)
    """応答率(折り返し含む): (answered + reached by a call-back on the same day) ÷ offered."""


def endings(records: Iterable[Record], of: Figures) -> Endings:
    """How these calls ended; `of` are the figures of the same calls."""
    ends: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
    by_net = by_hand = without = helped = abuse = relay = relayed = relay_talk = escalated = messages = 0
    callbacks = dict.fromkeys(CallbackEnd, 0)
    results: Counter[str] = Counter()
    kinds: Counter[ResultKind] = Counter()
    for record in records:
        if record.test:
            continue
        by_net += record.by_net
        by_hand += record.moved_by_hand
        helped += record.helped
        abuse += record.abuse
        relay += record.relay
        messages += record.message
        if record.callback is not None:
            callbacks[record.callback] += 1
        if record.result is not None and record.result_kind is not None:
            results[record.result] += 1
            kinds[record.result_kind] += 1
        if record.outcome is not None:
            ends[record.outcome] += 1
            without += record.outcome in ANSWERED and record.result is None
            escalated += record.outcome is Outcome.COMPLETED and (
                record.second or record.task or record.result_kind in ESCALATED
            )
            if record.relay:
                relayed += 1
                relay_talk += record.talk
    long = of.offered - of.abandoned_short
    transferred = ends[Outcome.TRANSFERRED_ATTENDED] + ends[Outcome.TRANSFERRED_BLIND]
    return Endings(
        by_outcome=ends,
        completion_ratio=Ratio(ends[Outcome.COMPLETED] - escalated, of.answered),
        transfer_ratio=Ratio(transferred, of.answered),
        answer_ratio_without_short=Ratio(of.answered, long),
        answer_ratio_of_arrivals=Ratio(of.answered, of.arrivals),
        abandon_ratio_without_short=Ratio(of.abandoned, long),
        by_net=by_net,
        moved_by_hand=by_hand,
        results=dict(sorted(results.items())),
        complaints=kinds[ResultKind.COMPLAINT],
        bookings=kinds[ResultKind.BOOKING],
        without_result=without,
        helped=helped,
        abuse=abuse,
        relay=relay,
        relay_talk=Ratio(relay_talk, relayed),
        messages=messages,
        callbacks=callbacks,
        answer_ratio_with_callbacks=Ratio(of.answered + callbacks[CallbackEnd.REACHED], of.offered),
    )


def nearest_rank_s(ordered: list[int], share: float) -> float | None:
    """Nearest rank: the smallest wait that at least this share of waits does not exceed; in seconds."""
    if not ordered:
        return None
    return ordered[max(0, ceil(share * len(ordered)) - 1)] / SECOND


def imbalance(of: Figures) -> str | None:
    """What does not add up in the books; None: they balance."""
    refused = of.closed + of.emergency_closed + of.blocked + of.ivr_only
    if of.arrived != refused + of.offered + of.undecided:
        return f"arrived {of.arrived} ≠ refused {refused} + offered {of.offered} + undecided {of.undecided}"
    ends = of.answered + of.abandoned + of.abandoned_short + of.overflow + of.other_unanswered + of.failed
    if of.offered != ends + of.waiting:
        return f"offered {of.offered} ≠ ended or talking {ends} + waiting {of.waiting}"
    return None


# -- facts into records --------------------------------------------------------------------------------------


def record(known: Record | None, fact: f.Fact) -> Record | None:
    """The call's record after one fact of that call; facts of other kinds leave it as it is."""
    if isinstance(fact, f.CallArrived):
        return Record(
            call=fact.call,
            centre=fact.centre,
            queue=fact.queue,
            number=fact.number,
            arrived_at=fact.at,
            test=fact.test,
            reconstructed=fact.reconstructed,
        )
    if known is None:
        return None
    changed = _changed(known, fact)
    if fact.reconstructed and not changed.reconstructed:
        changed = replace(changed, reconstructed=True)
    return changed


def _changed(known: Record, fact: f.Fact) -> Record:
    match fact:
        case f.CallAdmitted():
            return replace(known, due_agent=True)
        case f.CallRefused():
            return replace(known, due_agent=False)
        case f.VisitBegan():
            return replace(
                known,
                due_agent=True,
                entered_at=known.entered_at or fact.at,
                queue=fact.queue,
                moved_by_hand=known.moved_by_hand or fact.by is not None,
                visits=known.visits + 1,
                position=fact.position if known.entered_at is None else known.position,
                estimate_s=fact.estimate_s if known.entered_at is None else known.estimate_s,
            )
        case f.CallerMovedUp():
            return replace(known, moved_by_hand=True)
        case f.CallMarkedImprecise():
            return replace(known, imprecise=True)
        case f.OfferMade():
            return replace(known, offers=known.offers + 1)
        case f.CallAnswered():
            return replace(
                known,
                due_agent=True,
                answered_at=known.answered_at or fact.at,
                agent=fact.agent,
                by_net=known.by_net or fact.by_net,
                second=known.second or fact.escalated,
                talk_since=fact.at,
            )
        case f.ResultKeyed():
            return replace(known, result=fact.result, result_kind=fact.kind)
        case f.HelpAsked():
            return replace(known, helped=True)
        case f.CallMarked():
            if fact.mark is Mark.ABUSE:
                return replace(known, abuse=fact.on)
            return replace(known, relay=fact.on)
        case f.RecordingPaused():
            return replace(known, unrecorded_since=fact.at)
        case f.RecordingResumed():
            return _recorded_again(known, fact.at)
        case f.CallHeld():
            return replace(known, held_since=fact.at)
        case f.CallResumed():
            return _hold_over(known, fact.at)
        case f.TalkEnded():
            over = _hold_over(_recorded_again(known, fact.at), fact.at)
            began = over.talk_since
            return (
                over
                if began is None
                else replace(over, talk=over.talk + max(0, fact.at - began), talk_since=None)
            )
        case f.CallTransferred():
            return replace(known, department=fact.department, transferred_at=fact.at, away_since=fact.at)
        case f.TransferEnded():
            return _back(known, fact.at)
        case f.CallbackReached():
            end = CallbackEnd.REACHED if fact.same_day else CallbackEnd.REACHED_LATER
            return replace(known, callback=end)
        case f.CallbackGivenUp():
            return replace(known, callback=CallbackEnd.GIVEN_UP)
        case f.CallbackCancelled():
            return replace(known, callback=CallbackEnd.CANCELLED)
        case f.TaskKept():
            return replace(known, task=True)
        case f.MessageLeft():
            return replace(known, message=True)
        case f.MessageEmpty() if fact.outcome is not None:
            return replace(
                known,
                message=False,
                outcome=fact.outcome,
                reason=fact.reason,
                due_agent=fact.outcome not in NOT_OFFERED,
            )
        case f.CallEnded():
            return replace(
                _back(known, fact.at),
                ended_at=fact.at,
                outcome=fact.outcome,
                reason=fact.reason,
                hung_up_by=fact.hung_up_by,
                due_agent=fact.outcome not in NOT_OFFERED,
            )
    return known


def moved(known: Record, by: int) -> Record:
    """An open call's record after the wall clock was set by `by` microseconds: all of it began so much later by the
    new clock, and every length stays right."""
    return replace(
        known,
        arrived_at=Instant(known.arrived_at + by),
        entered_at=_later(known.entered_at, by),
        answered_at=_later(known.answered_at, by),
        talk_since=_later(known.talk_since, by),
        held_since=_later(known.held_since, by),
        unrecorded_since=_later(known.unrecorded_since, by),
        transferred_at=_later(known.transferred_at, by),
        away_since=_later(known.away_since, by),
    )


def _later(at: Instant | None, by: int) -> Instant | None:
    return None if at is None else Instant(at + by)


def _recorded_again(known: Record, at: Instant) -> Record:
    """Nothing is recorded beyond a talk; so a pause ends with it at the latest."""
    if known.unrecorded_since is None:
        return known
    return replace(
        known, unrecorded=known.unrecorded + max(0, at - known.unrecorded_since), unrecorded_since=None
    )


def _back(known: Record, at: Instant) -> Record:
    if known.away_since is None:
        return known
    return replace(known, away=known.away + max(0, at - known.away_since), away_since=None)


def _hold_over(known: Record, at: Instant) -> Record:
    if known.held_since is None:
        return known
    return replace(known, hold=known.hold + max(0, at - known.held_since), held_since=None)


PERIOD = 300 * SECOND
"""No zone's day begins within one."""

Period = tuple[CentreId, int]


@dataclass(frozen=True, slots=True)
class Records(Mapping[CallId, Record]):
    """Records by their calls. Those of one centre that arrived within the same five minutes lie together and stay the
    same object while none of them changes, so that a day is not looked for among all, nor counted anew as a whole."""

    periods: Map[Period, Map[CallId, Record]] = field(default_factory=Map)
    period_of: Map[CallId, Period] = field(default_factory=Map)

    def __getitem__(self, call: CallId) -> Record:
        return self.periods[self.period_of[call]][call]

    def __iter__(self) -> Iterator[CallId]:
        return iter(self.period_of)

    def __len__(self) -> int:
        return len(self.period_of)

    def set(self, call: CallId, record: Record) -> Records:
        """With this one in the place of the call's other one."""
        period = record.centre, record.arrived_at // PERIOD
        periods, before = self.periods, self.period_of.get(call)
        if before is not None and before != period:
            periods = periods.set(before, periods[before].delete(call))
        known = periods.get(period)
        mine = Map({call: record}) if known is None else known.set(call, record)
        return Records(
            periods.set(period, mine),
            self.period_of if before == period else self.period_of.set(call, period),
        )

    def with_all(self, those: Iterable[Record]) -> Records:
        """With each of these."""
        found = self
        for record in those:
            found = found.set(record.call, record)
        return found

    def between(
        self, centre: CentreId, first: Instant, before: Instant
    ) -> Iterator[tuple[int, Mapping[CallId, Record]]]:
        """Those of one centre that arrived in [first, before), by their periods."""
        for n in range(first // PERIOD, -(-before // PERIOD)):
            found = self.periods.get((centre, n))
            if found is None:
                continue
            if first <= n * PERIOD and (n + 1) * PERIOD <= before:
                yield n, found
            else:
                yield n, {call: r for call, r in found.items() if first <= r.arrived_at < before}


@dataclass(frozen=True, slots=True)
class Books:
    """The records of all calls that arrived since some instant: the window of a live board."""

    records: Records = field(default_factory=Records)
    sides: Map[CallId, SideRecord] = field(default_factory=Map)
    """Calls that are no arrivals; no figure of `figures` knows them."""
    asks: Map[CallId, Asks] = field(default_factory=Map)
    """Of each call for which a department was called."""
    refusals: tuple[Refusal, ...] = ()
    """端末ポリシー違反: what was refused because it is not the phone of the inventory, in the order of time."""
    wraps: WrapUps = field(default_factory=WrapUps)

    def after(self, fact: f.Fact) -> Books:
        """The books with one fact folded in."""
        folded = self._after(fact)
        wraps = self.wraps.after(fact)
        if wraps is not self.wraps:
            folded = replace(folded, wraps=wraps)
        return folded._asked(fact) if isinstance(fact, Told) else folded

    def _asked(self, fact: Told) -> Books:
        side = self.sides.get(fact.call)
        known = self.records.get(fact.call if side is None else side.beside or fact.call)
        if known is None:
            return self
        before = self.asks.get(known.call, ())
        lost_at = known.ended_at if known.outcome is Outcome.LOST_ON_HOLD else None
        alone = known.outcome is None and known.talk_since is None and known.away_since is None
        after = asks_after(before, fact, alone=alone, lost_at=lost_at)
        return self if after is before else replace(self, asks=self.asks.set(known.call, after))

    def _after(self, fact: f.Fact) -> Books:
        if isinstance(fact, f.PhoneRefused | f.PhoneAttemptRefused):
            return replace(self, refusals=(*self.refusals, Refusal(fact.centre, fact.at, fact.reason)))
        call = getattr(fact, "call", None)
        if isinstance(fact, f.ClockStepped):
            open_calls = [r for r in self.records.values() if r.outcome is None]
            asked = {
                r.call: asks_moved(self.asks[r.call], fact.by) for r in open_calls if r.call in self.asks
            }
            return replace(
                self,
                records=self.records.with_all(moved(r, fact.by) for r in open_calls),
                sides=self._sides_moved(fact.by),
                asks=self.asks.update(asked),
            )
        if call is None:
            return self
        if isinstance(fact, f.SideCallBegan) or call in self.sides:
            side = sides.record(self.sides.get(call), fact)
            return self if side is None else replace(self, sides=self.sides.set(call, side))
        known = self.records.get(call)
        changed = record(known, fact)
        if changed is None or changed is known:
            return self
        consult = self.sides.get(fact.side) if isinstance(fact, f.CallTransferred) and fact.side else None
        apart = (
            self.sides
            if consult is None
            else self.sides.set(consult.call, replace(consult, put_through=True))
        )
        return replace(self, records=self.records.set(call, changed), sides=apart)

    def _sides_moved(self, by: int) -> Map[CallId, SideRecord]:
        went_on = {
            k: replace(r, began_at=Instant(r.began_at + by), connected_at=_later(r.connected_at, by))
            for k, r in self.sides.items()
            if r.outcome is None
        }
        return self.sides.update(went_on)

    def since(self, first: Instant) -> Books:
        """Without ended calls that arrived, and refusals that were, before `first`."""
        kept = [r for r in self.records.values() if r.arrived_at >= first or r.outcome is None]
        apart = {k: r for k, r in self.sides.items() if r.began_at >= first or r.outcome is None}
        refusals = tuple(r for r in self.refusals if r.at >= first)
        if (len(kept), len(apart), len(refusals)) == (len(self.records), len(self.sides), len(self.refusals)):
            return self
        records = Records().with_all(kept)
        asked = {k: mine for k, mine in self.asks.items() if k in records}
        return replace(
            self,
            records=records,
            sides=Map(apart),
            asks=Map(asked),
            refusals=refusals,
            wraps=self.wraps.only(records),
        )

    def sides_of(self, centre: CentreId, first: Instant, before: Instant) -> list[SideRecord]:
        """One centre's calls that are no arrivals and began in [first, before)."""
        return [r for r in self.sides.values() if r.centre == centre and first <= r.began_at < before]

    def refused(self, centre: CentreId, first: Instant, before: Instant) -> int:
        """端末ポリシー違反 of one centre in [first, before)."""
        return sum(r.centre == centre and first <= r.at < before for r in self.refusals)

    def of(self, centre: CentreId, first: Instant, before: Instant) -> list[Record]:
        """Records of one centre that arrived in [first, before)."""
        return [r for _, period in self.records.between(centre, first, before) for r in period.values()]
