"""The quiet hours: each centre has its turn, and none waits for another's trouble.

Rules
- What was cut off is gone on with first. A centre of which something stays unfinished begins nothing new, but for what
  is owed.
- What goes wrong with one centre is told with its name, and tried again after `RETRY_S`; the others go on.
- While somebody erases by hand, nobody has a turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import structlog

from callcore.domain.centre import Centre
from callcore.domain.ids import CentreId, Instant
from callcore.erasing import report
from callcore.erasing.plan import OWED, Busy, Plan
from callcore.erasure import Erasure

log = structlog.get_logger(__name__)

AGAIN_S = 1800.0
"""Between two looks at what is due, once nothing is."""
RETRY_S = 60.0
"""After an erasure that could not be done."""


class Nights:
    """`unfinished`: erasures that were begun and wait, those of which a part is owed among them."""

    def __init__(self, erasure: Erasure, clock: Callable[[], float] = time.monotonic) -> None:
        self.unfinished = 0
        self._erasure = erasure
        self._clock = clock
        self._not_before: dict[CentreId, float] = {}
        self._finish_from = 0.0
        self._told = set[str]()

    async def turn(self, centres: Iterable[Centre], now: Callable[[], Instant]) -> None:
        """Of each centre in whose quiet hours it is: erase up to one report's worth of what its rule makes due."""
        try:
            waiting = await self._finish()
            for centre in centres:
                if centre.id not in waiting and self._clock() >= self._not_before.get(centre.id, 0.0):
                    await self._of(centre, now())
        except Busy:
            log.debug("somebody erases by hand")

    async def _of(self, centre: Centre, now: Instant) -> None:
        try:
            if self._erasure.quiet(centre, now) and await self._erasure.nightly(centre, now) is None:
                self._not_before[centre.id] = self._clock() + AGAIN_S
        except Busy:
            raise
        except Exception as error:  # the other centres go on; what was begun is gone on with
            self._not_before[centre.id] = self._clock() + RETRY_S
            log.exception(
                "消去できません。また試します / cannot erase; it is tried again",
                centre=centre.id,
                why=str(error),
            )

    async def _finish(self) -> set[str]:
        """The centres of which something stays unfinished."""
        self.unfinished = len(self._erasure.shelf.unfinished())
        if self.unfinished and self._clock() >= self._finish_from:
            try:
                await self._erasure.finish()
            except Busy:
                raise
            except Exception as error:
                self._finish_from = self._clock() + RETRY_S
                log.exception(
                    "消去を終えられません。また試します / cannot finish an erasure; it is tried again",
                    why=str(error),
                )
            else:
                self._finish_from = self._clock() + RETRY_S
        plans = self._erasure.shelf.unfinished()
        self.unfinished = len(plans)
        for plan in plans:
            if plan.stage == OWED and plan.id not in self._told:
                self._told.add(plan.id)
                self._say(plan)
        return {plan.centre for plan in plans if plan.stage != OWED}

    def _say(self, owed: Plan) -> None:
        raw = self._erasure.shelf.file(owed.id, "json")
        log.error(
            "鍵の表が読めないため、消去の一部が残っています。戻せば自動で続けます / "
            "tables of keys cannot be read, so a part of an erasure is owed; put back, it goes on by itself",
            report=owed.id,
            centre=owed.centre,
            why=[] if raw is None else report.of(raw).unread,
        )
