"""The deciding task: the only owner of the floor and of the journal's pen.

Its inbox is turned in order. Each item is either an input for the core, or something that must happen at its place
among the inputs (the heartbeat, a look at the state for a command). For each input: `step`, then the journal, then
the effects; so nothing is done that is not written down.

When the journal cannot be written, nothing is decided: the item is kept and tried again, the inbox does not turn,
the heartbeat stays away, and the waiting callers fall into the safety net after its bound.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import structlog

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import Instant, Micros
from callcore.domain.step import Step, step
from callcore.runtime.offertimes import OfferTimes, monotonic
from callcore.runtime.ports import Seq
from callcore.runtime.timers import Timers

log = structlog.get_logger(__name__)

INBOX_BOUND = 50_000
"""Items. Beyond that the sources wait, and the link resyncs when its own bound is hit as well."""

TURN_EVERY = 8
"""Inputs after which others get their turn although more inputs stand in the inbox: about 1 ms of deciding, which is
what the answer about an offered caller's channel may have to wait for."""

WRITE_RETRY_S = 0.5
"""Seconds between tries while the journal cannot be written."""
SAY_EVERY = 20
"""Tries between two lines of the log about it; the log may stand on the same full disk."""

Happening = Callable[[], Awaitable[None]]
"""Something done by the deciding task itself at its place in the inbox."""


class Pen(Protocol):
    """Writes the facts of one step. Raises OSError or a `cannot write` error; then nothing was written."""

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq: ...


@dataclass(slots=True)
class Counts:
    inputs: int = 0
    facts: int = 0
    effects: int = 0
    disregarded: int = 0
    faults: int = 0
    """Inputs at which the core raised. Its own mistake; the floor was left as it was."""
    unwritten: int = 0
    """Tries at which the journal could not be written."""
    slowest_us: int = 0
    """The longest step so far, journal included."""


class Loop:
    def __init__(
        self,
        floor: Floor,
        pen: Pen,
        perform: Callable[[e.Effect], Awaitable[i.Input | None]],
        now: Callable[[], Instant],
        offers: OfferTimes | None = None,
    ) -> None:
        self.floor = floor
        self.seq = Seq(0, 0)
        self.counts = Counts()
        self.offers = OfferTimes(now) if offers is None else offers
        self.timers = Timers(now, self._timer)
        self._pen = pen
        self._perform = perform
        self._inbox: deque[tuple[i.Input | Happening, Micros]] = deque()
        self._arrival = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stuck_since: float | None = None
        self._doing: set[asyncio.Task[None]] = set()
        self._eager = False
        """Somebody is to be offered a call: that begins before the next input is taken."""

    # -- telling ----------------------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        return len(self._inbox)

    @property
    def stuck_s(self) -> float:
        """Seconds since which the journal cannot be written and nothing is decided; 0 while it can."""
        return 0.0 if self._stuck_since is None else round(time.monotonic() - self._stuck_since, 3)

    def put(self, item: i.Input | Happening, since: Micros | None = None) -> None:
        """Add to the inbox, at its end. `since`: when it could first be known, by the monotonic clock; None: now."""
        self._inbox.append((item, monotonic() if since is None else since))
        self._arrival.set()
        if len(self._inbox) >= INBOX_BOUND:
            self._room.clear()

    async def ask(self, told: i.Input) -> Step:
        """Add an input, and return what was decided about it, once that is written down.

        While the journal cannot be written this waits as everything does; whoever gives up waiting has still asked.
        Raises RuntimeError when the core could not take the input.
        """
        decided: asyncio.Future[Step | None] = asyncio.get_running_loop().create_future()

        async def decide() -> None:
            done = await self._decide(told, monotonic())
            if not decided.done():
                decided.set_result(done)

        self.put(decide)
        done = await decided
        if done is None:
            raise RuntimeError(
                "エンジンの不具合です。ログを見てください / a fault of the engine; see its log"
            )
        return done

    def _timer(self, fired: i.TimerFired, late: Micros) -> None:
        self.put(fired, Micros(monotonic() - late))

    async def room(self) -> None:
        """Wait while the inbox is at its bound. Whoever reads from a source asks before reading on."""
        await self._room.wait()

    # -- deciding ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._inbox:
                self._arrival.clear()
                await self._arrival.wait()
            item, since = self._inbox.popleft()
            if len(self._inbox) < INBOX_BOUND // 2:
                self._room.set()
            if isinstance(item, i.Input):
                await self._decide(item, since)
            else:
                await item()
            if self._eager or self.counts.inputs % TURN_EVERY == 0:
                self._eager = False
                await asyncio.sleep(0)  # readers and effects get their turn under a flood

    async def _decide(self, told: i.Input, since: Micros) -> Step | None:
        """What was decided; None: the core raised."""
        began = time.perf_counter_ns()
        self.counts.inputs += 1
        try:
            done = step(self.floor, told)
        except Exception:
            self.counts.faults += 1
            log.exception("the core could not take an input", input=type(told).__name__, **self._about(told))
            return None
        if done.disregarded is not None:
            self.counts.disregarded += 1
            log.debug("disregarded", input=type(told).__name__, why=done.disregarded, **self._about(told))
        if done.facts:
            await self._write(told, done)
        self.floor = done.floor
        self.counts.facts += len(done.facts)
        for effect in done.effects:
            if isinstance(effect, e.OfferCall):
                self.offers.wanted(effect.offer, since, told.at)
                self._eager = True
            self._want(effect)
        self.counts.slowest_us = max(self.counts.slowest_us, (time.perf_counter_ns() - began) // 1000)
        return done

    def _about(self, what: i.Input | e.Effect) -> dict[str, object]:
        """The call and the agent that it is about, as far as the floor knows, for the log."""
        channel = getattr(what, "channel", None)
        name = getattr(what, "call", None) or (self.floor.channels.get(channel) if channel else None)
        call = self.floor.calls.get(name) if name else None
        return {"call": name, "agent": getattr(what, "agent", None) or (call.talking_with if call else None)}

    async def _write(self, told: i.Input, done: Step) -> None:
        for tries in count():
            try:
                self.seq = self._pen.write(told.at, done.facts)
                self._stuck_since = None
                return
            except Exception as error:
                self.counts.unwritten += 1
                if self._stuck_since is None:
                    self._stuck_since = time.monotonic()
                if tries % SAY_EVERY == 0:
                    self._say_unwritten(error)
                await asyncio.sleep(WRITE_RETRY_S)

    def _say_unwritten(self, error: Exception) -> None:
        log.critical(
            "ジャーナルに書けないため判断を止めています。ディスクの空きを確認してください / "
            "the journal cannot be written, so nothing is decided; see whether the disk is full",
            why=str(error),
        )

    def _want(self, effect: e.Effect) -> None:
        self.counts.effects += 1
        if isinstance(effect, e.SetTimer):
            self.timers.set(effect.timer, effect.at)
            return
        task = asyncio.create_task(self._do(effect), name=f"effect {type(effect).__name__}")
        self._doing.add(task)
        task.add_done_callback(self._doing.discard)

    async def _do(self, effect: e.Effect) -> None:
        if isinstance(effect, e.OfferCall):
            self.offers.begun(effect.offer)
        try:
            result = await self._perform(effect)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("an effect raised", effect=type(effect).__name__, **self._about(effect))
            return
        finally:
            if isinstance(effect, e.OfferCall):
                self.offers.over(effect.offer)
        if result is not None:
            self.put(result)

    async def drain(self, deadline_s: float) -> list[str]:
        """Wait for the effects under way; the names of those that did not end in time."""
        if not self._doing:
            return []
        _, late = await asyncio.wait(self._doing, timeout=deadline_s)
        for task in late:
            task.cancel()
        return [task.get_name() for task in late]
