"""How late events arrive, measured over the whole way.

Asterisk stamps an event when it writes it down, so what happens to it before and after does not show in
`Timestamp`. The canary sends a UserEvent action and takes the time until that very event is handed to
whoever works: through Asterisk's queue of events, the socket and our inboxes. An event that has not come back
yet counts with its age, so that a link that delivers nothing is late and not silent.

Events keep their order. A canary that has come back therefore says more than how late it was: all that happened
before it was sent has been told (`overtaken`).
"""

from __future__ import annotations

import asyncio
import statistics
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from callcore.ami.wire import ActionFailed, ActionTimeout, Event, Fields, LinkDown, Reply
from callcore.domain.ids import Micros, seconds

log = structlog.get_logger(__name__)

USER_EVENT = "CallcoreCanary"
_HEADER = "Canary"


def is_canary(event: Event) -> bool:
    """Whether an event is a canary, of whomever, and means nothing else."""
    return event.name == "UserEvent" and event.get("UserEvent") == USER_EVENT


class Caller(Protocol):
    """The part of a link that the canary uses."""

    def call(self, fields: Fields, *, timeout: float) -> Awaitable[Reply]: ...


@dataclass(frozen=True, slots=True)
class Lag:
    """The way of an event, in microseconds, over the last canaries that came back; None before the first."""

    last: Micros | None
    """None also between the loss of a link and the next one's first canary."""
    median: Micros | None
    largest: Micros | None
    waiting: Micros | None
    """Age of the oldest canary that is still out."""
    count: int
    late: bool
    """The last one, or the one that is out, took longer than the bound: times are imprecise now."""


class Canary:
    """Beats each `interval` seconds; the worker hands each UserEvent to `seen`."""

    def __init__(
        self,
        link: Caller,
        *,
        monotonic: Callable[[], Micros],
        sleep: Callable[[float], Awaitable[None]],
        interval: float = 1.0,
        bound: float = 0.5,
        window: int = 60,
    ) -> None:
        """`bound` in seconds: a step of the wall clock larger than 0.5 s is a fact of its own, so is a lag.

        `window` is how many canaries the figures look back on.
        """
        self._link = link
        self._monotonic = monotonic
        self._sleep = sleep
        self._interval = interval
        self._bound = seconds(bound)
        self._lags: deque[Micros] = deque(maxlen=window)
        self._last: Micros | None = None
        """The lag of the last canary of this link."""
        self._out: dict[str, Micros] = {}
        self._newest: Micros | None = None
        """When the newest canary that came back was sent."""
        self._came = asyncio.Event()
        self._run = uuid.uuid4().hex
        self._count = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            try:
                await self.beat()
            except ActionFailed as error:  # e.g. "Asterisk is shutting down": the link will tell
                log.warning("canary refused", why=str(error))
            await self._sleep(self._interval)

    async def beat(self) -> None:
        """Send one canary. Without a link there is nothing to measure."""
        self._count += 1
        name = f"{self._run}-{self._count}"
        fields = {"Action": "UserEvent", "UserEvent": USER_EVENT, _HEADER: name}
        self._out[name] = self._monotonic()
        try:
            await self._link.call(fields, timeout=max(self._interval, 1.0))
        except LinkDown:
            self.anew()
        except ActionFailed:
            self._out.pop(name, None)
            raise
        except ActionTimeout:
            pass  # it stays out, and makes us late

    def seen(self, event: Event) -> bool:
        """Take note of an event. True when it was a canary."""
        if not is_canary(event):
            return False
        name = event.get(_HEADER) or ""
        sent = self._out.get(name)
        if sent is not None:
            self._last = Micros(self._monotonic() - sent)
            self._lags.append(self._last)
            # Events keep their order: who was sent before this one will not come any more.
            self._out = {n: at for n, at in self._out.items() if at > sent}
            self._newest = sent
            came, self._came = self._came, asyncio.Event()
            came.set()
        return True

    async def overtaken(self) -> None:
        """Return when a canary that is sent from now on has come back: by then all events of before have been told.

        Not while there is no link, and not soon while events are late.
        """
        asked = self._monotonic()
        while self._newest is None or self._newest < asked:
            await self._came.wait()

    def anew(self) -> None:
        """Forget what is on its way: it will not arrive, or nobody decided anything while it was."""
        self._out.clear()
        self._last = None

    def lag(self) -> Lag:
        """The figures of now."""
        waiting = Micros(self._monotonic() - min(self._out.values())) if self._out else None
        return Lag(
            last=self._last,
            median=Micros(int(statistics.median(self._lags))) if self._lags else None,
            largest=max(self._lags, default=None),
            waiting=waiting,
            count=len(self._lags),
            late=any(each is not None and each > self._bound for each in (self._last, waiting)),
        )
