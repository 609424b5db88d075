"""The live stream: Server-Sent Events, each one the whole floor, or what changed of it for who asks for changes.

Rules
- An event `live` is complete, and the first one is, so nothing needs to be repeated to who comes back. An event
  `change` makes what the client was sent last into what is now. The id is the `seq` of the floor that it shows.
- Who comes back says what was seen last (`Last-Event-ID`). The first event is the present floor, at once, unless it is
  still before that: a sidecar that has started again and reads the journal would show the past as new. Then it comes as
  soon as that place is reached, and after `keep_alive_s` in any case: the id may be of another installation, or of a
  journal that was restored.
- The next one follows when the floor or the engine's freshness changed, at the earliest after `min_gap_s`, and at the
  latest after `keep_alive_s`, so that silence means a broken connection.
- A client that reads slowly gets the newest floor when it is ready for it; what it missed is not kept. One that does
  not read at all is let go after `send_deadline_s`.
- All clients who may see the same share one rendering, made once in `min_gap_s`, and what changed between two.
- Whoever may see it no longer (signed out, switched off, another role) is let go at the next event.
- `close()` ends every stream at once; the server calls it before it shuts its sockets.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callcore.domain.day import Days
from callcore.runtime.ports import Beside, LiveSource, Seq
from callcore.web import show
from callcore.web.changes import change
from callcore.web.show import Rows, Sight

SEQ = re.compile(r"([0-9]{1,12})\.([0-9]{1,18})", re.ASCII)
"""An event's id, as `str(Seq)` writes it."""

SIGHTS_KEPT = 64
"""Renderings kept: one for each set of centres that people of an installation have."""

CONTENT_TYPE = b"text/event-stream; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how patiently. Lengths in seconds."""

    min_gap_s: float = 0.1
    keep_alive_s: float = 5.0
    freshness_s: float = 1.0
    """How often the engine's sign of life is looked at between two events."""
    send_deadline_s: float = 15.0
    """Three keep-alives. A board that takes nothing for so long is not being looked at."""
    reconnect_ms: int = 1000
    """What a browser waits before it comes back."""
    streams: int = 64
    """At most so many at once; a hall has a few boards."""


class Shot:
    """One rendering."""

    def __init__(self, seq: Seq, fresh: bool, picture: dict[str, Any]) -> None:
        self.seq = seq
        self.fresh = fresh
        self._picture = picture
        self._made = time.monotonic()
        self._changes: WeakKeyDictionary[Shot, bytes] = WeakKeyDictionary()

    @property
    def age(self) -> float:
        """Seconds."""
        return time.monotonic() - self._made

    @cached_property
    def body(self) -> bytes:
        return msgspec.json.encode(self._picture)

    def event(self, sent: Shot | None = None) -> bytes:
        """The whole; for a client that was `sent` another one, what is different now."""
        if sent is None:
            return self._event(b"live", self.body)
        if sent not in self._changes:
            self._changes[sent] = self._since(sent)
        return self._event(b"change", self._changes[sent])

    def _since(self, sent: Shot) -> bytes:
        old, new = sent._picture, self._picture
        told = {"seq": new["seq"], "at": new["at"], "from": {"seq": old["seq"], "at": old["at"]}}
        return msgspec.json.encode(told | {"change": change(old, new) or {"in": {}}})

    def _event(self, name: bytes, data: bytes) -> bytes:
        return b"event: " + name + b"\nid: " + str(self.seq).encode() + b"\ndata: " + data + b"\n\n"


def seen_last(told: str | None) -> Seq | None:
    """What an id names; None for none and for what is none of ours."""
    found = None if told is None else SEQ.fullmatch(told)
    return None if found is None else Seq(int(found[1]), int(found[2]))


class TooManyStreams(Exception):
    """The bound on open streams is reached."""


class Streams:
    """Every open stream of one application, and the rendering they share."""

    def __init__(self, live: LiveSource, pace: Pace, beside: Callable[[], Beside] = Beside) -> None:
        self.live = live
        self.pace = pace
        self._beside = beside
        self._days = Days()
        self._rows: dict[Sight, Rows] = {}
        self.open = 0
        self.let_go = 0
        """Clients that were dropped because they did not read."""
        self._closing = asyncio.Event()
        self._last: dict[Sight, Shot] = {}

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        self._closing.set()

    def shot(self, sight: Sight, sent: Shot | None = None) -> Shot:
        """The floor now, as far as it may be seen; for who was `sent` a rendering already, one that is newer than that
        and younger than the gap between events."""
        view, now, stale = self.live.view(), self.live.now(), self.live.stale_s()
        last = self._last.get(sight)
        if (
            last is not None
            and (last.seq == view.seq or (sent is not None and sent.seq < last.seq))
            and last.fresh == (stale is None)
            and last.age < self.pace.min_gap_s
        ):
            return last
        if len(self._last) >= SIGHTS_KEPT:
            self._last.clear()
            self._rows.clear()
        rows = self._rows.setdefault(sight, Rows())
        picture = rows.as_json(show.live(view, now, stale, sight, self._beside(), self._days, rows))
        shot = Shot(view.seq, stale is None, picture)
        self._last[sight] = shot
        return shot

    def admit(
        self, sight: Callable[[], Sight | None], seen: Seq | None = None, *, changes: bool = False
    ) -> LiveStream:
        """A new stream; raises `TooManyStreams`.

        `sight` is asked before each event; None: not any more. `seen`: what the client was shown last. `changes`: after
        the first event it is sent what changed.
        """
        if self.closing or self.open >= self.pace.streams:
            raise TooManyStreams
        return LiveStream(self, sight, seen, changes)

    def until_closing(self) -> Coroutine[Any, Any, bool]:
        return self._closing.wait()


class LiveStream(Response):
    """One client's stream."""

    def __init__(
        self, streams: Streams, sight: Callable[[], Sight | None], seen: Seq | None, changes: bool
    ) -> None:
        super().__init__()
        self._streams = streams
        self._changes = changes
        self._sight = sight
        self._seen = seen
        self._pace = streams.pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams = self._streams
        streams.open += 1
        # Whichever comes first ends the stream: the client goes, or the server closes.
        over: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(_gone(receive)),
            asyncio.ensure_future(streams.until_closing()),
        }
        try:
            await self._run(send, over)
        except TimeoutError:
            streams.let_go += 1
        finally:
            streams.open -= 1
            await _drop(*over)

    async def _run(self, send: Send, over: set[asyncio.Future[Any]]) -> None:
        headers = [(b"content-type", CONTENT_TYPE), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._until_reached(over)
        lead = f"retry: {self._pace.reconnect_ms}\n\n".encode()
        shot: Shot | None = None
        while not _any_done(over) and (sight := self._sight()) is not None:
            sent, shot = shot, self._streams.shot(sight, shot)
            body = lead + shot.event(sent if self._changes else None)
            async with asyncio.timeout(self._pace.send_deadline_s):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            lead = b""
            # From when it was made: so all who see the same come for the next one at the same instant.
            gap = max(0.0, self._pace.min_gap_s - shot.age)
            await asyncio.wait(over, timeout=gap, return_when=asyncio.FIRST_COMPLETED)
            if not _any_done(over):
                await self._until_due(shot, over)
        async with asyncio.timeout(self._pace.send_deadline_s):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _until_reached(self, over: set[asyncio.Future[Any]]) -> None:
        """Until the floor is where the client has been already, the patience is over, or the stream is."""
        live, seen = self._streams.live, self._seen
        if seen is None or live.view().seq >= seen:
            return
        reached = asyncio.ensure_future(live.changed(Seq(seen.run, seen.n - 1)))
        try:
            await asyncio.wait(
                {reached, *over}, timeout=self._pace.keep_alive_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _drop(reached)

    async def _until_due(self, last: Shot, over: set[asyncio.Future[Any]]) -> None:
        """Until there is something to say, it is time for a keep-alive, or the stream is over."""
        live = self._streams.live
        clock = asyncio.get_running_loop().time
        end = clock() + self._pace.keep_alive_s - self._pace.min_gap_s
        changed = asyncio.ensure_future(live.changed(last.seq))
        try:
            while (left := end - clock()) > 0:
                done, _ = await asyncio.wait(
                    {changed, *over},
                    timeout=min(left, self._pace.freshness_s),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if changed in done:
                    changed.result()  # whatever went wrong there ends this stream; the board comes back
                if done or (live.stale_s() is None) != last.fresh:
                    return
        finally:
            await _drop(changed)


def _any_done(futures: set[asyncio.Future[Any]]) -> bool:
    return any(future.done() for future in futures)


async def _drop(*futures: asyncio.Future[Any]) -> None:
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
