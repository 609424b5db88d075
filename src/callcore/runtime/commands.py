"""Commands between the sidecar and the engine: one JSON object per line over a Unix socket, owner-only.

A command is a request with a name and the person who asks (`by`); the answer is `{"ok": …}`, `{"error": …}` or
`{"denied": true}`. What changes the floor comes back as a fact in the journal that names the person, not in the answer.

Each command names its right. Whoever may write to this socket is believed as to who asks; what that person may do is
looked up here again, so that a mistake of the sidecar's opens nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from callcore.access.rights import Person, Right
from callcore.domain.ids import AgentId, CentreId

log = structlog.get_logger(__name__)

LINE_MOST = 1 << 20
"""Bytes of one line."""

Handler = Callable[[Mapping[str, Any], Person], Awaitable[Any]]
About = tuple[CentreId | None, AgentId | None]
"""What a request is about: a centre, an agent; None: nothing in particular."""


def of_centre(told: Mapping[str, Any]) -> About:
    """The centre that a request names; one that names none is about a centre of nobody's."""
    return CentreId(str(told.get("centre") or "")), None


def _nothing(_: Mapping[str, Any]) -> About:
    return None, None


@dataclass(frozen=True, slots=True)
class Command:
    """What may be asked of the engine, by whom. `about` reads from the request what the right must reach over."""

    right: Right
    handler: Handler
    about: Callable[[Mapping[str, Any]], About] = _nothing


class CommandFailed(Exception):
    """The engine is not there, or said no."""


class EngineAway(CommandFailed):
    """Nobody answered. Whether something was done is not known."""


class CommandDenied(CommandFailed):
    """The person has no right to that. Nothing was done."""


class Refused(Exception):
    """A handler's no, in words for the person who asked."""


class CommandServer:
    """The engine's ear. `person` looks up who somebody is now; None: nobody."""

    def __init__(
        self, path: Path, commands: Mapping[str, Command], person: Callable[[str], Person | None]
    ) -> None:
        self._path = path
        self._commands = commands
        self._person = person
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
            command = self._commands[str(request.get("command"))]
        except (msgspec.DecodeError, msgspec.ValidationError, KeyError):
            return {"error": "知らない命令です / no such command"}
        try:
            person = self._person(str(request.get("by")))
            if person is None or not person.may(command.right, *command.about(request)):
                log.warning("command denied", command=request.get("command"), by=request.get("by"))
                return {"denied": True}
            return {"ok": await command.handler(request, person)}
        except Refused as no:
            return {"error": str(no)}
        except Exception as error:
            log.exception("command failed", command=request.get("command"))
            return {"error": f"{type(error).__name__}: {error}"}


class CommandClient:
    """The sidecar's voice. Keeps one connection and makes a new one when it broke.

    `by`: the person who asks, unless a command names another; the account that runs this, if nobody is named.
    """

    def __init__(self, path: Path, *, by: str | None = None, timeout_s: float = 3.0) -> None:
        self._path = path
        self._by = by or this_account()
        self._timeout = timeout_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, command: str, *, by: str | None = None, **fields: Any) -> Any:
        """Send one command and return what was answered. Raises CommandFailed, CommandDenied."""
        line = msgspec.json.encode({**fields, "command": command, "by": by or self._by}) + b"\n"
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
                raise EngineAway(
                    f"エンジンに接続できません / the engine cannot be reached: {error}"
                ) from None
            if not answer:
                self._drop()
                raise EngineAway("エンジンが接続を切りました / the engine closed the connection")
        told = msgspec.json.decode(answer, type=dict[str, Any])
        if "denied" in told:
            raise CommandDenied("権限がありません / not allowed")
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


def this_account() -> str:
    """The account of the operating system that runs this, as the cause of what it asks for."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return f"system:{name}" if not behind or behind == name else f"system:{name}({behind})"
