"""A real Prometheus that scrapes one installation every second, and what it has written down of each scrape."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from callcore.domain.ids import Instant
from callcore.runtime.ports import Seq

STOP_S = 10.0
EVERY_S = 1
Series = tuple[str, tuple[tuple[str, str], ...]]
"""A metric's name, and its labels in order; without those that Prometheus adds."""
OF_PROMETHEUS = {"__name__", "instance", "job"}


@dataclass(frozen=True, slots=True)
class Scrape:
    """One scrape as Prometheus kept it."""

    taken_at: float
    """Epoch seconds."""
    values: Mapping[Series, float]

    @property
    def seq(self) -> Seq:
        return Seq(
            int(self.values["callcore_journal_run", ()]), int(self.values["callcore_journal_frame", ()])
        )

    @property
    def judged_at(self) -> Instant:
        """The instant that the figures were made for."""
        return Instant(round(self.values["callcore_figures_at_seconds", ()] * 1000) * 1000)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, port: int, machine: Mapping[str, str]) -> AsyncIterator[str]:
    """A Prometheus that scrapes this port as this machine; its own port is a free one. Gives its address."""
    binary = shutil.which("prometheus")
    assert binary, "apt install prometheus"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    config = folder / "prometheus.yml"
    config.write_text(
        f"scrape_configs:\n- job_name: callcore\n  scrape_interval: {EVERY_S}s\n  scrape_timeout: {EVERY_S}s\n"
        f"  static_configs:\n  - targets: ['127.0.0.1:{port}']\n"
        f"  authorization:\n    credentials: {machine['authorization'].split()[1]}\n"
    )
    process = await asyncio.create_subprocess_exec(
        binary,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), STOP_S)


async def scrapes(url: str, back_s: int) -> list[Scrape]:
    """Every sample of the last `back_s` seconds, scrape by scrape, oldest first; none while Prometheus is not ready."""
    async with httpx.AsyncClient(timeout=30) as client:
        try:
            answer = await client.get(
                f"{url}/api/v1/query", params={"query": f'{{__name__=~"callcore_.+"}}[{back_s}s]'}
            )
        except httpx.TransportError:
            return []
    if answer.status_code != 200:
        return []
    found: dict[float, dict[Series, float]] = {}
    for row in answer.json()["data"]["result"]:
        labels = tuple(sorted((k, v) for k, v in row["metric"].items() if k not in OF_PROMETHEUS))
        for at, value in row["values"]:
            found.setdefault(at, {})[row["metric"]["__name__"], labels] = float(value)
    return [Scrape(at, values) for at, values in sorted(found.items())]


async def scrape_seconds(url: str, back_s: int) -> list[float]:
    """How long each scrape of the last `back_s` seconds took, sorted."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(
            f"{url}/api/v1/query", params={"query": f"scrape_duration_seconds[{back_s}s]"}
        )
    return sorted(float(value) for row in answer.json()["data"]["result"] for _, value in row["values"])
