"""Watching the wall clock against the monotonic one.

Somebody sets the clock, a virtual machine is put to sleep, NTP starts late: the wall clock, by which Asterisk stamps
its events, steps. Whoever asks for the time here learns of a step first, so that nothing stamped after it is handed on
before it was told. What was stamped before the step and comes after it is put onto the new clock.

Node and engine stand on one machine and have one wall clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from callcore.domain.ids import Instant, Micros, seconds

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.2
"""Seconds. The dialplan looks at the heartbeat twice a second: a fresh one must be there soon after a step."""
STEP_S = 0.5
"""Seconds. What changes more between two looks is a step; slewing changes 500 µs a second at most."""
OLD_STAMPS_S = 30.0
"""Seconds after a step for which stamps of before it may still come. The link is given up after 4 s of silence."""


class Clock(Protocol):
    def wall(self) -> Instant: ...

    def monotonic(self) -> Micros: ...


class ClockWatch:
    """`stepped` is told each step, in microseconds, + = forward, before anything else is done with the new time."""

    def __init__(self, clock: Clock, stepped: Callable[[Micros], None]) -> None:
        self.steps = 0
        """Since the start."""
        self._clock = clock
        self._stepped = stepped
        self._skew = self._read()
        self._last: tuple[Micros, Micros] | None = None
        """When (monotonic) the last step was seen, and how far it went."""

    def _read(self) -> Micros:
        return Micros(self._clock.wall() - self._clock.monotonic())

    def look(self) -> None:
        """Find a step that has happened since the last look, and tell it."""
        skew = self._read()
        by, self._skew = Micros(skew - self._skew), skew
        if abs(by) <= seconds(STEP_S):
            return
        self.steps += 1
        self._last = (self._clock.monotonic(), by)
        log.warning(
            "時計が飛びました。NTP の設定 (step ではなく slew) を確かめてください / "
            "the clock was stepped; see that NTP slews it and does not step it",
            by_s=by / seconds(1),
        )
        self._stepped(by)

    def corrected(self, stamp: Instant, now: Instant) -> Instant:
        """A stamp by the clock of now, also when it was made just before the last step."""
        if self._last is None or self._clock.monotonic() - self._last[0] > seconds(OLD_STAMPS_S):
            return stamp
        moved = Instant(stamp + self._last[1])
        return moved if abs(now - moved) < abs(now - stamp) else stamp

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_S)
