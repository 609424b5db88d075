"""The journal into something else (the database), each frame once, whatever dies in between.

The sink keeps its own position in the same transaction as what it applies, so a batch is there as a whole
with its position or not at all; the drain asks for the position whenever it begins, and after each failure.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from callcore.journal.codec import Frame, Seq
from callcore.journal.follow import Follower

log = logging.getLogger(__name__)

BATCH_FRAMES = 2000
BATCH_S = 1.0
"""Frames of one transaction, and for how long (s) they are gathered. The statements are few however many frames there
are, so the fewer batches the less work: the database may be a second late. The board does not wait for it."""
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0


class SinkAway(Exception):
    """The sink can't be reached now. What was being applied may or may not be there: ask its position."""


class Sink(Protocol):
    async def position(self) -> Seq | None:
        """The last frame that is in; None: nothing yet. SinkAway."""
        ...

    async def apply(self, frames: Sequence[Frame]) -> None:
        """All frames and the new position in one transaction. SinkAway."""
        ...


@dataclass(slots=True)
class Lag:
    """Gauges of a drain, asked at any time. `frames` and `seconds` behind what is synced; `away_s`: since
    when (s) the sink has been away, None: it is there; `position`: the last frame that is in.
    """

    frames: int = 0
    seconds: float = 0.0
    away_s: float | None = None
    position: Seq | None = None
    failures: int = 0


class Drain:
    """`open_follower` makes a follower behind a position; a new one is made after each failure of the sink.

    `away` lists the exceptions of the sink that mean SinkAway too (adapters don't know this module).
    """

    def __init__(
        self,
        open_follower: Callable[[Seq | None], Follower],
        sink: Sink,
        *,
        away: tuple[type[Exception], ...] = (SinkAway,),
        batch_frames: int = BATCH_FRAMES,
        batch_s: float = BATCH_S,
        first_pause_s: float = FIRST_PAUSE_S,
        longest_pause_s: float = LONGEST_PAUSE_S,
    ) -> None:
        self._open_follower = open_follower
        self._sink = sink
        self._away = away
        self._batch_frames = batch_frames
        self._batch_s = batch_s
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._follower: Follower | None = None
        self._in_hand: Sequence[Frame] = ()
        self._away_since: float | None = None
        self._position: Seq | None = None
        self._failures = 0

    def lag(self) -> Lag:
        frames, seconds = self._follower.behind() if self._follower is not None else (0, 0.0)
        away = None if self._away_since is None else time.monotonic() - self._away_since
        if self._in_hand:
            seconds += (self._in_hand[-1].at - self._in_hand[0].at) / 1_000_000
        return Lag(frames + len(self._in_hand), seconds, away, self._position, self._failures)

    async def run(self) -> None:
        """Until cancelled. What the sink raises besides being away, and what the journal raises, rises."""
        pause = self._first_pause_s
        try:
            while True:
                before = self._position
                try:
                    await self._follow()
                except self._away as error:
                    self._failures += 1
                    if self._away_since is None:
                        self._away_since = time.monotonic()
                        log.warning("the journal's sink is away, frames wait in the journal: %s", error)
                if self._position != before:
                    pause = self._first_pause_s
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, no secret)
                pause = min(pause * 2, self._longest_pause_s)
        finally:
            if self._follower is not None:
                self._follower.close()

    async def _follow(self) -> None:
        self._position = await self._sink.position()
        if self._follower is not None:
            self._follower.close()
        self._in_hand = ()
        self._follower = self._open_follower(self._position)
        while True:
            frames = await self._follower.batch(self._batch_frames, self._batch_s)
            self._in_hand = frames
            await self._sink.apply(frames)
            self._in_hand = ()
            self._position = frames[-1].seq
            if self._away_since is not None:
                log.warning("the journal's sink is back, catching up")
                self._away_since = None


async def drain(open_follower: Callable[[Seq | None], Follower], sink: Sink) -> None:
    """A drain without gauges, until cancelled."""
    await Drain(open_follower, sink).run()
