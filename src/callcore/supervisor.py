"""One command starts and supervises the processes: Asterisk (when it is ours), the engine, the sidecar.

Each is restarted when it ends, with a pause that grows while it keeps ending. None of them needs the others in order
to start. At the stop: sidecar, then engine, then Asterisk, each with a deadline and its name when it overruns.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import structlog

from callcore.pbx.process import AsteriskProcess, PbxError
from callcore.runtime.process import FINAL_STATUS, SUPERSEDED_STATUS
from callcore.service import READY, STOPPING, Service

log = structlog.get_logger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
"""Seconds. A process that lived so long starts with the first pause again; so long after its first start nobody sits
before it any more, and what it needs of a person ends nothing else."""
STOP_S = 10.0
"""Deadline of one process's own stop before it is killed."""

Say = Callable[[str], None]


class NeedsAPerson(Exception):
    """A process cannot start until somebody has done something."""


@contextlib.contextmanager
def alone(home: Path, name: str = "supervisor.lock") -> Iterator[None]:
    """Hold an installation for one supervisor by a file of that name. Raises NeedsAPerson while another one has it.

    A second one would take the first one's Asterisk over, and stop it, with all its calls, when its engine finds the
    journal taken.
    """
    with (home / name).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            pid = file.read().strip() or "?"
            raise NeedsAPerson(
                f"{home} の callcore はすでに動いています (PID {pid})。そちらを使うか、止めてから起動してください / "
                f"the callcore of {home} runs already (PID {pid}); use that one, or stop it first"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


class Child:
    """One of our own processes, kept alive."""

    def __init__(self, name: str, argv: Sequence[str], env: dict[str, str]) -> None:
        self.name = name
        self.restarts = 0
        self._argv = tuple(argv)
        self._env = env
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep(self) -> None:
        """Start it, and again whenever it ends, until cancelled.

        Raises NeedsAPerson where it needs one within `STEADY_S` of its first start. Later calls that go on, and
        Asterisk's own queue, must not end for it: it is told, and tried until the person has done it. Only who was
        superseded is not started again: each start gives out a run number, and would overtake the other in the end.
        """
        pause, first = FIRST_PAUSE_S, time.monotonic()
        while True:
            began = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                *self._argv, env=self._env, start_new_session=True, preexec_fn=_die_with_parent
            )
            status = await self._process.wait()
            now = time.monotonic()
            if now - began > STEADY_S:
                pause = FIRST_PAUSE_S
            if status in (FINAL_STATUS, SUPERSEDED_STATUS):
                why = (
                    f"{self.name} を起動できません。上の記録の指示に従ってください / "
                    f"{self.name} cannot start; do what its log line above says"
                )
                if now - first <= STEADY_S:
                    raise NeedsAPerson(why)
                log.critical("process ended, and all others go on", name=self.name, why=why)
                if status == SUPERSEDED_STATUS:
                    await asyncio.Event().wait()
            self.restarts += 1
            log.error("process ended, starting it again", name=self.name, status=status, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def stop(self) -> list[str]:
        """End it; the names of the stages that were not enough."""
        process = self._process
        if process is None or process.returncode is not None:
            return []
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            return [f"{self.name} (pid {process.pid})"]
        return []


def _die_with_parent() -> None:
    """Engine and sidecar end when the supervisor is killed; Asterisk and its calls do not (prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)


async def keep_asterisk(make: Callable[[], AsteriskProcess], current: list[AsteriskProcess]) -> None:
    """Wait for the running Asterisk's end and start another one, until cancelled."""
    pause = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        status = await current[0].wait()
        if time.monotonic() - began > STEADY_S:
            pause = FIRST_PAUSE_S
        log.error("Asterisk ended, starting it again", status=status, pause_s=pause)
        started = False
        while not started:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            current[0] = make()
            try:
                await current[0].start()
                started = True
            except PbxError as error:
                log.error("Asterisk does not start", why=str(error))


def child(name: str) -> Child:
    """`callcore <name>` as a process of this same installation."""
    return Child(name, (sys.executable, "-m", "callcore", name), dict(os.environ))


async def supervise(
    children: Sequence[Child],
    make_asterisk: Callable[[], AsteriskProcess] | None,
    stop: asyncio.Event,
    *,
    say: Say,
    started: Callable[[], Awaitable[None]] | None = None,
    service: Service | None = None,
) -> int:
    """Run all of them until `stop`. `started` runs beside them; when it returns, everything is stopped. 0: clean."""
    current: list[AsteriskProcess] = []
    tasks: list[asyncio.Task[None]] = []
    if make_asterisk is not None:
        current.append(make_asterisk())
        await current[0].start()
        tasks.append(asyncio.create_task(keep_asterisk(make_asterisk, current), name="asterisk"))
    tasks += [asyncio.create_task(each.keep(), name=each.name) for each in children]
    service = service or Service()
    tasks.append(asyncio.create_task(service.alive(), name="service"))
    service.tell(READY)
    ends: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if started is not None:
        ends.append(asyncio.create_task(_whole(started)))
    problem: BaseException | None = None
    done, _ = await asyncio.wait([*tasks, *ends], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        problem = problem or task.exception()
    service.tell(STOPPING)
    say("停止しています… / stopping…")
    for task in [*tasks, *ends]:
        task.cancel()
    await asyncio.gather(*tasks, *ends, return_exceptions=True)
    late: list[str] = []
    for each in reversed(children):
        late += await each.stop()
    for process in current:
        late += await process.stop()
    for name in late:
        say(f"期限内に終わりませんでした / did not end in time: {name}")
    if problem is not None:
        raise problem
    say("停止しました / stopped")
    return 1 if late else 0


async def _whole(started: Callable[[], Awaitable[None]]) -> None:
    await started()
