"""How long what is kept of calls is kept, and what is due to be erased.

Rules
- Each kind of recording, and what belongs to a person (number, notes), has months of its own by the centre's file;
  0 is "until told". A recording of a reported call (悪質・脅迫) has those of its kind or those of `reported`, whichever
  are longer: a report makes nothing due.
- Months are counted by 民法 140条・143条2項 in the centre's days: the day itself does not count, and what is kept for 6
  months from 20 November is kept to the end of 20 May; where the last month lacks that day, to its last day.
- An order keeps calls for longer: until an instant (extension), or until it is taken back (legal hold). The later of
  rule and orders counts; an order never shortens.
- What belongs to a person is kept as long as any sound of the call is.
- Nothing is erased early by a wrong clock: time counts as it went by. What the clock was set by since then is taken
  off again, and so is what is beyond a day of a time in which the machine was off: nobody saw whether it went by.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from callcore.domain.centre import Centre, Retention
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import KeptBy, RecordingKind

REASON_LONGEST = 200
"""Characters of a reason, of an order or of an erasure."""
CALLS_MOST = 1000
"""Calls that one order may name."""
UNSEEN_S = 86_400
"""Seconds of a time in which the machine was off that count as gone by."""
NO_RULE_REACHES = Instant(250_000_000_000 * SECOND)
"""In the year 9892: a calendar of ours ends with 9999."""
STEP_S = 1
"""Seconds by which a clock may be off between two looks without having been set; NTP slews 0.5 ms a second."""


@dataclass(frozen=True, slots=True)
class KeepOrder:
    """Keep these calls longer. `until` None: a legal hold, until it is taken back. `by`: who ordered it."""

    id: str
    centre: CentreId
    calls: tuple[CallId, ...]
    until: Instant | None
    reason: str
    by: str
    at: Instant

    def holds(self, at: Instant) -> bool:
        return self.until is None or at < self.until


def order_of(orders: Iterable[KeepOrder], at: Instant, *names: CallId | None) -> KeepOrder | None:
    """The first order that holds then and names one of these."""
    return next((each for each in orders if each.holds(at) and not {*names}.isdisjoint(each.calls)), None)


class Why(Enum):
    """Why something is still kept, or that it is not."""

    DUE = "due"
    RULE = "rule"
    UNTIL_TOLD = "until_told"
    EXTENDED = "extended"
    HELD = "held"
    SOUND = "sound"
    """Of what belongs to a person: a recording of the call is still kept."""
    LEFT = "left"
    """It would be due, and is left for now: `Verdict.left` says why."""


WORDS: dict[Why, str] = {
    Why.DUE: "消去 / erased",
    Why.RULE: "保存期間中 / within its months",
    Why.UNTIL_TOLD: "指示があるまで / until told",
    Why.EXTENDED: "延長の指示 / kept longer by order",
    Why.HELD: "保全の指示 / legal hold",
    Why.SOUND: "録音を保存中 / its sound is kept",
    Why.LEFT: "満了、今は残す / over, left for now",
}


@dataclass(frozen=True, slots=True)
class Sound:
    """One recording that is there. `over`: when its call was over; None: nobody can tell, so it is kept until told."""

    name: str
    kind: RecordingKind
    reported: bool
    over: Instant | None


Unlisted = Mapping[CallId, Collection[Sound]]
"""Sound that the chain tells of and no row does, by its call, or by its own name where nobody knows one. `over`: when
it was kept."""


@dataclass(frozen=True, slots=True)
class Item:
    """What is kept of one call: its recordings, and (`personal`) something that belongs to a person. `about`: the call
    that orders name, of a consult the caller's. `over`: when it ended; None: as of `Sound`. `task`: not a call but a
    task with a name of its own, about `about`; it was over when it was dealt with."""

    call: CallId
    about: CallId
    over: Instant | None
    sounds: tuple[Sound, ...] = ()
    personal: bool = False
    task: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A centre's, and where its days are counted."""

    retention: Retention
    zone: str


Rules = Mapping[CentreId, Rule]
"""Of the centres that there are. What is kept of another is erased by no rule."""


def rules_of(centres: Iterable[Centre]) -> Rules:
    return {centre.id: Rule(centre.retention, centre.time_zone) for centre in centres}


@dataclass(frozen=True, slots=True)
class Judged:
    """`until`: by rule and orders; None: nobody knows, or it is over."""

    why: Why
    until: Instant | None = None
    order: KeepOrder | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one call now: each recording, and what belongs to a person (None: there is nothing). `left`: why
    nothing of it is erased yet, though some of it would be due."""

    item: Item
    sounds: tuple[tuple[Sound, Judged], ...]
    personal: Judged | None
    left: str | None = None

    @property
    def due(self) -> tuple[Sound, ...]:
        return tuple(sound for sound, judged in self.sounds if judged.why is Why.DUE)

    @property
    def personal_due(self) -> bool:
        return self.personal is not None and self.personal.why is Why.DUE


Steps = tuple[tuple[Instant, int], ...]
"""When the clock was set, by the new clock, and by how many microseconds."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The present instant, and what is known against it."""

    now: Instant
    steps: Steps = ()

    def seen_from(self, since: Instant) -> Instant:
        """The present instant for what was then, by the time that went by since; never later than now."""
        return min(self.now, Instant(self.now - sum(by for at, by in self.steps if at - by >= since)))


@dataclass(frozen=True, slots=True)
class Look:
    """One look at both clocks: the wall's, and the machine's own since its start (`up`, microseconds), named `boot`."""

    at: Instant
    up: int
    boot: str


def stepped(before: Look, now: Look) -> int:
    """By how much the wall clock was set between two looks; of a time in which the machine was off, what is beyond
    `UNSEEN_S`. 0: not at all."""
    passed = now.at - before.at
    if now.boot != before.boot:
        return passed if passed < 0 else max(0, passed - UNSEEN_S * SECOND)
    by = passed - (now.up - before.up)
    return by if abs(by) > STEP_S * SECOND else 0


def kept_to(day: date, months: int) -> date:
    """The last day of a period of months from an event on `day` (民法140条・143条2項)."""
    first = day + timedelta(days=1)
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    if first.day > (following - timedelta(days=1)).day:
        return following - timedelta(days=1)
    return date(year, month + 1, first.day) - timedelta(days=1)


def rule_until(over: Instant, months: int, zone: str) -> Instant | None:
    """Until when the rule keeps what was over then: the end of that local day. None: until told."""
    if months == 0:
        return None
    here = ZoneInfo(zone)
    return _end(datetime.fromtimestamp(over / SECOND, here).date(), months, here)


def kept_until(
    over: Instant, months: int, zone: str, *, held: bool, extended: Instant | None
) -> tuple[KeptBy, Instant | None]:
    """By what something is kept that was over then, and until when by the calendar; None: without an end. `held`: by
    a legal hold. `extended`: the latest instant of the orders to keep it longer."""
    if held:
        return KeptBy.HELD, None
    until = rule_until(over, months, zone)
    if until is None:
        return KeptBy.UNTIL_TOLD, None
    if extended is not None and extended > until:
        return KeptBy.EXTENDED, extended
    return KeptBy.RULE, until


def over_from(until: Instant, months: int, zone: str) -> Instant:
    """What was over then or later the rule of so many months keeps until `until` or later, and nothing before that."""
    here = ZoneInfo(zone)
    until = min(max(until, Instant(0)), NO_RULE_REACHES)
    last = datetime.fromtimestamp(until / SECOND, here).toordinal()
    days = range(last - 31 * (months + 1), last + 1)
    first = days[bisect_left(days, until, key=lambda day: _end(date.fromordinal(day), months, here))]
    return _midnight(date.fromordinal(first), here)


def _end(day: date, months: int, here: ZoneInfo) -> Instant:
    return _midnight(kept_to(day, months) + timedelta(days=1), here)


def _midnight(day: date, here: ZoneInfo) -> Instant:
    return Instant(round(datetime.combine(day, time(), here).timestamp()) * SECOND)


def judge(
    items: Iterable[Item],
    retention: Retention,
    zone: str,
    clock: Clock,
    orders: Mapping[CallId, Collection[KeepOrder]],
) -> list[Verdict]:
    """What is due of each call, and why the rest is not. `orders`: those not taken back, by the calls they name."""
    verdicts = []
    for item in items:
        told = [*orders.get(item.about, ()), *(orders.get(item.call, ()) if item.call != item.about else ())]
        sounds = tuple(
            (
                sound,
                _judged(
                    sound.over, months_of(retention, sound.kind, reported=sound.reported), zone, clock, told
                ),
            )
            for sound in item.sounds
        )
        personal = None
        if item.personal:
            personal = _judged(item.over, retention.personal, zone, clock, told)
            if personal.why is Why.DUE and any(judged.why is not Why.DUE for _, judged in sounds):
                personal = Judged(Why.SOUND)
        verdicts.append(Verdict(item, sounds, personal))
    return verdicts


def left_for_now(verdict: Verdict, why: str) -> Verdict:
    """Nothing of that call is erased yet."""
    now = Judged(Why.LEFT)
    sounds = tuple((sound, now if judged.why is Why.DUE else judged) for sound, judged in verdict.sounds)
    return replace(
        verdict, sounds=sounds, personal=now if verdict.personal_due else verdict.personal, left=why
    )


def by_call(orders: Iterable[KeepOrder]) -> dict[CallId, list[KeepOrder]]:
    found: dict[CallId, list[KeepOrder]] = {}
    for order in orders:
        for call in order.calls:
            found.setdefault(call, []).append(order)
    return found


def at_least_until(now: Instant, retention: Retention, zone: str) -> Instant | None:
    """What was over later than this is due by no rule; None: no rule makes anything due. To look through fewer."""
    months = [each for each in _all_months(retention) if each]
    if not months:
        return None
    here = ZoneInfo(zone)
    today = datetime.fromtimestamp(now / SECOND, here).date()
    return _midnight(today - timedelta(days=28 * min(months)), here)


def _all_months(of: Retention) -> tuple[int, ...]:
    return (of.call, of.consult, of.outgoing, of.contact, of.message, of.personal)


def months_of(of: Retention, kind: RecordingKind, *, reported: bool) -> int:
    """For how many months a recording is kept; 0: until told, which is the longest."""
    months = {
        RecordingKind.CALL: of.call,
        RecordingKind.CONSULT: of.consult,
        RecordingKind.OUTGOING: of.outgoing,
        RecordingKind.CONTACT: of.contact,
        RecordingKind.MESSAGE: of.message,
    }[kind]
    if not reported:
        return months
    return max(months, of.reported) if months and of.reported else 0


def _judged(
    over: Instant | None, months: int, zone: str, clock: Clock, told: Collection[KeepOrder]
) -> Judged:
    held = next((order for order in told if order.until is None), None)
    if held is not None:
        return Judged(Why.HELD, None, held)
    if over is None or (rule := rule_until(over, months, zone)) is None:
        return Judged(Why.UNTIL_TOLD)
    by = None
    until = rule if clock.seen_from(over) < rule else None
    for order in told:
        assert order.until is not None
        if clock.seen_from(order.at) < order.until and (until is None or order.until > until):
            until, by = order.until, order
    if until is None:
        return Judged(Why.DUE)
    return Judged(Why.RULE if by is None else Why.EXTENDED, until, by)
