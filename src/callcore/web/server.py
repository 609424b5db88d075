"""The HTTP server: a socket of our own, TLS where there is a certificate, and an end that comes within its deadline.

Beyond loopback nobody listens without having said why that is right (`beyond`): over TLS, or because the settings say
in so many words that passwords may travel unencrypted.

Headers in which a proxy tells for whom it asks, and how (`X-Forwarded-For`, `X-Forwarded-Proto`), are believed from
the listed addresses only; from anybody else they are as if they had not been sent. `Forwarded` and
`X-Forwarded-Host` are believed from nobody: a proxy hands the Host on.

Shutting down goes in this order: live streams end by themselves, open requests may finish, then what is left is cut
at the deadline. Signals are the composition root's affair.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from fastapi import FastAPI

from callcore.certificate import Certificate
from callcore.web.connection import Bounds, Connection, Traffic
from callcore.web.stream import Streams

UNREAD_MS = 30_000
"""A peer that takes nothing for so long is cut off by the kernel (TCP_USER_TIMEOUT, tcp(7)): twice the streams' own
deadline, so that the socket of a client that was let go does not stay."""

CUT_GRACE_S = 1.0
"""For what was cut at the deadline to notice, and for a TLS connection's farewell."""

BACKLOG = 128


class CannotListen(Exception):
    """Why the server cannot start, in Japanese and English, with what to do."""


def listen(host: str, port: int, *, beyond: bool = False) -> socket.socket:
    """A listening socket on an address of this machine. `port` 0: any free one. Raises `CannotListen`.

    `beyond`: whether that may be another one than loopback. `::` listens to IPv6 only.
    """
    try:
        ip = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise CannotListen(
            f"「{host}」は IP アドレスではありません。CALLCORE_WEB_HOST に 127.0.0.1 などを指定してください。 / "
            f"{host!r} is not an address. Give CALLCORE_WEB_HOST one, such as 127.0.0.1."
        ) from None
    if not (ip.is_loopback or beyond):
        raise CannotListen(
            f"{host}: TLS なしでは外部のアドレスで待ち受けません。証明書を設定するか、127.0.0.1 を指定してください。 / "
            f"{host}: callcore listens beyond loopback over TLS only. Set a certificate, or use 127.0.0.1."
        )
    listener = socket.socket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ip.version == 6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # a peer has one form of address
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MS)
        listener.bind((str(ip), port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotListen(
            f"{host}:{port} で待ち受けできません({error})。別のポートを指定するか、使っている方を止めてください。 / "
            f"cannot listen on {host}:{port} ({error}). Choose another port, or stop what uses it."
        ) from error
    return listener


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    host, port = listener.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        certificate: Certificate | None,
        bounds: Bounds,
        traffic: Traffic,
    ) -> None:
        super().__init__(config)
        self.up = asyncio.Event()
        self._listener = listener
        self._certificate = certificate
        self._bounds = bounds
        self._traffic = traffic

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the composition root's affair."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """In place of uvicorn's own, which knows no bound for the TLS handshake and no connections but its own."""
        await self.lifespan.startup()
        tls = self._certificate is not None
        self.servers = [
            await asyncio.get_running_loop().create_server(
                lambda: Connection(
                    self.config, self.server_state, self.lifespan.state, self._bounds, self._traffic
                ),
                sock=self._listener,
                backlog=BACKLOG,
                ssl=None if self._certificate is None else self._certificate.context,
                ssl_handshake_timeout=self._bounds.head_s if tls else None,
                ssl_shutdown_timeout=CUT_GRACE_S if tls else None,
            )
        ]
        self.started = True
        self.up.set()


async def serve(
    app: FastAPI,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    shutdown_deadline: float = 5.0,
    started: Callable[[str], None] | None = None,
    certificate: Certificate | None = None,
    proxies: Sequence[str] = (),
    bounds: Bounds | None = None,
    traffic: Traffic | None = None,
) -> None:
    """Serve `app` until `stop` is set (or this task is cancelled), and be gone `shutdown_deadline` seconds later.

    `started` is told the address once requests are answered. The listener is closed at the end. `certificate`: over
    TLS, and renewals are taken in. `proxies`: the addresses and networks whose word about their clients is believed.
    `traffic` is filled with what the connections come to.
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
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            timeout_graceful_shutdown=max(1, round(shutdown_deadline - CUT_GRACE_S)),
        ),
        listener,
        certificate,
        bounds or Bounds(),
        traffic or Traffic(),
    )
    running = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    asked = asyncio.create_task(stop.wait(), name="http-stop")
    up = asyncio.create_task(server.up.wait(), name="http-up")
    beside: list[asyncio.Task[Any]] = [asked, up]
    ends: set[asyncio.Task[Any]] = {running, asked}
    if certificate is not None:
        renewing = asyncio.create_task(certificate.keep(), name="certificate")
        beside.append(renewing)
        ends.add(renewing)
    try:
        await asyncio.wait({*ends, up}, return_when=asyncio.FIRST_COMPLETED)
        if started is not None and server.started:
            started(url_of(listener, tls=certificate is not None))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in beside:
            task.cancel()
        streams.close()
        server.should_exit = True
        await _end(server, running, shutdown_deadline)
        listener.close()
        for task in beside:
            if task.done() and not task.cancelled():
                task.result()


async def _end(server: uvicorn.Server, running: asyncio.Task[None], deadline: float) -> None:
    _, late = await asyncio.wait({running}, timeout=deadline)
    for connection in list(server.server_state.connections):
        assert isinstance(connection, Connection)
        connection.cut()
    for task in late:
        task.cancel()
    (ended,) = await asyncio.gather(running, return_exceptions=True)
    if isinstance(ended, Exception):
        raise ended
