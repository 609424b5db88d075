"""Timers: a heap of instants by the clock that stamps the facts, and one task that waits for the earliest."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from callcore.domain.ids import SECOND, Instant, Micros
from callcore.domain.inputs import Timer, TimerFired

LONGEST_SLEEP_S = 1.0
"""Seconds. The clock is looked at again at least this often, for it may be stepped."""


FEW = 64
"""Void entries that are not worth clearing away."""


class Timers:
    """Set by the deciding task; what is due is handed to `fire`. A timer that is set again takes its new instant, be
    it later or earlier; the former one is void."""

    def __init__(self, now: Callable[[], Instant], fire: Callable[[TimerFired, Micros], None]) -> None:
        """`fire` is told as well by how much the timer comes late."""
        self._now = now
        self._fire = fire
        self._heap: list[tuple[Instant, str, str, Timer]] = []
        """Void entries stay until their instant, or until they are the greater part."""
        self._due: dict[Timer, Instant] = {}
        self._earlier = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def set(self, timer: Timer, at: Instant) -> None:
        if self._due.get(timer) == at:
            return
        self._due[timer] = at
        heapq.heappush(self._heap, _entry(timer, at))
        if len(self._heap) > 2 * len(self._due) + FEW:
            self._heap = [_entry(timer, due) for timer, due in self._due.items()]
            heapq.heapify(self._heap)
        if self._heap[0][3] is timer:
            self._earlier.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now = self._now()
            while self._heap and self._heap[0][0] <= now:
                at, _, _, timer = heapq.heappop(self._heap)
                if self._due.get(timer) == at:
                    del self._due[timer]
                    self._fire(TimerFired(at=max(at, now), timer=timer), Micros(now - at))
            self._earlier.clear()
            wait = LONGEST_SLEEP_S
            if self._heap:
                wait = min(wait, max(0.0, (self._heap[0][0] - now) / SECOND))
            try:
                async with asyncio.timeout(wait):
                    await self._earlier.wait()
            except TimeoutError:
                pass


def _entry(timer: Timer, at: Instant) -> tuple[Instant, str, str, Timer]:
    """In the order of the instants; timers themselves have none."""
    return at, timer.kind.value, timer.subject, timer
