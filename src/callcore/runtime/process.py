"""One process's life: an event loop, two signals that ask for the end, and a status."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable

import structlog
import uvloop

log = structlog.get_logger(__name__)


FINAL_STATUS = 78
"""EX_CONFIG of sysexits(3): starting it again would end the same way until a person has done something."""
SUPERSEDED_STATUS = 77
"""Another process has its work: starting it again would do harm."""


def run_process(
    body: Callable[[asyncio.Event], Awaitable[int | None]],
    *,
    fast: bool = True,
    final: tuple[type[Exception], ...] = (),
    told: tuple[type[Exception], ...] = (),
    superseded: tuple[type[Exception], ...] = (),
) -> int:
    """Run one process's body until SIGINT or SIGTERM; 1 when it failed, with the reason in the log.

    The body's own status is the process's. `final`: what does not mend by itself; its message is for a person, and
    the status is `FINAL_STATUS`. `told`: likewise, but it goes on by itself once that was done: started again it looks
    anew, and the status is 1. `superseded`: likewise, and it must not be started again: `SUPERSEDED_STATUS`. `fast`:
    under uvloop, which cannot set a child's umask; who starts processes takes the loop of the library.
    """

    async def live() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        return await body(stop) or 0

    with contextlib.suppress(KeyboardInterrupt):
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop if fast else None) as runner:
                return runner.run(live())
        except final as error:
            log.critical("process cannot start", why=str(error))
            return FINAL_STATUS
        except superseded as error:
            log.critical("process cannot go on", why=str(error))
            return SUPERSEDED_STATUS
        except told as error:
            log.critical("process cannot start", why=str(error))
            return 1
        except Exception as error:
            log.critical("process failed", why=f"{type(error).__name__}: {error}", exc_info=True)
            return 1
    return 0
