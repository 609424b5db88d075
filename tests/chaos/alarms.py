"""What an operator sees of an installation: /readyz and /metrics."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

from tests.support.people import read_page
from tests.support.station import Station


def ready(s: Station) -> dict[str, bool]:
    """What /readyz says of each dependency."""
    _, body = read_page(s.settings, "/readyz")
    return {check["name"]: check["ok"] for check in json.loads(body)["checks"]}


async def readiness(s: Station, name: str, ok: bool, within: float = 20.0) -> dict[str, bool]:
    end = time.monotonic() + within
    while True:
        with contextlib.suppress(OSError):
            told = await asyncio.to_thread(ready, s)
            if told.get(name) is ok:
                return told
        assert time.monotonic() < end, f"{name} is not {ok}\n{s.log('sidecar')[-2000:]}"
        await asyncio.sleep(0.2)


def metrics(s: Station) -> dict[str, float]:
    """The samples without labels that /metrics shows."""
    lines = read_page(s.settings, "/metrics")[1].splitlines()
    plain = [line.split() for line in lines if not line.startswith("#") and "{" not in line]
    return {name: float(value) for name, value, *_ in plain}
