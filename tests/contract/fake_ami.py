"""An Asterisk manager port that does byte for byte what a test tells it. It shares no code with the link.

By default it greets, accepts the right secret, says FullyBooted, answers Ping with its clock, and
answers every other action with `Success`. `answer` replaces what one action gets; `None` means silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

DEADLINE = 10.0
"""Seconds that any condition of a test may take on a busy machine."""

GREETING = b"Asterisk Call Manager/11.0.0\r\n"


def frame(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


def event(name: str, *lines: str) -> bytes:
    return frame(f"Event: {name}", *lines)


async def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Wait until it holds; fail with its name after the deadline."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE
    while not condition():
        if loop.time() > end:
            raise AssertionError(f"{what} did not come true in {DEADLINE} s")
        await asyncio.sleep(0.002)


@dataclass
class Action:
    """What the fake received: header lines in their order."""

    lines: list[str]
    connection: Connection

    def get(self, name: str) -> str:
        for line in self.lines:
            key, _, value = line.partition(": ")
            if key == name:
                return value
        raise AssertionError(f"no {name} in {self.lines}")

    @property
    def name(self) -> str:
        return self.get("Action")

    @property
    def id(self) -> str:
        return self.get("ActionID")

    def success(self, *lines: str) -> bytes:
        return frame("Response: Success", f"ActionID: {self.id}", *lines)

    def error(self, message: str) -> bytes:
        return frame("Response: Error", f"ActionID: {self.id}", f"Message: {message}")

    def list_start(self) -> bytes:
        return self.success("EventList: start", "Message: will follow")

    def item(self, name: str, *lines: str) -> bytes:
        return event(name, *lines, f"ActionID: {self.id}")

    def list_end(self, name: str, count: int) -> bytes:
        return event(name, f"ActionID: {self.id}", "EventList: Complete", f"ListItems: {count}")


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    silent: bool = False
    """Receives everything and says nothing more: the far side of a half-open link."""

    def send(self, data: bytes) -> None:
        if not self.silent and not self.writer.is_closing():
            self.writer.write(data)

    def drop(self) -> None:
        self.writer.transport.abort()


Answer = Callable[[Action], bytes | Awaitable[bytes | None] | None]


@dataclass
class FakeAmi:
    secret: str = "right"
    greeting: bytes = GREETING
    booted: bytes | None = field(default_factory=lambda: event("FullyBooted", "Status: Fully Booted"))
    clock: str = "1795193503.317583"
    port: int = 0
    connections: list[Connection] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    answers: dict[str, Answer] = field(default_factory=dict)

    async def __aenter__(self) -> FakeAmi:
        self._tasks: set[asyncio.Task[None]] = set()
        await self.listen()
        return self

    async def listen(self) -> None:
        """Take connections, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop_listening(self) -> None:
        self._server.close()
        for connection in self.connections:
            connection.drop()

    async def __aexit__(self, *_: object) -> None:
        await self.stop_listening()
        # Whoever is being accepted just now becomes a connection first.
        while accepted := [t for t in asyncio.all_tasks() if "_accept_connection" in repr(t.get_coro())]:
            await asyncio.gather(*accepted, return_exceptions=True)
        await asyncio.sleep(0)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self.connections:
            connection.drop()
        await asyncio.sleep(0)  # a transport that was aborted closes its socket in the next turn

    @property
    def last(self) -> Connection:
        return self.connections[-1]

    def answer(self, action: str, how: Answer) -> None:
        self.answers[action] = how

    def send(self, data: bytes) -> None:
        """Over the newest connection, in one segment when it is small."""
        self.last.send(data)

    def received(self, name: str) -> list[Action]:
        return [action for action in self.actions if action.name == name]

    async def wait_for(self, name: str, count: int = 1) -> Action:
        await until(lambda: len(self.received(name)) >= count, f"{count} × {name} at the server")
        return self.received(name)[count - 1]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        task = asyncio.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        connection.send(self.greeting)
        lines: list[str] = []
        try:
            while data := await connection.reader.readline():
                self.raw += data
                line = data.decode().rstrip("\r\n")
                if line:
                    lines.append(line)
                    continue
                action = Action(lines, connection)
                lines = []
                self.actions.append(action)
                reply = self._reply(action)
                if isinstance(reply, Awaitable):
                    reply = await reply
                if reply is not None:
                    connection.send(reply)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            connection.drop()

    def _reply(self, action: Action) -> bytes | Awaitable[bytes | None] | None:
        if action.name in self.answers:
            return self.answers[action.name](action)
        if action.name == "Login":
            if action.get("Secret") != self.secret:
                return action.error("Authentication failed")
            return action.success("Message: Authentication accepted") + (self.booted or b"")
        if action.name == "Ping":
            return action.success("Ping: Pong", f"Timestamp: {self.clock}")
        return action.success("Message: done")
