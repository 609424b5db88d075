"""The HTTP server: a socket of our own on loopback, and an end that comes within its deadline.

Shutting down goes in this order: live streams end by themselves, open requests may finish, then what is left is cut
at the deadline. Signals are the composition root's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI

from callcore.web.stream import Streams

UNREAD_MS = 30_000
"""A peer that takes nothing for so long is cut off by the kernel (TCP_USER_TIMEOUT, tcp(7)): twice the streams' own
deadline, so that the socket of a client that was let go does not stay."""

CUT_GRACE_S = 1.0
"""For what was cut at the deadline to notice."""


class CannotListen(Exception):
    """Why the server cannot start, in Japanese and English, with what to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address. `port` 0: any free one. Raises `CannotListen`."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        ip = ipaddress.ip_address(address)
        loopback = ip.is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise CannotListen(
            f"{host}: 利用者の認証がまだないため、外部のアドレスでは待ち受けません。127.0.0.1 を指定してください。 / "
            f"{host}: there is no access control yet, so callcore listens on loopback only. Use 127.0.0.1."
        )
    listener = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        listener.bind((str(ip), port))
        listener.listen(128)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotListen(
            f"{host}:{port} で待ち受けできません({error})。別のポートを指定するか、使っている方を止めてください。 / "
            f"cannot listen on {host}:{port} ({error}). Choose another port, or stop what uses it."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the composition root's affair."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


async def serve(
    app: FastAPI,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    shutdown_deadline: float = 5.0,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve `app` until `stop` is set (or this task is cancelled), and be gone `shutdown_deadline` seconds later.

    `started` is told the address once requests are answered. The listener is closed at the end.
    """
    streams: Streams = app.state.streams
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws="none",
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=16_384,
            timeout_graceful_shutdown=max(1, round(shutdown_deadline - CUT_GRACE_S)),
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    asked = asyncio.create_task(stop.wait(), name="http-stop")
    up = asyncio.create_task(server.up.wait(), name="http-up")
    try:
        await asyncio.wait({running, asked, up}, return_when=asyncio.FIRST_COMPLETED)
        if started is not None and server.started:
            started(url_of(listener))
        await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        asked.cancel()
        up.cancel()
        streams.close()
        server.should_exit = True
        await _end(server, running, shutdown_deadline)
        listener.close()


async def _end(server: uvicorn.Server, running: asyncio.Task[None], deadline: float) -> None:
    _, late = await asyncio.wait({running}, timeout=deadline)
    for connection in list(server.server_state.connections):
        transport = getattr(connection, "transport", None)
        if transport is not None:
            transport.abort()
    for task in late:
        task.cancel()
    (ended,) = await asyncio.gather(running, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
