"""A whole installation for one test: real Asterisk, real engine (and sidecar), real SIP phones; gone afterwards.

Everything lies below one short temporary folder and on loopback addresses that no other test uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from callcore.centres import load
from callcore.demo.centre import NUMBER, DemoCentre
from callcore.demo.phone import PhoneCall, SimPhone
from callcore.demo.sounds import Source, Tone
from callcore.domain import facts as f
from callcore.domain.floor import Floor, evolve
from callcore.domain.ids import AgentId, Instant
from callcore.domain.measures import Books, Figures, figures, imbalance
from callcore.installation import asterisk_process, pbx_settings, phone_ids
from callcore.journal import Codec, KeyStore, read_all
from callcore.pbx.process import AsteriskToolchain
from callcore.pbx.render import write
from callcore.pins import PinFile
from callcore.runtime.commands import CommandClient, CommandFailed
from callcore.settings import Settings, load_secrets, owner_only
from tests.support.asterisk import free_port

PROJECT = Path(__file__).resolve().parents[2]
F = TypeVar("F", bound=f.Fact)
PIN = "271828"
DEADLINE_S = 15.0


def toolchain_path() -> Path:
    home = Path(os.environ.get("CALLCORE_HOME", PROJECT / "var"))
    return Path(os.environ.get("CALLCORE_TOOLCHAIN", home / "toolchain.json"))


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S, what: str = "") -> None:
    """Await a condition under a deadline; it is looked at every 20 ms."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline_s} s: {what or condition}")
        await asyncio.sleep(0.02)


class Station:
    def __init__(self, home: Path, centre: DemoCentre, net: str, stack: AsyncExitStack) -> None:
        self.centre = centre
        self.net = net
        self.stack = stack
        (home / "centres").mkdir()
        (home / "centres" / "demo.toml").write_text(centre.toml(), encoding="utf-8")
        self.settings = Settings(
            home=home,
            centres=home / "centres",
            node="test1",
            ami_port=free_port("127.0.0.1"),
            sip_host=f"{net}.1",
            sip_port=free_port(f"{net}.1", socket.SOCK_DGRAM),
            web_port=free_port("127.0.0.1"),
            rtp_first=20000,
            rtp_last=20999,
            trunk_hosts=f"{net}.128/25",
            log_level=os.environ.get("CALLCORE_TEST_LOG", "info"),
        )
        self.configuration = load(self.settings.centres, self.settings.prompts)
        self.secrets = load_secrets(self.settings, phone_ids(self.configuration))
        self.toolchain = AsteriskToolchain.load(toolchain_path())
        found = json.loads(toolchain_path().read_text())["baresip"]
        self._baresip = (tuple(found["argv"]), Path(found["modules_dir"]))
        self.pbx = pbx_settings(self.settings, self.secrets, self.toolchain)
        write(self.configuration, self.pbx)
        self.asterisk = asterisk_process(self.pbx, self.toolchain)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        owner_only(self.settings.run)
        owner_only(self.settings.journal)
        owner_only(self.settings.keys)
        pins = PinFile(home / "pins.json")
        for n in range(1, centre.agents + 1):
            pins.set(AgentId(centre.agent(n)), PIN)
        self.ears = home / "heard"
        self.ears.mkdir()

    # -- processes --------------------------------------------------------------------------------------------

    @property
    def env(self) -> dict[str, str]:
        s = self.settings
        fields = {
            k.upper(): str(getattr(s, k)) for k in type(s).model_fields if getattr(s, k) not in ("", None)
        }
        return {
            **os.environ,
            **{f"CALLCORE_{k}": v for k, v in fields.items()},
            "PYTHONPATH": str(PROJECT / "src"),
        }

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start `engine` or `sidecar` as the process it is in real life."""
        with (self.settings.home / f"{name}.log").open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "callcore", name], env=self.env, stdout=out, stderr=out
            )
        self.processes[name] = process
        return process

    async def start_engine(self) -> None:
        self.start("engine")
        client = CommandClient(self.settings.engine_socket)
        end = time.monotonic() + DEADLINE_S
        while True:
            with contextlib.suppress(CommandFailed):
                status = await client.ask("status")
                if status["linked"] and status["beat_age_s"] is not None:
                    break
            if time.monotonic() > end or self.processes["engine"].poll() is not None:
                raise AssertionError(f"engine did not come up:\n{self.log('engine')}")
            await asyncio.sleep(0.02)
        await client.close()

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    async def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.terminate()
        return await asyncio.to_thread(process.wait, 15)

    def log(self, name: str) -> str:
        path = self.settings.home / f"{name}.log"
        return path.read_text("utf-8", "replace")[-6000:] if path.exists() else ""

    async def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        for process in self.processes.values():
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        await self.asterisk.stop()

    # -- people -----------------------------------------------------------------------------------------------

    def _sim(self, name: str, address: str, source: Source, **more: object) -> SimPhone:
        argv, modules = self._baresip
        return SimPhone(
            argv=argv,
            modules=modules,
            name=name,
            address=address,
            source=source,
            recordings=self.ears,
            **more,  # type: ignore[arg-type]
        )

    async def desk(self, n: int, *, auto_answer_s: float | None = None, hz: int | None = None) -> SimPhone:
        """The n-th desk phone, registered; it speaks a tone of its own."""
        source = Tone(hz or 400 + 40 * n)
        phone = self._sim(f"desk{n}", f"{self.net}.{20 + n}", source, auto_answer_s=auto_answer_s)
        await self.stack.enter_async_context(phone)
        name = self.centre.phone(n)
        await phone.register(name, self.secrets.phones[name], f"{self.net}.1:{self.settings.sip_port}")  # type: ignore[index]
        return phone

    async def caller(self, n: int = 1, *, hz: int = 1000, number: str | None = None) -> SimPhone:
        """A citizen behind the trunk."""
        phone = self._sim(f"caller{n}", f"{self.net}.{130 + n}", Tone(hz))
        await self.stack.enter_async_context(phone)
        await phone.use_number(number or f"03{n:08}", f"{self.net}.1:{self.settings.sip_port}")
        return phone

    async def sign_in(self, phone: SimPhone, agent: int, pin: str = PIN) -> None:
        """Key the feature code, the number and the PIN on the phone, and hear it out."""
        call = await phone.dial(f"*11{self.centre.agent(agent)}")
        await call.wait_established(5)
        await asyncio.sleep(
            0.3
        )  # a person waits for the voice; the first digits of a faster one are kept too
        await call.dtmf(f"{pin}#")
        await call.wait_closed(20)

    async def sign_out(self, phone: SimPhone) -> None:
        call = await phone.dial("*12")
        await call.wait_closed(20)

    async def dial_in(self, caller: SimPhone, number: str = NUMBER) -> PhoneCall:
        return await caller.dial(number)

    # -- what is written down ---------------------------------------------------------------------------------

    def facts(self) -> list[f.Fact]:
        """Every fact of the journal, synced or not."""
        with KeyStore.open(self.settings.journal, self.settings.keys) as keys:
            codec = Codec(f.KINDS, {}, keys)
            return [fact for frame in read_all(self.settings.journal, codec) for fact in frame.facts]  # type: ignore[misc]

    def told(self, kind: type[F]) -> list[F]:
        return [fact for fact in self.facts() if isinstance(fact, kind)]

    async def fact(
        self, kind: type[F], where: Callable[[F], bool] = lambda _: True, within: float = DEADLINE_S
    ) -> F:
        """The first fact of a kind that fits, awaited."""
        found: list[F] = []

        def look() -> bool:
            found[:] = [x for x in self.told(kind) if where(x)]
            return bool(found)

        try:
            await until(look, within, f"{kind.__name__}")
        except AssertionError as error:
            raise AssertionError(
                f"{error}; facts: {[type(x).__name__ for x in self.facts()]}\n{self.log('engine')}"
            ) from None
        return found[0]

    def floor(self) -> Floor:
        floor = Floor()
        for fact in self.facts():
            floor = evolve(floor, fact)
        return floor

    def books(self) -> Books:
        books = Books()
        for fact in self.facts():
            books = books.after(fact)
        return books

    def figures(self) -> Figures:
        found = figures(
            self.books().records.values(),
            at=Instant(round(time.time() * 1e6)),
            service_level_s=self.centre.service_level_s,
        )
        assert imbalance(found) is None
        return found

    def outcomes(self) -> list[str]:
        return [x.outcome.value for x in self.told(f.CallEnded)]

    async def ended(self, count: int, within: float = DEADLINE_S) -> list[f.CallEnded]:
        await until(lambda: len(self.told(f.CallEnded)) >= count, within, f"{count} calls ended")
        return self.told(f.CallEnded)

    def cdr_rows(self) -> list[str]:
        path = self.pbx.log_dir / "cdr-custom" / "callcore.csv"
        return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def station(
    centre: DemoCentre | None = None, *, engine: bool = True, sidecar: bool = False
) -> AsyncIterator[Station]:
    """A running installation; phones and callers made through it are stopped with it."""
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    net = f"127.{random.randrange(16, 250)}.{random.randrange(1, 250)}"
    try:
        async with AsyncExitStack() as stack:
            made = Station(folder, centre or DemoCentre(), net, stack)
            stack.push_async_callback(made.close)
            await made.asterisk.start()
            if engine:
                await made.start_engine()
            if sidecar:
                made.start("sidecar")
            yield made
    finally:
        if not os.environ.get("CALLCORE_TEST_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)
