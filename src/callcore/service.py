"""What the supervisor tells systemd: that all is started, that it lives, that it stops (sd_notify(3)).

Without systemd nothing is told. The watchdog watches the supervisor alone (ADR 46).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

import structlog

log = structlog.get_logger(__name__)

READY, ALIVE, STOPPING = "READY=1", "WATCHDOG=1", "STOPPING=1"


@dataclass(frozen=True, slots=True)
class Service:
    """`address`: systemd's socket; `watchdog_s`: within how many seconds it wants a sign of life. None: not wanted."""

    address: str | None = None
    watchdog_s: float | None = None

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> Service:
        """Its variables are taken away: what we start must not speak for us."""
        address = environment.pop("NOTIFY_SOCKET", None)
        asked, pid = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        meant = asked.isdigit() and int(asked) > 0 and pid in ("", str(os.getpid()))
        return cls(address, int(asked) / 1e6 if meant else None)

    def tell(self, state: str) -> None:
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto(state.encode(), address)
        except OSError as error:
            log.warning("systemd was not told", state=state, why=str(error))

    async def alive(self) -> None:
        """Give signs of life, three within each watchdog's time, until cancelled."""
        while self.watchdog_s is not None:
            self.tell(ALIVE)
            await asyncio.sleep(self.watchdog_s / 3)
        await asyncio.Event().wait()
