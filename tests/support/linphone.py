"""Linphone, a softphone of somebody else's (Debian's `linphone-cli`), with a stack of its own (belle-sip).

It is told what to do on its standard input and says on its standard output what became of it. Where only the loopback
is there it takes the network for down, and sends nothing unless it is told not to look (seen with 5.1.65).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CONFIGURATION = """\
[sip]
auto_net_state_mon=0
register_only_when_network_is_up=0
bind_address={address}
sip_port={port}
sip_tcp_port=0
sip_tls_port=0
guess_hostname=0
contact=sip:{user}@{address}:{port}

[net]
mtu=1300

[rtp]
audio_rtp_port={rtp}

[proxy_0]
reg_proxy=<sip:{server};transport=udp>
reg_identity=sip:{user}@{host}
reg_expires=120
reg_sendregister=1
publish=0

[auth_info_0]
username={user}
userid={user}
passwd={secret}
"""


class Linphone:
    """One running `linphonec`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""
        """All that it wrote."""
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(4096):
            self.said += chunk.decode(errors="replace")

    async def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        await self._process.stdin.drain()

    async def says(self, words: str, within: float = 40.0) -> None:
        """Wait until it has said so."""
        try:
            async with asyncio.timeout(within):
                while words not in self.said:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"linphone did not say {words!r}: {self.said[-2000:]}") from None

    async def end(self) -> None:
        if self._process.returncode is None:
            try:
                await self.tell("quit")
                await asyncio.wait_for(self._process.wait(), 10)
            except (TimeoutError, ConnectionError):
                self._process.kill()
                await self._process.wait()
        await self._reader


@asynccontextmanager
async def linphone(
    folder: Path, user: str, secret: str, server: tuple[str, int], address: str, port: int = 5071
) -> AsyncIterator[Linphone]:
    """Linphone at an address of its own, with that phone's name and password. It registers by itself."""
    program = shutil.which("linphonec")
    assert program, "linphone がありません: apt-get install linphone-cli / install the package linphone-cli"
    (folder / ".local/share/linphone").mkdir(parents=True, exist_ok=True)
    file = folder / "linphonerc"
    host, at = server
    file.write_text(
        CONFIGURATION.format(
            address=address,
            port=port,
            rtp=port + 2000,
            user=user,
            secret=secret,
            server=f"{host}:{at}",
            host=host,
        )
    )
    file.chmod(0o600)
    env = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    env["HOME"] = str(folder)
    process = await asyncio.create_subprocess_exec(
        program,
        "-c",
        str(file),
        "-S",
        cwd=folder,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    phone = Linphone(process)
    try:
        yield phone
    finally:
        await phone.end()
