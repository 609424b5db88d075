"""How late an event loop is: what should wake at an instant, and when it woke.

Whatever keeps the loop (a long step, a swapped-out process, a machine with too much work) keeps everything else in
that process as long.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

EVERY_S = 0.25
KEPT_S = 60.0


class LoopLag:
    """Looks all the time it runs; the largest of the last minute is kept."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque()
        """When, and how late; only what no later one exceeds."""

    def take(self, late_s: float) -> None:
        now = self._clock()
        while self._seen and self._seen[-1][1] <= late_s:
            self._seen.pop()
        self._seen.append((now, late_s))

    @property
    def largest_s(self) -> float:
        """Seconds, in the last minute; 0 before the first look."""
        while self._seen and self._seen[0][0] < self._clock() - KEPT_S:
            self._seen.popleft()
        return self._seen[0][1] if self._seen else 0.0

    async def run(self) -> None:
        while True:
            due = self._clock() + EVERY_S
            await asyncio.sleep(EVERY_S)
            self.take(max(0.0, self._clock() - due))
