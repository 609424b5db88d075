"""An operator sees that a process was kept from its work."""

from __future__ import annotations

import asyncio
import time

from callcore.runtime.looplag import KEPT_S, LoopLag


def test_the_largest_of_the_last_minute_is_told_and_then_forgotten() -> None:
    now = [0.0]
    lag = LoopLag(lambda: now[0])
    assert lag.largest_s == 0
    for at, late in ((1.0, 0.002), (2.0, 0.9), (3.0, 0.1), (4.0, 0.3), (5.0, 0.0)):
        now[0] = at
        lag.take(late)
    assert lag.largest_s == 0.9
    now[0] = 2.1 + KEPT_S
    assert lag.largest_s == 0.3
    now[0] = 5.1 + KEPT_S
    assert lag.largest_s == 0


async def test_what_keeps_the_loop_is_seen() -> None:
    lag = LoopLag()
    looks = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251  what is tried: a step that keeps everything else
    async with asyncio.timeout(10):
        while not lag.largest_s:
            await asyncio.sleep(0.05)
    assert lag.largest_s >= 0.3
    looks.cancel()
