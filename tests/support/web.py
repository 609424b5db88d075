"""A live source in the hand of a test, and the real server over it on a loopback port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from callcore.access.accounts import Accounts
from callcore.access.rights import Role
from callcore.access.trail import Trail
from callcore.certificate import Certificate
from callcore.domain.ids import Instant
from callcore.domain.inputs import Input
from callcore.runtime.detail import CallReader
from callcore.runtime.erasures import ErasureReader
from callcore.runtime.ports import Beside, CentreGauges, HealthCheck, LiveSource, Seq, View
from callcore.runtime.recordings import RecordingReader
from callcore.telemetry import Exposition
from callcore.web import LOOPBACK_NAMES, Bounds, Pace, Traffic, create_app, listen, serve
from callcore.web.announcements import Told
from callcore.web.gate import Limits
from callcore.web.once import Once
from callcore.web.phones import PhoneFiles
from callcore.web.stream import Streams
from tests.support.floors import Desk
from tests.support.people import Asked, accounts_in, bearer, trail_in

QUICK = Pace(min_gap_s=0.01, keep_alive_s=0.5, freshness_s=0.05)

DEADLINE_S = 60.0


class DeskSource:
    """Keeps the port's contract: the view of a desk, a frame number per step, and a clock that the test sets."""

    def __init__(self, desk: Desk, *, run: int = 1) -> None:
        self.desk = desk
        self.run = run
        self.n = 1
        self.clock = desk.floor.at
        self.stale: float | None = None
        self._turned = asyncio.Event()

    def view(self) -> View:
        return View(Seq(self.run, self.n), self.desk.floor, self.desk.books)

    def now(self) -> Instant:
        return self.clock

    def stale_s(self) -> float | None:
        return self.stale

    async def changed(self, after: Seq) -> View:
        while self.view().seq <= after:
            await self._turned.wait()
        return self.view()

    def turn(self) -> None:
        """One more frame: whatever the desk was told since is now to be seen."""
        self.n += 1
        self.clock = max(self.clock, self.desk.floor.at)
        self._turned.set()
        self._turned = asyncio.Event()

    def tell(self, told: Input) -> None:
        self.desk.tell(told)
        self.turn()


@dataclass
class Served:
    url: str
    port: int
    streams: Streams
    stop: Callable[[], Any]
    app: FastAPI
    accounts: Accounts
    trail: Trail
    orders: Asked
    machine: dict[str, str]
    """The header of a token that may do all that machines may."""


@contextlib.asynccontextmanager
async def served(
    live: LiveSource,
    *,
    health: Sequence[HealthCheck] = (),
    calls: CallReader | None = None,
    phones: PhoneFiles | None = None,
    told: Told | None = None,
    erasures: ErasureReader | None = None,
    recordings: RecordingReader | None = None,
    gauges: Callable[[], dict[str, float]] = dict,
    by_centre: CentreGauges = dict,
    pace: Pace = QUICK,
    beside: Callable[[], Beside] = Beside,
    port: int = 0,
    shutdown_deadline: float = 3.0,
    hosts: frozenset[str] = LOOPBACK_NAMES,
    plain: bool = False,
    certificate: Certificate | None = None,
    proxies: Sequence[str] = (),
    bounds: Bounds | None = None,
    traffic: Traffic | None = None,
    limits: Limits | None = None,
    second_factor: Sequence[Role] = (),
    folder: Path | None = None,
) -> AsyncIterator[Served]:
    """The real server, with users and an audit trail of its own. Leaving the block shuts it down.

    `folder`: where these are kept, for a server that is started again.
    """
    with tempfile.TemporaryDirectory() as fresh:
        place = folder or Path(fresh)
        accounts = accounts_in(place, second_factor=second_factor)
        trail, orders = trail_in(place), Asked()
        app = create_app(
            live,
            accounts=accounts,
            trail=trail,
            orders=orders,
            once=Once(place / "access" / "once.jsonl", time.time),
            limits=limits,
            health=health,
            metrics=Exposition(live, gauges, by_centre),
            calls=calls,
            phones=phones,
            told=told,
            erasures=erasures,
            recordings=recordings,
            pace=pace,
            beside=beside,
            hosts=hosts,
            plain=plain,
        )
        listener = listen("127.0.0.1", port)
        up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(
            serve(
                app,
                listener,
                stop=stop,
                shutdown_deadline=shutdown_deadline,
                started=up.set_result,
                certificate=certificate,
                proxies=proxies,
                bounds=bounds,
                traffic=traffic,
            )
        )

        async def end() -> None:
            stop.set()
            await task

        try:
            url = await asyncio.wait_for(up, DEADLINE_S)
            yield Served(
                url.rstrip("/"),
                listener.getsockname()[1],
                app.state.streams,
                end,
                app,
                accounts,
                trail,
                orders,
                bearer(accounts, f"test{len(accounts.tokens()) or ''}"),
            )
        finally:
            stop.set()
            await asyncio.wait_for(task, DEADLINE_S)


@dataclass
class Event:
    """`live`: its data, the whole floor unless its name says that it is a change."""

    id: str
    live: dict[str, Any]
    name: str


class Stream:
    """A client of the live stream, over a plain socket: it sees what is really on the wire."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = b""

    @classmethod
    async def open(
        cls,
        port: int,
        machine: dict[str, str],
        *,
        last_id: str | None = None,
        query: str = "",
        limit: int = 2**20,
    ) -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
        more = "".join(f"{name}: {value}\r\n" for name, value in machine.items())
        more += "" if last_id is None else f"Last-Event-ID: {last_id}\r\n"
        writer.write(
            f"GET /api/v1/live/stream{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode()
        )
        await writer.drain()
        stream = cls(reader, writer)
        stream.head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        return stream

    async def next(self) -> Event:
        """The next event; IncompleteReadError when the stream has ended."""
        id_, name, data = "", "", None
        async with asyncio.timeout(DEADLINE_S):
            while data is None:
                line = await self._reader.readuntil(b"\n")
                if line.startswith(b"id: "):
                    id_ = line[4:].decode().strip()
                elif line.startswith(b"event: "):
                    name = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    data = json.loads(line[6:])
        return Event(id_, data, name)

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        return await asyncio.wait_for(self._reader.read(-1), DEADLINE_S)

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
