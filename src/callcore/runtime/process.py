"""One process's life: an event loop, two signals that ask for the end, and a status."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)


def run_process(body: Callable[[asyncio.Event], Any]) -> int:
    """Run one process's body under uvloop until SIGINT or SIGTERM; 1 when it failed, with the reason in the log."""
    import uvloop

    async def live() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await body(stop)

    with contextlib.suppress(KeyboardInterrupt):
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live())
        except Exception as error:
            log.critical("process failed", why=f"{type(error).__name__}: {error}", exc_info=True)
            return 1
    return 0
