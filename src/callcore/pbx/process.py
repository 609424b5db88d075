"""One Asterisk as a child process: started in the foreground, waited for until it is up, stopped in stages.

Whether and when it is started again is the supervisor's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from callcore.pbx import loaded

START_DEADLINE_S: Final = 30.0
"""A cold disk reads 30 MB of modules; on a warm one it is up in under a second."""
COMMAND_DEADLINE_S: Final = 5.0
STOP_DEADLINE_S: Final = 5.0
"""For each stage of the stop: its own command, TERM, KILL."""
_POLL_S: Final = 0.02
_ADOPTED_POLL_S: Final = 0.2
"""Seconds between two looks whether an Asterisk that is not our child still lives."""
_LOG_TAIL: Final = 20


class PbxError(RuntimeError):
    """Asterisk did not start, or ended. The message has its last lines."""


@dataclass(frozen=True, slots=True)
class AsteriskToolchain:
    """The Asterisk that was found: `argv` starts it (its loader in front where it runs from an unpacked tree)."""

    argv: tuple[str, ...]
    version: str
    source: str
    modules_dir: Path
    data_dir: Path

    @classmethod
    def load(cls, path: Path) -> AsteriskToolchain:
        """Read `toolchain.json`. Raises PbxError if it is missing or does not describe an Asterisk."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))["asterisk"]
            return cls(
                argv=tuple(str(part) for part in found["argv"]),
                version=str(found["version"]),
                source=str(found["source"]),
                modules_dir=Path(found["modules_dir"]),
                data_dir=Path(found["data_dir"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PbxError(
                f"{path} does not name an Asterisk ({error!r}); run scripts/run again. / "
                f"{path} に Asterisk がありません。scripts/run をもう一度実行してください。"
            ) from error


@dataclass(frozen=True, slots=True)
class Port:
    """An address that Asterisk is going to listen on."""

    name: str
    host: str
    number: int
    udp: bool

    def must_be_free(self) -> None:
        """Raises PbxError when somebody else listens there."""
        kind = socket.SOCK_DGRAM if self.udp else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            if not self.udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.number))
            except OSError as error:
                raise PbxError(
                    f"{self.name} {self.host}:{self.number} は使えません ({error.strerror})。"
                    f"使っている方を止めるか CALLCORE_{self.name}_PORT で別の番号にしてください / "
                    f"{self.name} {self.host}:{self.number} cannot be used ({error.strerror}); "
                    f"stop what uses it or choose another with CALLCORE_{self.name}_PORT"
                ) from None


class AsteriskProcess:
    """`start`, `wait`, `stop`. One object is one life of the process."""

    def __init__(
        self,
        toolchain: AsteriskToolchain,
        etc_dir: Path,
        run_dir: Path,
        log_dir: Path,
        *,
        ports: Sequence[Port] = (),
    ) -> None:
        """`ports` are looked at before the start: Asterisk itself would run on without one that is taken."""
        self._ports = tuple(ports)
        self._toolchain = toolchain
        self._etc_dir = etc_dir
        self._socket = run_dir / "asterisk.ctl"
        self._log_dir = log_dir
        self._process: asyncio.subprocess.Process | _Adopted | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    async def start(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Start Asterisk and return once it is fully booted.

        Raises PbxError with the log's last lines if it ends or is not up by then; it does not run on in that case.
        """
        if self._process is not None:
            raise PbxError("started already / すでに起動しています")
        self._process = await self._left_running()
        if self._process is not None:
            return
        for port in self._ports:
            port.must_be_free()
        # A socket left by a killed one would answer to nobody, and must not be taken for the new one's.
        self._socket.unlink(missing_ok=True)
        loaded.note(self._socket.parent, loaded.of_folder(self._etc_dir))
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / "console").open("ab") as console:
            # A session of its own: Ctrl-C in the operator's terminal reaches the supervisor, which stops in stages.
            self._process = await asyncio.create_subprocess_exec(
                *self._command(),
                "-f",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                # Recordings, CEL and AstDB are nobody's but the owner's, whoever started us with whatever umask.
                umask=0o077,
            )
        child = self._process
        try:
            async with asyncio.timeout(deadline_s):
                await self._booted(child)
        except TimeoutError as error:
            tail = self._tail()
            await self.stop()
            raise PbxError(
                f"Asterisk was not up after {deadline_s:.0f} s / "
                f"Asterisk が {deadline_s:.0f} 秒以内に起動しませんでした\n{tail}"
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until it ends by itself or by a stop; the exit status, negative for a signal."""
        if self._process is None:
            raise PbxError("not started / 起動していません")
        return await self._process.wait()

    async def command(self, line: str, deadline_s: float = COMMAND_DEADLINE_S) -> str:
        """Run one console command over the control socket. Raises PbxError if there is no answer."""
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            "-rx",
            line,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(deadline_s):
                output, _ = await process.communicate()
        except TimeoutError as error:
            raise PbxError(
                f"no answer to {line!r} in {deadline_s:.0f} s / {line!r} に応答がありません"
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        text = output.decode("utf-8", "replace")
        if process.returncode != 0:
            raise PbxError(f"{line!r}: {text.strip()}")
        return text

    async def stop(self, deadline_s: float = STOP_DEADLINE_S) -> Sequence[str]:
        """End it: its own command, then TERM, then KILL, each with `deadline_s`. Doing so twice does no harm.

        Returns the names of the stages that were not enough, so an empty list is a clean stop; the last name is
        what still runs if even KILL did not end it.
        """
        process = self._process
        if process is None or process.returncode is not None:
            return []
        overrun: list[str] = []
        with contextlib.suppress(PbxError):
            await self.command("core stop now", deadline_s)
        if await _ended(process, deadline_s):
            return overrun
        overrun.append("core stop now")
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        if await _ended(process, deadline_s):
            return overrun
        overrun.append("SIGTERM")
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        if not await _ended(process, deadline_s):
            overrun.append(f"asterisk (pid {process.pid})")
        return overrun

    async def _left_running(self) -> _Adopted | None:
        """The same installation's Asterisk, if it outlived whoever started it: its calls go on, so it is taken over."""
        try:
            pid = int(self._socket.with_name("asterisk.pid").read_text())
            adopted = _Adopted(pid)
            if adopted.returncode is None and self._socket.exists():
                await self.command("core show uptime")
                return adopted
        except (OSError, ValueError, PbxError):
            pass
        return None

    def _command(self) -> tuple[str, ...]:
        return (*self._toolchain.argv, "-C", str(self._etc_dir / "asterisk.conf"))

    async def _booted(self, process: asyncio.subprocess.Process) -> None:
        while True:
            if process.returncode is not None:
                raise PbxError(
                    f"Asterisk ended while starting, status {process.returncode} / "
                    f"Asterisk が起動中に終了しました (終了コード {process.returncode})\n{self._tail()}"
                )
            if self._socket.exists():
                # The socket is there a moment before it listens, and one that ends for want of a module says goodbye.
                with contextlib.suppress(PbxError):
                    if "fully booted" in await self.command("core waitfullybooted", START_DEADLINE_S):
                        return
            await asyncio.sleep(_POLL_S)

    def _tail(self) -> str:
        lines: list[str] = []
        for name in ("console", "messages"):
            with contextlib.suppress(OSError):
                lines += (self._log_dir / name).read_text("utf-8", "replace").splitlines()[-_LOG_TAIL:]
        return "\n".join(lines)


class _Adopted:
    """An Asterisk that is not our child: known by its pid file, asked by signal 0 whether it lives."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def returncode(self) -> int | None:
        """None while it lives; its true status nobody can tell."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    async def wait(self) -> int:
        while self.returncode is None:  # noqa: ASYNC110  nobody tells the end of a process that is not a child
            await asyncio.sleep(_ADOPTED_POLL_S)
        return 0

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


async def _ended(process: asyncio.subprocess.Process | _Adopted, deadline_s: float) -> bool:
    try:
        async with asyncio.timeout(deadline_s):
            await process.wait()
    except TimeoutError:
        return False
    return True
