"""A SIP user agent over TLS, as desk phones register by default, with a certificate of its maker or without."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from tests.support.sip import Agent, Line


class _Transport:
    """What `Agent` sends by, as if it were a datagram's."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def sendto(self, data: bytes, _: object) -> None:
        self._writer.write(data)

    def close(self) -> None:
        self._writer.close()


class _TlsLine:
    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, taken: Callable[[bytes], None]
    ) -> None:
        self.transport = _Transport(writer)
        self.port = int(writer.get_extra_info("sockname")[1])
        self._task = asyncio.create_task(self._read(reader, taken))

    async def _read(self, reader: asyncio.StreamReader, taken: Callable[[bytes], None]) -> None:
        """Messages out of the stream (RFC 3261 §18.3: by Content-Length)."""
        data = b""
        while part := await reader.read(65536):
            data = (data + part).lstrip(b"\r\n")
            while b"\r\n\r\n" in data:
                head, _, rest = data.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length:\s*(\d+)", head)
                size = int(length[1]) if length is not None else 0
                if len(rest) < size:
                    break
                taken(head + b"\r\n\r\n" + rest[:size])
                data = rest[size:].lstrip(b"\r\n")


class TlsAgent(Agent):
    def _put(self, text: str) -> None:
        if not text.startswith("SIP/2.0"):
            text = text.replace("SIP/2.0/UDP", "SIP/2.0/TLS", 1)
        super()._put(re.sub(r"(Contact: <sip:[^>;]*)>", r"\1;transport=tls>", text))


@asynccontextmanager
async def tls_agent(
    host: str,
    user: str,
    pbx: tuple[str, int],
    password: str,
    ca: Path,
    certificate: tuple[Path, Path] | None = None,
) -> AsyncIterator[TlsAgent]:
    """`ca`: whom it trusts; `certificate` and key of its own, if it shows one."""
    agent = TlsAgent(host, user, pbx, password)
    context = ssl.create_default_context(cafile=str(ca))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if certificate is not None:
        context.load_cert_chain(*certificate)
    reader, writer = await asyncio.open_connection(
        *pbx, ssl=context, server_hostname=pbx[0], local_addr=(host, 0)
    )
    agent.sip = cast("Line", _TlsLine(reader, writer, agent.taken))
    try:
        yield agent
    finally:
        await agent.close()
