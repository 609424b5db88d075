"""A real Asterisk for one test: own folders, own loopback addresses, own ports, gone afterwards.

Where the toolchain is: `CALLCORE_TOOLCHAIN`, else `toolchain.json` in `CALLCORE_HOME` (`scripts/test` writes it).
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import random
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from callcore.domain.centre import Configuration
from callcore.domain.ids import NodeId, PhoneId
from callcore.pbx.process import AsteriskProcess, AsteriskToolchain
from callcore.pbx.render import CDR_FIELDS, CDR_FILE, CEL_FIELDS, CEL_FILE, PbxSettings, write

PROJECT = Path(__file__).resolve().parents[2]
DEADLINE_S = 40.0


def toolchain() -> AsteriskToolchain:
    home = Path(os.environ.get("CALLCORE_HOME", PROJECT / "var"))
    return AsteriskToolchain.load(Path(os.environ.get("CALLCORE_TOOLCHAIN", home / "toolchain.json")))


SIP_PORT = 15060
"""On addresses that only one test has. Below the ports that the system gives out: a socket of anybody's that listens on
every address would take it."""


def free_port(host: str, kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of `host` that nobody had a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class RunningAsterisk:
    """What a test may know of its Asterisk."""

    settings: PbxSettings
    process: AsteriskProcess
    net: str
    """`127.x.y`: all addresses of this test begin so."""
    trunk_host: str
    """Calls from here arrive as the carrier's."""

    @property
    def sip(self) -> tuple[str, int]:
        return self.settings.sip_host, self.settings.sip_port

    @property
    def ami(self) -> tuple[str, int]:
        return self.settings.ami_host, self.settings.ami_port

    def address(self, last: int) -> str:
        """A loopback address for one phone or caller of this test."""
        return f"{self.net}.{last}"

    def cel(self) -> list[dict[str, str]]:
        return _rows(self.settings.log_dir / CEL_FILE, CEL_FIELDS)

    def cdr(self) -> list[dict[str, str]]:
        return _rows(self.settings.log_dir / CDR_FILE, CDR_FIELDS)

    def log(self) -> str:
        return (self.settings.log_dir / "messages").read_text("utf-8", "replace")


def _rows(path: Path, fields: tuple[str, ...]) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(zip(fields, row, strict=True)) for row in csv.reader(file)]


def settings_for(configuration: Configuration, folder: Path, *, prompts: Path, music: Path) -> PbxSettings:
    """Settings whose folders are below `folder` and whose addresses and ports nobody else has."""
    found = toolchain()
    net = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
    phones = [phone.id for centre in configuration.centres for phone in centre.phones]
    return PbxSettings(
        node=NodeId("test1"),
        etc_dir=folder / "etc",
        run_dir=folder / "run",
        log_dir=folder / "log",
        lib_dir=folder / "lib",
        spool_dir=folder / "spool",
        recordings_dir=folder / "recordings",
        modules_dir=found.modules_dir,
        data_dir=found.data_dir,
        prompts_dir=prompts,
        kept_dir=folder / "played",
        music_dir=music,
        ami_port=free_port("127.0.0.1"),
        ami_secret=secrets.token_urlsafe(24),
        sip_host=f"{net}.1",
        sip_port=SIP_PORT,
        rtp_first=20000,
        rtp_last=20999,
        phone_secrets={PhoneId(phone): secrets.token_urlsafe(24) for phone in phones},
        trunk_hosts=(f"{net}.11",),
        trunk_out=f"{net}.11:{SIP_PORT}",
        asterisk_version=found.version,
    )


@asynccontextmanager
async def running_asterisk(
    configuration: Configuration, prompts: Path, music: Path, **changes: object
) -> AsyncIterator[RunningAsterisk]:
    """Start one on `configuration`; `changes` replace fields of its PbxSettings.

    Its folder is not below pytest's `tmp_path`: that is too long for the control socket.
    """
    folder = Path(tempfile.mkdtemp(prefix="cc-", dir=tempfile.gettempdir()))
    try:
        settings = settings_for(configuration, folder, prompts=prompts, music=music)
        settings = replace(settings, **changes)  # type: ignore[arg-type]
        write(configuration, settings)
        process = AsteriskProcess(toolchain(), settings.etc_dir, settings.run_dir, settings.log_dir)
        try:
            await process.start()
            net = settings.sip_host.rsplit(".", 1)[0]
            yield RunningAsterisk(settings, process, net, settings.trunk_hosts[0])
        finally:
            await process.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Event = Mapping[str, str]


@dataclass(slots=True)
class ManagerClient:
    """A few lines of AMI, so that these tests judge the PBX and not the product's own link."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    events: list[Event] = field(default_factory=list)
    """Every event since the login, in order."""
    _answers: dict[str, asyncio.Future[list[Event]]] = field(default_factory=dict)
    _lists: dict[str, list[Event]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _number: int = 0

    async def action(self, name: str, **fields: str | list[str]) -> list[Event]:
        """The response, and behind it the rows of a list."""
        self._number += 1
        ident = f"t{self._number}"
        lines = [f"Action: {name}", f"ActionID: {ident}"]
        for key, value in fields.items():
            lines += [f"{key}: {item}" for item in (value if isinstance(value, list) else [value])]
        self._answers[ident] = asyncio.get_running_loop().create_future()
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(DEADLINE_S):
            return await self._answers[ident]

    async def event(self, name: str, after: int = 0, deadline_s: float = DEADLINE_S, **fields: str) -> Event:
        """The first event of that name (a UserEvent by its own) and fields; waits for it under a deadline."""

        def fits(event: Event) -> bool:
            return name in (event.get("Event"), event.get("UserEvent")) and fields.items() <= event.items()

        found = await self.until(
            lambda: [e for e in self.events[after:] if fits(e)], f"{name} {fields}", deadline_s
        )
        return found[0]

    async def until(
        self, condition: Callable[[], list[Event]], what: str, deadline_s: float = DEADLINE_S
    ) -> list[Event]:
        """What `condition` finds among the events, once it finds anything."""
        try:
            async with asyncio.timeout(deadline_s), self._news:
                while not (found := condition()):
                    await self._news.wait()
                return found
        except TimeoutError:
            seen = "\n".join(f"{e.get('UserEvent', e['Event'])} {e.get('Channel', '')}" for e in self.events)
            raise AssertionError(f"no {what} in {deadline_s} s; seen:\n{seen}") from None

    async def beat(self) -> None:
        """One heartbeat, taken from the node's own clock."""
        ping = await self.action("Ping")
        await self.action(
            "Setvar", Variable="CALLCORE_HEARTBEAT", Value=str(int(float(ping[0]["Timestamp"])))
        )

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """callcore lives for as long as this block lasts."""
        await self.beat()

        async def go_on() -> None:
            while True:
                await asyncio.sleep(1)
                await self.beat()

        task = asyncio.create_task(go_on())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def waiting(self, channel: str, application: str = "WaitForCondition") -> None:
        """Return once `Status` shows `channel` inside that application: only then may it be redirected."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                rows = await self.action("Status", Channel=channel)
                if any(row.get("Application") == application for row in rows):
                    return
                await asyncio.sleep(0.005)

    async def device(self, phone: str, state: str) -> None:
        """Return once the phone's device state is that one: the event alone may have been told before."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                answer = await self.action("Getvar", Variable=f"DEVICE_STATE(PJSIP/{phone})")
                if answer[0].get("Value") == state:
                    return
                await asyncio.sleep(0.02)

    async def redirect(self, channel: str, context: str, exten: str = "s") -> Event:
        await self.waiting(channel, "Queue" if context == "callcore-hold" else "WaitForCondition")
        answer = await self.action("Redirect", Channel=channel, Context=context, Exten=exten, Priority="1")
        return answer[0]

    async def _read(self) -> None:
        message: dict[str, str] = {}
        while line := await self.reader.readline():
            text = line.decode().rstrip("\r\n")
            if text:
                key, _, value = text.partition(":")
                if key in message and key.startswith("ChanVariable"):
                    message[key] += f",{value.strip()}"
                message.setdefault(key, value.strip())
            elif message:
                await self._take(message)
                message = {}

    async def _take(self, message: dict[str, str]) -> None:
        ident = message.get("ActionID")
        if ident not in self._answers or self._answers[ident].done():
            async with self._news:
                self.events.append(message)
                self._news.notify_all()
            return
        rows = self._lists.setdefault(ident, [])
        rows.append(message)
        listed = rows[0].get("EventList", "").lower() == "start"
        if not listed or message.get("EventList", "").lower() == "complete":
            self._answers[ident].set_result(rows)


@asynccontextmanager
async def manager(pbx: RunningAsterisk) -> AsyncIterator[ManagerClient]:
    """Log in as callcore does, with callcore's own rights and filters."""
    reader, writer = await asyncio.open_connection(*pbx.ami)
    await reader.readline()
    client = ManagerClient(reader, writer)
    task = asyncio.create_task(client._read())
    try:
        answer = await client.action("Login", Username="callcore", Secret=pbx.settings.ami_secret)
        assert answer[0]["Response"] == "Success", answer
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
