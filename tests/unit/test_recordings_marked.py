"""Marks of recordings, asked of the engine: who may, what is written down, and what is kept apart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from callcore.access.rights import Right
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain.ids import after, seconds
from callcore.domain.recording import RecordingMark
from callcore.runtime.commands import Refused
from callcore.runtime.loop import Loop
from callcore.runtime.markdesk import MarkDesk
from tests.unit.test_timers_and_asking import BY, Pen, staffed

OLD = {"call": "node1-1795136400.9", "centre": "demo"}
"""Of months ago: the floor knows nothing of it."""


@asynccontextmanager
async def deciding() -> AsyncIterator[tuple[MarkDesk, Pen, list[e.Effect]]]:
    floor, pen, done = staffed(), Pen(), list[e.Effect]()

    async def perform(effect: e.Effect) -> None:
        done.append(effect)

    loop = Loop(floor, pen, perform, lambda: after(floor.at, seconds(1)))
    task = asyncio.create_task(loop.run())
    try:
        yield MarkDesk(loop, lambda: after(floor.at, seconds(1))), pen, done
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_mark_of_a_call_of_long_ago_is_written_down_with_who_asked_and_a_threat_is_kept_apart() -> (
    None
):
    async with deciding() as (desk, pen, done):
        mark, unreport = (desk.commands[name] for name in ("recording_mark", "recording_unreport"))
        assert (mark.right, unreport.right) == (Right.SUPERVISE, Right.ERASE)
        assert mark.about(OLD) == ("demo", None)
        assert (await mark.handler(OLD | {"mark": "complaint", "set": False}, BY))["done"]
        assert not any(isinstance(each, e.ProtectRecording) for each in done)
        assert (await mark.handler(OLD | {"mark": "abuse", "set": True}, BY))["done"]
        assert (await unreport.handler(OLD, BY))["done"]
        assert not (await mark.handler(OLD | {"mark": "relay", "centre": "elsewhere"}, BY))["done"]
        for wrong in ({"mark": "x"}, {"mark": "abuse", "set": False}):
            with pytest.raises(Refused):
                await mark.handler(OLD | wrong, BY)
        told = [fact for fact in pen.written if isinstance(fact, f.RecordingMarked)]
    assert [(x.mark, x.on, x.by, x.call) for x in told] == [
        (RecordingMark.COMPLAINT, False, BY.id, OLD["call"]),
        (RecordingMark.ABUSE, True, BY.id, OLD["call"]),
        (RecordingMark.ABUSE, False, BY.id, OLD["call"]),
    ]
    assert [each.call for each in done if isinstance(each, e.ProtectRecording)] == [OLD["call"]]
