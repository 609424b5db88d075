"""Under systemd: it hears when all is started, that the supervisor lives, and that it stops; without systemd nobody."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from callcore.service import ALIVE, READY, STOPPING, Service
from callcore.supervisor import Child, supervise

CHILD = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
async def test_systemd_hears_of_start_life_and_stop(tmp_path: Path, abstract: bool) -> None:
    shown = f"@callcore-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{shown[1:]}" if abstract else shown)
        systemd.setblocking(False)
        environment = {"NOTIFY_SOCKET": shown, "WATCHDOG_USEC": "90000", "WATCHDOG_PID": str(os.getpid())}
        service = Service.taken_from(environment)
        assert environment == {}, "what it starts does not speak for it"
        stop, heard = asyncio.Event(), []
        children = [Child("child", CHILD, {})]
        running = asyncio.create_task(supervise(children, None, stop, say=lambda _: None, service=service))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            while heard.count(ALIVE) < 3:
                heard.append((await loop.sock_recv(systemd, 100)).decode())
            stop.set()
            assert await running == 0
            while heard[-1] != STOPPING:
                heard.append((await loop.sock_recv(systemd, 100)).decode())
    assert heard[0] == READY
    assert set(heard) == {READY, ALIVE, STOPPING}


async def test_without_systemd_and_without_a_watchdog_nothing_is_told() -> None:
    assert Service.taken_from({}) == Service()
    assert Service.taken_from({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).watchdog_s is None, "not ours"
    assert Service.taken_from({"WATCHDOG_USEC": "rubbish"}).watchdog_s is None
    Service().tell(READY)
    Service("/nowhere/notify").tell(READY)  # systemd is away: the telephones go on
    alive = asyncio.create_task(Service().alive())
    await asyncio.sleep(0)
    assert not alive.done()
    alive.cancel()
