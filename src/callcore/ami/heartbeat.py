"""The heartbeat: tells a node each second that this run decides, and asks whether another run does.

The dialplan's waiting line lets callers go to the safety net when the beat is older than 5 s.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import AmiError
from callcore.domain.ids import SECOND
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

EVERY_S = 1.0
TIMEOUT_S = 2.0
"""For one action; the largest round trip seen under load was 9 ms."""
STALE_S = 5.0
"""The dialplan's own bound: nobody who has not beaten for so long may move a caller."""


class Heartbeat:
    """`once` is sent by whoever decides, at a place in its inbox that proves that the inbox turns."""

    def __init__(self, link: Link, run: int) -> None:
        self.superseded = asyncio.Event()
        """An engine with a higher run number decides: this one must stop."""
        self.fresh = asyncio.Event()
        """This link has been told a beat: callers on the waiting line will not be let go at once."""
        self._link = link
        self._run = run
        self._beaten_at: float | None = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the last beat that the node took; None before the first."""
        return None if self._beaten_at is None else round(time.monotonic() - self._beaten_at, 3)

    def aged(self) -> None:
        """A new link, or a stepped clock: the last beat may count as old, and a fresh one is the next."""
        self.fresh.clear()

    async def entitled(self) -> bool:
        """Whether this engine may move callers: it has told the node a beat that is not stale, and nobody else decides.

        Waits for the next beat if need be: whoever stood still must ask first who decides now, and callers who stand on
        the waiting line without a fresh beat would be let go at once.
        """
        age = self.age_s
        if age is None or age > STALE_S:
            self.fresh.clear()
        if not self.fresh.is_set():
            try:
                await asyncio.wait_for(self.fresh.wait(), TIMEOUT_S)
            except TimeoutError:
                return False
        return not self.superseded.is_set()

    async def alone(self) -> bool:
        """Whether no other engine has taken over. Asked before anything is decided by a new link. Raises AmiError."""
        told = await self._link.call({"Action": "Getvar", "Variable": dialplan.RUN}, timeout=TIMEOUT_S)
        other = told.get("Value") or ""
        if other.isdigit() and int(other) > self._run:
            self.superseded.set()
        return not self.superseded.is_set()

    async def once(self) -> None:
        """One beat, by the node's own clock, so that a skew of clocks does not matter. Raises nothing of the link's."""
        if self._link.node_now() is None or self.superseded.is_set():
            return
        try:
            if not await self.alone():
                return
            await self._set(dialplan.RUN, str(self._run))
            node_now = self._link.node_now()  # not earlier: the clock may have been stepped meanwhile
            assert node_now is not None
            await self._set(dialplan.HEARTBEAT, str(node_now // SECOND))
        except AmiError as error:
            log.warning("no heartbeat", why=str(error))
            return
        self._beaten_at = time.monotonic()
        self.fresh.set()

    async def _set(self, name: str, value: str) -> None:
        await self._link.call({"Action": "Setvar", "Variable": name, "Value": value}, timeout=TIMEOUT_S)
