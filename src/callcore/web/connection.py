"""One connection of a client, with the bounds that HTTP itself does not set.

- While no request of it is being answered, a connection has `head_s` seconds to bring the next whole head, counted
  from its first byte (a new connection: from its beginning). Between two requests it may be silent for uvicorn's
  keep-alive. What a body may take is the guard's affair.
- Head and address have a largest size. What is no HTTP, too long or too slow is answered as a problem, and the
  connection ends; what still comes for `linger_s` is thrown away, or the answer might be lost with it (RFC 9112, 9.6).
- When all places are taken, the connection that has been waiting longest without a request gives way to a new one: who
  opens connections and says nothing cannot keep anybody out.
- Who does not take an answer is let go: of what stands in the buffer, some must go within each `flush_s`.

Peers that misbehave are counted, not logged: a log line for each would be a way to fill the disk.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from callcore.web import problems
from callcore.web.problems import Kind


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds, bytes, and how many at once."""

    head_s: float = 10.0
    """For a request's head, and for the TLS handshake. A person's browser needs well below a second."""
    linger_s: float = 1.0
    flush_s: float = 20.0
    """Longer than the streams' own deadline, which counts whom it let go."""
    flush_least: int = 4096
    """Bytes within `flush_s`: slower than 2 kbit/s nobody looks at a page."""
    head_most: int = 16 * 1024
    url_most: int = 8 * 1024
    connections: int = 512
    """64 boards, a hall of browsers with six connections each, machines. Well below a process's usual 1,024 files."""


@dataclass(slots=True)
class Traffic:
    """What the connections of one server have come to, since its start; `idle` are those that ask for nothing now."""

    idle: dict[Connection, None] = field(default_factory=dict)
    open: int = 0
    refused: int = 0
    slow: int = 0
    crowded_out: int = 0

    def gauges(self) -> dict[str, float]:
        return {
            "sidecar_connections": float(self.open),
            "sidecar_connections_refused": float(self.refused),
            "sidecar_connections_slow": float(self.slow),
            "sidecar_connections_crowded_out": float(self.crowded_out),
        }


class _TooMuch(Exception):
    """Ends the parsing of a head that is too large."""


class Connection(HttpToolsProtocol):
    def __init__(
        self, config: Config, state: ServerState, app_state: dict[str, Any], bounds: Bounds, traffic: Traffic
    ) -> None:
        super().__init__(config, state, app_state)
        self._bounds = bounds
        self._traffic = traffic
        self._due: asyncio.TimerHandle | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._head = 0
        """Bytes received for the head that is not complete yet."""
        self._fields = 0
        """Bytes of the head's fields that are complete."""
        self._in_body = False
        self._refused = False
        self._verdict = problems.REFUSED

    # -- the connection -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        traffic = self._traffic
        traffic.open += 1
        if len(self.connections) > self._bounds.connections:
            traffic.crowded_out += 1
            if not traffic.idle:
                self.cut()
                return
            next(iter(traffic.idle)).give_way()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._traffic.open -= 1
        self._head_is_there()
        if self._flush is not None:
            self._flush.cancel()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def give_way(self) -> None:
        self.connections.discard(self)  # at once: the loop's word of the end comes later
        self.cut()

    def cut(self) -> None:
        """End it at once. Answers that are under way have nobody left to go to."""
        self._head_is_there()
        self.pipeline.clear()
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        if self._due is None and not self._answering:
            self._await_head()
        if not self._in_body:
            self._head += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # answered as if it had not been asked (RFC 9110, 7.8)
        except httptools.HttpParserError:
            self._refuse(self._verdict)
        else:
            if not self._in_body and self._head > self._bounds.head_most:
                self._refuse(problems.HEADERS_TOO_LARGE)

    # -- the parser ---------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._bounds.url_most:
            self._verdict = problems.URL_TOO_LONG
            raise _TooMuch

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += len(name) + len(value) + 4
        if self._fields > self._bounds.head_most:
            self._verdict = problems.HEADERS_TOO_LARGE
            raise _TooMuch
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._head_is_there()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_flush()
        if not self.transport.is_closing() and not self._answering:
            self._traffic.idle[self] = None
            if self._in_body:
                self._await_head()  # the rest of a body that nobody wanted

    # -- the bounds ---------------------------------------------------------------------------------------

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._traffic.idle[self] = None
        if self._due is None:
            self._due = self.loop.call_later(self._bounds.head_s, self._too_slow)

    def _head_is_there(self) -> None:
        self._traffic.idle.pop(self, None)
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_slow(self) -> None:
        self._due = None
        self._traffic.slow += 1
        if self._head and not self._in_body:
            self._refuse(problems.TOO_SLOW)
        else:
            self.transport.close()
            self._watch_flush()

    def _refuse(self, kind: Kind) -> None:
        """Answer what is no request, and end the connection. An answer that is under way is broken off."""
        self._head_is_there()
        if self.transport.is_closing():
            return
        self._traffic.refused += 1
        if self._answering:
            if self.pipeline or self.cycle.response_started or not self._in_body:
                self.cut()
                return
            self.cycle.disconnected = True  # whoever waits for its body is told that there is no more
            self.cycle.message_event.set()
        body = problems.body_of(kind, "")
        head = (
            f"HTTP/1.1 {kind.status} {HTTPStatus(kind.status).phrase}\r\n"
            f"content-type: {problems.CONTENT_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._due = self.loop.call_later(self._bounds.linger_s, self.cut)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_flush()

    def _watch_flush(self) -> None:
        """Let go of who does not take what was sent: of what stands in the buffer, some must go each `flush_s`.

        Begins when the buffer is full, from when on nothing is added to it, and when an answer is complete.
        """
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        left = self.transport.get_write_buffer_size()
        if left:
            self._flush = self.loop.call_later(self._bounds.flush_s, self._flushed, left)

    def _flushed(self, before: int) -> None:
        self._flush = None
        if self._answering and not self.flow.write_paused:
            return  # more was written meanwhile; its own end, or a full buffer, begins another watch
        if before - self.transport.get_write_buffer_size() < min(before, self._bounds.flush_least):
            self._traffic.slow += 1
            self.cut()
        else:
            self._watch_flush()
