"""応答率 of each centre's month so far, for its alarm: earlier days from the database, today from the live books.

Rules
- A centre's earlier days are asked for once an hour, for a call may end, and be drained, after its day.
- What the database told stays in force while it is away, until the centre's day is over; then there is no figure.
- The ratio is `measures.figures`' own; parts and wholes of the days are added.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from callcore.domain.board import day_of
from callcore.domain.centre import Centre
from callcore.domain.day import Days
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Ratio, Record, figures
from callcore.runtime.ports import View

ANEW_S = 3600.0
"""Seconds for which what was told of the earlier days is taken for fresh."""


class Kept(Protocol):
    """Where earlier days' calls are kept."""

    async def records(self, centre: CentreId, first: Instant, before: Instant) -> list[Record]: ...


@dataclass(frozen=True, slots=True)
class _Earlier:
    today: date
    """Not in `ratio` any more."""
    ratio: Ratio
    told_at: float
    """By the monotonic clock, in seconds."""


class MonthSoFar:
    def __init__(self, kept: Kept, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._kept = kept
        self._monotonic = monotonic
        self._earlier: dict[CentreId, _Earlier] = {}
        self._days = Days()

    async def look(self, centre: Centre, now: Instant) -> None:
        """Ask for the earlier days where that is due, one at a time. Raises what `kept` raises."""
        today = centre.calendar.local_date(now)
        known = self._earlier.get(centre.id)
        if known is not None and known.today == today and self._monotonic() - known.told_at < ANEW_S:
            return
        part = whole = 0
        day = today.replace(day=1)
        while day < today:
            window = day_of(centre, day)
            calls = await self._kept.records(centre.id, window.first, window.before)
            ratio = figures(calls, at=now, service_level_s=centre.service_level_s).answer_ratio
            part, whole = part + ratio.part, whole + ratio.whole
            day += timedelta(days=1)
        self._earlier[centre.id] = _Earlier(today, Ratio(part, whole), self._monotonic())

    def ratios(self, view: View, now: Instant) -> dict[CentreId, Ratio]:
        """応答率 of the month so far of each centre whose earlier days are known."""
        found: dict[CentreId, Ratio] = {}
        for centre in view.floor.centres.values():
            known = self._earlier.get(centre.id)
            if known is None or known.today != centre.calendar.local_date(now):
                continue
            so_far = self._days.of(view.books, centre, now)[1].figures.answer_ratio
            found[centre.id] = Ratio(known.ratio.part + so_far.part, known.ratio.whole + so_far.whole)
        return found

    def gauges(self, view: View, now: Instant) -> dict[CentreId, Mapping[str, float]]:
        """The same for metrics."""
        found: dict[CentreId, Mapping[str, float]] = {}
        for centre, ratio in self.ratios(view, now).items():
            told = {"month_answer_part": float(ratio.part), "month_answer_whole": float(ratio.whole)}
            if ratio.value is not None:
                told["month_answer_ratio"] = ratio.value
            found[centre] = told
        return found
