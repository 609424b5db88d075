"""Between the engine and Asterisk's AMI port: a wire that fails as wires do.

It can be cut, go silent without a word, carry everything late, lose or add single messages. What Asterisk sends is
handled message by message, so that nothing but whole ones is lost, late or added.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

END = b"\r\n\r\n"
MOST = 1 << 26
"""Bytes that may wait in a reader's buffer while the proxy holds everything back."""


def header(message: bytes, name: str) -> str | None:
    """The first header of this name."""
    for line in message.decode("utf-8", "replace").split("\r\n"):
        key, sign, value = line.partition(": ")
        if sign and key == name:
            return value
    return None


def is_event(message: bytes, name: str, **fields: str) -> bool:
    """Whether a message is this event with these headers; `UserEvent` events are named by their own name."""
    own = (
        header(message, "UserEvent") if message.startswith(b"Event: UserEvent") else header(message, "Event")
    )
    return own == name and all(header(message, key) == value for key, value in fields.items())


def _is_event(message: bytes) -> bool:
    """Whether Asterisk sends it from its queue of events: no answer, and no item of a list. A UserEvent bears the
    ActionID of whoever caused it."""
    return message.startswith(b"Event: UserEvent") or (
        message.startswith(b"Event:") and header(message, "ActionID") is None
    )


class Proxy:
    """Stands between the engine and Asterisk's AMI port, and can fail as networks do."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.open = True
        """Whether new connections are let through; otherwise they are dropped at once."""
        self.lose: Callable[[bytes], bool] = lambda _: False
        """Asked of each message from Asterisk: whether it is to be lost."""
        self.late_s = 0.0
        """How late events arrive. Answers come at once, as they do when Asterisk's own queue of events is late."""
        self.lost: list[bytes] = []
        self.passed: list[bytes] = []
        """Events that were handed on while `keep` was set."""
        self.keep = False
        self.added = 0
        """Messages put in beside Asterisk's own."""
        self._target = target
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self._to_engine: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for stream in list(self._streams):
            stream.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            with contextlib.suppress(ConnectionError):
                await stream.wait_closed()

    def cut(self) -> None:
        """Every connection is reset."""
        for stream in list(self._streams):
            stream.transport.abort()

    def half_open(self) -> None:
        """The connections of now stay open and carry nothing any more; later ones are well."""
        self._deaf |= self._streams

    async def flood(self, messages: list[bytes], per_second: float, seconds: float) -> float:
        """Send these messages to the engine over and over, beside what Asterisk says; the rate that was reached."""
        loop = asyncio.get_running_loop()
        began, sent = loop.time(), 0
        while (ran := loop.time() - began) < seconds:
            due = int(ran * per_second)
            stream = self._to_engine
            if stream is not None and not stream.is_closing():
                stream.write(b"".join(messages[n % len(messages)] for n in range(sent, due)))
                self.added += due - sent
                with contextlib.suppress(ConnectionError):
                    await stream.drain()
            sent = due
            await asyncio.sleep(0.01)
        return self.added / (loop.time() - began)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.open:
            writer.transport.abort()
            return
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target, limit=MOST)
        except ConnectionError:  # Asterisk is not there
            writer.transport.abort()
            return
        self._streams |= {writer, onward}
        self._to_engine = writer
        for work in (self._onward(reader, onward), self._back(there, writer)):
            task = asyncio.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _onward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                if sink not in self._deaf:
                    sink.write(data)
                    await sink.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            if sink not in self._deaf:
                sink.transport.abort()

    async def _back(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        later = asyncio.create_task(self._later(held, sink))
        try:
            sink.write(await source.readline())  # the greeting is no message
            while True:
                message = await source.readuntil(END)
                if self.lose(message):
                    self.lost.append(message)
                elif _is_event(message):
                    if self.keep:
                        self.passed.append(message)
                    held.put_nowait((loop.time() + self.late_s, message))
                else:
                    self._send(sink, message)
                    await sink.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            later.cancel()
            await asyncio.gather(later, return_exceptions=True)
            if sink not in self._deaf:
                sink.transport.abort()

    async def _later(self, held: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, message = await held.get()
            if (wait := min(due - loop.time(), self.late_s)) > 0:
                await asyncio.sleep(wait)
            self._send(sink, message)

    def _send(self, sink: asyncio.StreamWriter, message: bytes) -> None:
        if sink not in self._deaf and not sink.is_closing():
            sink.write(message)
