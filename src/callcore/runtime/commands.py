"""Commands between the sidecar and the engine: one JSON object per line over a Unix socket, owner-only.

A command is a request with a name; the answer is `{"ok": …}` or `{"error": …}`. What changes the floor comes back
as a fact in the journal, not in the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

log = structlog.get_logger(__name__)

LINE_MOST = 1 << 20
"""Bytes of one line."""

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class CommandFailed(Exception):
    """The engine is not there, or said no."""


class Refused(Exception):
    """A handler's no, in words for the person who asked."""


class CommandServer:
    """The engine's ear. Each handler is one command."""

    def __init__(self, path: Path, handlers: Mapping[str, Handler]) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.parent.chmod(0o700)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._server = await asyncio.start_unix_server(self._serve, self._path, limit=LINE_MOST)
        self._path.chmod(0o600)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
            handler = self._handlers[str(request.get("command"))]
        except (msgspec.DecodeError, KeyError):
            return {"error": "知らない命令です / no such command"}
        try:
            return {"ok": await handler(request)}
        except Refused as no:
            return {"error": str(no)}
        except Exception as error:
            log.exception("command failed", command=request.get("command"))
            return {"error": f"{type(error).__name__}: {error}"}


class CommandClient:
    """The sidecar's voice. Keeps one connection and makes a new one when it broke."""

    def __init__(self, path: Path, *, timeout_s: float = 3.0) -> None:
        self._path = path
        self._timeout = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, command: str, **fields: Any) -> Any:
        """Send one command and return what was answered. Raises CommandFailed."""
        line = msgspec.json.encode({"command": command, **fields}) + b"\n"
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout):
                    if self._streams is None:
                        self._streams = await asyncio.open_unix_connection(self._path, limit=LINE_MOST)
                    reader, writer = self._streams
                    writer.write(line)
                    await writer.drain()
                    answer = await reader.readline()
            except (OSError, TimeoutError) as error:
                self._drop()
                raise CommandFailed(
                    f"エンジンに接続できません / the engine cannot be reached: {error}"
                ) from None
            if not answer:
                self._drop()
                raise CommandFailed("エンジンが接続を切りました / the engine closed the connection")
        told = msgspec.json.decode(answer, type=dict[str, Any])
        if "error" in told:
            raise CommandFailed(str(told["error"]))
        return told["ok"]

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def close(self) -> None:
        self._drop()


async def ask_once(path: Path, command: str, **fields: Any) -> Any:
    """Ask one thing over a connection of its own. Raises CommandFailed."""
    client = CommandClient(path)
    try:
        return await client.ask(command, **fields)
    finally:
        await client.close()
