"""Simulated phones for tests, and a plain Asterisk to try them on (no callcore in it).

Which programs to start is read from `toolchain.json` (the file that CALLCORE_TOOLCHAIN names, else the one in
CALLCORE_HOME, else `var/`), which `scripts/prepare` writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from callcore.demo import sounds
from callcore.demo.phone import PhoneEvent, SimPhone
from tests.support import audio

ROOT = Path(__file__).parents[2]
PASSWORD = "trial-phone"
MUSIC_HZ = 700
"""What the plain Asterisk plays to whoever is on hold."""
ASTERISK_START_S = 30.0
POLL_S = 0.02


def toolchain() -> dict[str, Any]:
    """The programs that `scripts/prepare` found. Raises `FileNotFoundError` before that."""
    home = Path(os.environ.get("CALLCORE_HOME", ROOT / "var"))
    path = Path(os.environ.get("CALLCORE_TOOLCHAIN", home / "toolchain.json"))
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


async def until(condition: Callable[[], bool], within: float, what: str) -> None:
    """Wait for a condition; raises `TimeoutError` naming it."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {within} s: {what}")
        await asyncio.sleep(POLL_S)


class Addresses:
    """A block of 127.x.y.0/24 of our own: `asterisk` for the exchange, `next()` for each further party."""

    def __init__(self) -> None:
        self._block, self._guard = _free_block()
        self.asterisk = f"{self._block}.1"
        self._parties = itertools.count(11)

    def next(self) -> str:
        return f"{self._block}.{next(self._parties)}"

    def trunk(self) -> str:
        """The network from which callers may come without registering (the upper half of the block)."""
        return f"{self._block}.128/25"

    def caller(self, number: int) -> str:
        """The address of the nth caller on the trunk, from 0 to 120."""
        return f"{self._block}.{129 + number}"

    def release(self) -> None:
        self._guard.close()


def _free_block() -> tuple[str, socket.socket]:
    """A block nobody uses, and the socket that keeps it: other test runs on this machine look for blocks too."""
    for _ in range(200):
        block = f"127.{random.randint(20, 250)}.{random.randint(1, 250)}"
        guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            guard.bind((f"{block}.254", 5060))
        except OSError:
            guard.close()
            continue
        return block, guard
    raise OSError("no free loopback block in 200 tries")


class Phones:
    """The simulated parties of one test; ends them all. `heard` is the folder of their recordings."""

    def __init__(self, addresses: Addresses, heard: Path) -> None:
        found = toolchain()["baresip"]
        self._argv, self._modules = tuple(found["argv"]), Path(found["modules_dir"])
        self._addresses = addresses
        self._heard = heard
        self._all: list[SimPhone] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(phone.stop() for phone in self._all))

    async def desk_phone(
        self,
        user: str,
        *,
        server: str | None = None,
        password: str = PASSWORD,
        says: sounds.Source | None = None,
        auto_answer_s: float | None = None,
        on_event: Callable[[PhoneEvent], None] | None = None,
    ) -> SimPhone:
        """A registered desk phone at the given server (the block's Asterisk, if none is named)."""
        phone = self._phone(user, self._addresses.next(), says, auto_answer_s, on_event)
        await phone.start()
        await phone.register(user, password, server or self._addresses.asterisk)
        return phone

    async def caller(
        self,
        number: str,
        *,
        server: str | None = None,
        address: str | None = None,
        display: str | None = None,
        says: sounds.Source | None = None,
        on_event: Callable[[PhoneEvent], None] | None = None,
    ) -> SimPhone:
        """A caller behind the trunk."""
        at = address or self._addresses.caller(len(self._all))
        phone = self._phone(f"caller-{number}", at, says, None, on_event)
        await phone.start()
        await phone.use_number(number, server or self._addresses.asterisk, display=display)
        return phone

    def _phone(
        self,
        name: str,
        address: str,
        says: sounds.Source | None,
        auto_answer_s: float | None,
        on_event: Callable[[PhoneEvent], None] | None,
    ) -> SimPhone:
        phone = SimPhone(
            argv=self._argv,
            modules=self._modules,
            name=name,
            address=address,
            source=says,
            recordings=self._heard,
            auto_answer_s=auto_answer_s,
            longest_call_s=120.0,
            on_event=on_event,
        )
        self._all.append(phone)
        return phone


class PlainAsterisk:
    """Phones `p1`… with one password, a trunk without, and the numbers below. Raises `RuntimeError` on start.

    `p<n>` or `<prefix>p<n>` rings that phone for 5 s; 700 plays music; 800 takes six digits and stores them as
    `trial/digits` in the database; 900 plays `prompt` and hangs up; 910 answers and hangs up after a second.
    """

    def __init__(self, addresses: Addresses, phones: int = 10, prompt: audio.Samples | None = None) -> None:
        self._tools = toolchain()["asterisk"]
        self.address = addresses.asterisk
        self.folder = Path(tempfile.mkdtemp(prefix="plain-asterisk-"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            for name in ("etc", "run", "log", "lib", "spool", "key", "music"):
                (self.folder / name).mkdir()
            for name, text in _configuration(self.folder, self._tools, addresses, phones).items():
                (self.folder / "etc" / name).write_text(text)
            audio.write(self.folder / "music" / "tone.wav", audio.tone(MUSIC_HZ, 20))
            audio.write(self.folder / "prompt.wav", audio.tone(500, 1) if prompt is None else prompt)
        except BaseException:
            shutil.rmtree(self.folder)
            raise

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            with (self.folder / "log" / "console").open("wb") as log:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", "--", *self._command(), "-f"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            deadline = time.monotonic() + ASTERISK_START_S
            while "fully booted" not in self.cli("core waitfullybooted"):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log" / "console").read_text(errors="replace")[-3000:])
                time.sleep(POLL_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cli(self, line: str) -> str:
        """The answer to a console command; empty while Asterisk is not there."""
        command = [*self._command(), "-rx", line]
        return subprocess.run(command, capture_output=True, check=False, timeout=10).stdout.decode()

    def registered(self) -> int:
        """How many phones are registered."""
        with contextlib.suppress(ValueError):
            return sum(1 for line in self.cli("pjsip show contacts").splitlines() if "/sip:p" in line)
        return 0

    def channels(self) -> int:
        line = next(
            (line for line in self.cli("core show channels count").splitlines() if "channel" in line), "0"
        )
        return int(line.split()[0])

    def stored(self, key: str) -> str | None:
        """A value that the dialplan stored under `trial`."""
        answer = self.cli(f"database get trial {key}").strip()
        return answer.removeprefix("Value: ") if answer.startswith("Value: ") else None

    def _command(self) -> list[str]:
        return [*self._tools["argv"], "-C", str(self.folder / "etc" / "asterisk.conf")]


def _configuration(folder: Path, tools: dict[str, Any], addresses: Addresses, phones: int) -> dict[str, str]:
    at = addresses.asterisk
    endpoints = "".join(
        f"[p{n}](phone)\nauth=p{n}\naors=p{n}\ncallerid=Phone {n} <{n}>\n"
        f"[p{n}](auth)\nusername=p{n}\n[p{n}](aor)\n"
        for n in range(1, phones + 1)
    )
    return {
        "asterisk.conf": f"""[directories](!)
[directories]
astetcdir => {folder}/etc
astmoddir => {tools["modules_dir"]}
astvarlibdir => {folder}/lib
astdbdir => {folder}/lib
astkeydir => {folder}/key
astdatadir => {tools["data_dir"]}
astagidir => {tools["agi_dir"]}
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
[options]
systemname = plain
documentation_language = en
""",
        "modules.conf": "[modules]\nautoload=yes\n"
        + "".join(
            f"noload=>{name}.so\n"
            for name in (
                "res_prometheus",
                "res_http_websocket",
                "res_ari",
                "chan_websocket",
                "res_hep",
                "res_snmp",
            )
        ),
        "logger.conf": "[logfiles]\nmessages => notice,warning,error\n",
        "cdr.conf": "[general]\nenable=no\n",
        "cel.conf": "[general]\nenable=no\n",
        "rtp.conf": "[general]\nrtpstart=30000\nrtpend=39999\n",
        "musiconhold.conf": f"[default]\nmode=files\ndirectory={folder}/music\n",
        "pjsip.conf": f"""[global]
type=global
endpoint_identifier_order=ip,username,anonymous
[udp]
type=transport
protocol=udp
bind={at}:5060
[phone](!)
type=endpoint
context=phones
disallow=all
allow=ulaw
direct_media=no
rtp_symmetric=yes
dtmf_mode=rfc4733
[auth](!)
type=auth
auth_type=digest
password={PASSWORD}
[aor](!)
type=aor
max_contacts=1
remove_existing=yes
minimum_expiration=10
[trunk](phone)
[trunk]
type=identify
endpoint=trunk
match={addresses.trunk()}
{endpoints}""",
        "extensions.conf": f"""[phones]
exten => _p[1-9],1,Dial(PJSIP/${{EXTEN}},5)
exten => _p[1-9]X,1,Dial(PJSIP/${{EXTEN}},5)
exten => _p[1-9]XX,1,Dial(PJSIP/${{EXTEN}},5)
exten => 700,1,Answer()
 same => n,MusicOnHold()
exten => 800,1,Answer()
 same => n,Read(GOT,,6,,1,5)
 same => n,Set(DB(trial/digits)=${{GOT}})
 same => n,Wait(30)
exten => 900,1,Answer()
 same => n,Wait(0.3)
 same => n,Playback({folder}/prompt)
 same => n,Wait(0.2)
 same => n,Hangup()
exten => 910,1,Answer()
 same => n,Wait(1)
 same => n,Hangup()
""",
    }
