"""Watching one node: a look at all of it after each login, and another every ten seconds.

The first look of a link says what was missed, with what CEL tells of it; the later ones find what was lost on the way.
Each list comes through the link's inbox, at its place among the events, and is handed on as inputs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from callcore.ami import cel, snapshot
from callcore.ami.link import Link, LinkUp, ListCompleted
from callcore.ami.wire import AmiError, Event
from callcore.domain import inputs as i
from callcore.domain.floor import UNNOTICED_S, Floor
from callcore.domain.ids import SECOND, Instant, NodeId

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 10.0
"""Between two looks at all of Asterisk's channels."""
JUDGE_AFTER_S = 1.0
"""A look is judged so long after it was taken, or later: once all events that were under way have come."""
VOID_AFTER_S = 30.0
"""A look that old is not judged any more: while events are so late, nothing of now is known."""
AGAIN_S = 0.5
"""Before a first look that failed is asked for again."""
FIRST_AGAIN_S = 3.0
"""Before a first look that the core could not take is repeated."""
CEL_LOOKS, CEL_LOOK_EVERY_S = 10, 0.1
"""CEL writes milliseconds after the event; a second is far beyond that."""

FIRST, LATER = "first", "look"


class Watch:
    """`floor` is the floor as it is when asked, `tell` takes inputs, `aside` runs work beside the reader."""

    def __init__(
        self,
        link: Link,
        node: NodeId,
        cel_file: Path,
        *,
        floor: Callable[[], Floor],
        now: Callable[[], Instant],
        tell: Callable[[i.Input], None],
        aside: Callable[[Coroutine[Any, Any, None]], None],
        contacts: Callable[[tuple[Event, ...], bool], None],
        overtaken: Callable[[], Awaitable[None]],
        alone: Callable[[], Awaitable[bool]],
        tests: Callable[[str, str | None], bool],
    ) -> None:
        """`contacts` takes all that is registered, and whether this is a link's first look: before the phones' states.

        `overtaken` returns when all events that were under way as it was asked have been told.

        `alone` says whether no other engine decides; a link's first look is not taken while one does, so that nothing
        is decided by it. May raise AmiError. `tests` says of a number and a caller whether that is a test call.
        """
        self.generation = 0
        """Of the link; what a former one asked for is void."""
        self._link = link
        self._node = node
        self._cel_file = cel_file
        self._floor = floor
        self._now = now
        self._tell = tell
        self._aside = aside
        self._contacts = contacts
        self._overtaken = overtaken
        self._alone = alone
        self._tests = tests
        self._members: tuple[i.Member, ...] = ()

    def link_up(self, up: LinkUp) -> None:
        self.generation = up.generation
        self._aside(self._photograph(FIRST, up.generation))

    def look_first_again(self) -> None:
        """The first look was not taken: another one, a while later, when the floor that it showed has changed."""
        self._aside(self._photograph(FIRST, self.generation, after_s=FIRST_AGAIN_S))

    def look_now(self) -> None:
        """Take a later look at once."""
        if self._floor().linked:
            self._aside(self._photograph(LATER, self.generation))

    async def run(self) -> None:
        """The later looks, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._floor().linked:
                await self._photograph(LATER, self.generation)

    async def _photograph(self, tag: str, generation: int, after_s: float = 0.0) -> None:
        """Ask for the lists; they come through the inbox. A first one is asked for until it succeeds."""
        if after_s:
            await asyncio.sleep(after_s)
        while generation == self.generation:
            try:
                if tag == FIRST and not await self._alone():
                    return
                await snapshot.request(self._link, f"{tag}:{generation}", self._nobody)
                return
            except AmiError as error:
                log.warning("no snapshot", why=str(error))
                if tag != FIRST:
                    return
                await asyncio.sleep(AGAIN_S)

    def _nobody(self, tag: str) -> None:
        """Nothing is registered."""
        what, _, generation = tag.partition(":")
        if generation == str(self.generation):
            self._contacts((), what == FIRST)

    async def listed(self, item: ListCompleted) -> bool:
        """Take one list from the inbox. True when with it a link's first look was told."""
        head, _, what = item.tag.partition("/")
        tag, _, generation = head.partition(":")
        if generation != str(self.generation):
            return False
        now = self._now()
        if what == snapshot.CONTACTS:
            self._contacts(item.events, tag == FIRST)
        elif what == snapshot.DEVICES:
            for phone, device in snapshot.devices(item.events):
                self._tell(i.DeviceReported(at=now, phone=phone, device=device))
        elif what == snapshot.MEMBERS:
            self._members = snapshot.members(item.events)
        elif what == snapshot.CHANNELS:
            first = tag == FIRST
            channels = tuple(
                # Made by a clock that was set back since: it is no younger than the step.
                replace(
                    c,
                    created=Instant(now - round(LOOK_EVERY_S * SECOND)) if c.created > now else c.created,
                    test=c.number is not None and self._tests(c.number, c.caller),
                )
                for c in snapshot.channels(item.events)
            )
            if first:
                channels = await snapshot.holds(self._link, channels)
            traces, sides = await self._retrace({c.id for c in channels}) if first else ((), ())
            seen = i.Snapshot(
                at=now,
                node=self._node,
                first=first,
                channels=channels,
                devices=(),
                members=self._members,
                traces=traces,
                sides=sides,
            )
            if first:
                self._tell(seen)
                return True
            self._aside(self._judge(seen, self.generation))
        return False

    async def _judge(self, seen: i.Snapshot, generation: int) -> None:
        try:
            async with asyncio.timeout(VOID_AFTER_S):
                await asyncio.gather(asyncio.sleep(JUDGE_AFTER_S), self._overtaken())
        except TimeoutError:
            log.warning("a look at Asterisk is not judged: events are too late", after_s=VOID_AFTER_S)
            return
        if generation == self.generation and self._floor().linked:
            self._tell(seen)

    async def _retrace(
        self, present: Collection[str]
    ) -> tuple[tuple[i.CallTraced, ...], tuple[i.SideTraced, ...]]:
        """The traces, once CEL has told the end of every call whose channel is gone.

        It writes a moment after the event. An end that does not come went with Asterisk itself.
        """
        for _ in range(CEL_LOOKS):
            traces, sides = await asyncio.to_thread(self._traces, self._floor())
            told = {t.call for t in traces if t.ended is not None}
            told |= {side.call for side in sides if side.ended is not None}
            known = (*self._floor().calls, *self._floor().sides)
            if all(call in told or call in present for call in known):
                break
            await asyncio.sleep(CEL_LOOK_EVERY_S)
        return traces, sides

    def _traces(self, floor: Floor) -> tuple[tuple[i.CallTraced, ...], tuple[i.SideTraced, ...]]:
        """What CEL tells of the calls that are open, and of those that came when nobody watched."""
        since, stepped_at, by = floor.unwitnessed_since(), floor.stepped_at, floor.stepped_by
        # What is older than a step ahead has lower stamps than it; after one back it has higher ones for a while.
        concerns = stepped_at is not None and (by < 0 or since < stepped_at)
        lines = cel.read_since(self._cel_file, Instant(min(since, since - by)) if concerns else since)
        if stepped_at is not None and concerns:
            lines = cel.on_the_clock(lines, self._now(), stepped_at, by)
        # An old open call makes old lines come along; what ended long ago is in the books already.
        new = floor.watched_until - UNNOTICED_S * SECOND
        return (
            tuple(
                replace(t, test=self._tests(t.number, t.caller))
                for t in cel.traces(lines)
                if t.call in floor.calls or t.arrived >= new
            ),
            tuple(t for t in cel.sides(lines) if t.call in floor.sides or t.began >= new),
        )
