"""What a board shows of today beside the figures: the half-hour curve, each agent's share, and what the month bears.

Pure sums over records; every count is `measures.figures`' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from callcore.domain.board import Window, half_hours, today
from callcore.domain.centre import Centre
from callcore.domain.ids import AgentId, CallId, CentreId, Instant
from callcore.domain.measures import PERIOD, Books, Figures, Ratio, Record, Tally


@dataclass(frozen=True, slots=True)
class Curve:
    """Of each half hour of the day, from its first on: 着信件数 and 応答件数 of the calls that arrived in it."""

    arrivals: tuple[int, ...]
    answers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """What one agent did today: calls answered (the last who talked with the caller), and their talk, in
    microseconds, of those whose talk is over."""

    answered: int
    over: int
    talk: int


@dataclass(frozen=True, slots=True)
class Day:
    """A centre's local day so far."""

    figures: Figures
    curve: Curve
    shares: Mapping[AgentId, Share]


class _Period:
    """The calls that arrived within five minutes, counted."""

    def __init__(self, calls: Mapping[CallId, Record], service_level_s: int, half: int) -> None:
        self.calls = calls
        self.half = half
        """The half hour of the day in which they arrived."""
        self.ended = Tally(service_level_s)
        self.open: list[Record] = []
        never = Instant(0)
        for record in calls.values():
            if record.outcome is None:
                self.open.append(record)
            else:
                self.ended.add(record, never)
        whole = Tally(service_level_s)
        whole.put_together((self.ended,))
        for record in self.open:
            whole.add(record, never)
        told = whole.figures(never)
        self.arrivals, self.answers = told.arrivals, told.answered
        self.shares = shares(calls.values())


class _Kept:
    """One day of one centre, as it was counted last."""

    def __init__(self, window: Window, service_level_s: int) -> None:
        self.window = window
        self.service_level_s = service_level_s
        self._halves = half_hours(window)
        self._periods: dict[int, _Period] = {}
        self._shares: dict[AgentId, Share] = {}

    def day(self, books: Books, centre: CentreId, at: Instant) -> Day:
        length = self._halves[0][1] - self._halves[0][0]
        gone = set(self._periods)
        for n, calls in books.records.between(centre, self.window.first, self.window.before):
            gone.discard(n)
            known = self._periods.get(n)
            if known is None or known.calls is not calls:
                half = (max(n * PERIOD, self.window.first) - self.window.first) // length
                period = _Period(calls, self.service_level_s, min(half, len(self._halves) - 1))
                self._share(known, period)
                self._periods[n] = period
        for n in gone:  # a clock that was set moves calls, and what is older is kept no longer
            self._share(self._periods.pop(n), None)
        tally = Tally(self.service_level_s)
        arrivals, answers = [0] * len(self._halves), [0] * len(self._halves)
        tally.put_together(period.ended for period in self._periods.values())
        for period in self._periods.values():
            for record in period.open:
                tally.add(record, at)
            arrivals[period.half] += period.arrivals
            answers[period.half] += period.answers
        return Day(tally.figures(at), Curve(tuple(arrivals), tuple(answers)), dict(self._shares))

    def _share(self, before: _Period | None, now: _Period | None) -> None:
        """Take what agents did in calls of a period that was counted out of the sums, and what they did now in."""
        for period, sign in ((before, -1), (now, 1)):
            for agent, share in ({} if period is None else period.shares).items():
                had = self._shares.get(agent, _NOTHING)
                made = Share(
                    had.answered + sign * share.answered,
                    had.over + sign * share.over,
                    had.talk + sign * share.talk,
                )
                self._shares[agent] = made
                if made == _NOTHING:
                    del self._shares[agent]


_NOTHING = Share(0, 0, 0)


class Days:
    """The day of each centre. Calls of five minutes that are the same as last time are not counted again, so that a
    picture costs the same in the evening as in the morning."""

    def __init__(self) -> None:
        self._kept: dict[CentreId, _Kept] = {}

    def of(self, books: Books, centre: Centre, at: Instant) -> tuple[Window, Day]:
        """The local day that holds `at`, as known then."""
        window = today(centre, at)
        kept = self._kept.get(centre.id)
        if kept is None or (kept.window, kept.service_level_s) != (window, centre.service_level_s):
            kept = self._kept[centre.id] = _Kept(window, centre.service_level_s)
        return window, kept.day(books, centre.id, at)


def shares(records: Iterable[Record]) -> Mapping[AgentId, Share]:
    """Of each agent who talked with somebody, test calls left out."""
    found: dict[AgentId, list[int]] = {}
    for record in records:
        agent = record.agent
        if agent is None or record.answered_at is None or record.test:
            continue
        had = found.get(agent)
        if had is None:
            had = found[agent] = [0, 0, 0]
        had[0] += 1
        if record.talk_since is None:
            had[1] += 1
            had[2] += record.talk
    return {agent: Share(*had) for agent, had in found.items()}


def may_lose(ratio: Ratio, target: float) -> int:
    """How many calls more may be lost one after the other so that the ratio still is the target; below 0: so many
    offered calls too few, and the target is missed already. With no call: 0."""
    if ratio.whole == 0 or target <= 0:
        return 0
    return int(Fraction(ratio.part) / _exact(target) // 1) - ratio.whole


def must_answer(ratio: Ratio, target: float) -> int | None:
    """How many calls must be answered one after the other to reach the target; 0: it is reached; None: it cannot be."""
    wanted = _exact(target)
    missing = wanted * ratio.whole - ratio.part
    if missing <= 0:
        return 0
    return None if wanted >= 1 else int(-(-missing // (1 - wanted)))


def _exact(target: float) -> Fraction:
    """0.9 is nine tenths, as the contract means it."""
    return Fraction(str(target))
