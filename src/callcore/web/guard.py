"""What every request passes, whatever it asks for: the Host check, the body's bounds, the headers, the last catch.

- Only names that this installation has are served. A page of somebody else whose name was pointed at this address (DNS
  rebinding) still sends its own Host, and is turned away.
- A body is taken in whole before anybody looks at it: bounded in size and time, uncompressed, and in UTF-8 where it
  says that it is text.
- Over plain HTTP only this machine itself is answered, unless the settings say otherwise: a proxy that was set up
  without TLS, or without saying that it has it, must not carry passwords.
- The content policy allows nothing inline and nothing from elsewhere; forms go to ourselves only.
- Over TLS (this server's, or a listed proxy's) the browser is told to come by TLS only from then on.
- What nobody caught is written to the log and answered as a problem, with the same headers as everything else.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callcore.web import problems
from callcore.web.problems import Kind

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

BODY_MOST = 64 * 1024
"""Bytes of a request's body. The largest form or command of a person is a few kilobytes."""
BODY_WITHIN_S = 10.0
"""Seconds from the request's head until its body is there: 64 KiB at 52 kbit/s."""

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "media-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
TLS_ONLY = "max-age=31536000"
"""A year, this name only (RFC 6797): what stands beside callcore under the same domain is not ours to decide."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?", re.ASCII)
_UNSOUND = re.compile(rb"[\r\n\0]")

log = logging.getLogger("callcore.web")


ANSWERS: Mapping[Kind, str] = {
    problems.REFUSED: "it is no HTTP",
    problems.TLS_NEEDED: "from another machine without TLS; or not allowed",
    problems.TOO_SLOW: "its head was not there in time",
    problems.URL_TOO_LONG: "the address is too long",
    problems.WRONG_HOST: "opened under a name that is not served",
    problems.HEADERS_TOO_LARGE: "the headers are too large",
    problems.OURS: "a fault of ours; the log has it",
}
BODY_ANSWERS: Mapping[Kind, str] = {
    problems.UNDECODABLE: "the body cannot be read",
    problems.TOO_SLOW: f"the body was not there within {BODY_WITHIN_S:g} s",
    problems.TOO_LARGE: f"the body is larger than {BODY_MOST // 1024} KiB",
    problems.UNSUPPORTED_MEDIA: "the body is compressed, or not in UTF-8",
}
"""What connection and guard answer themselves, to any request and to such with a body, as the OpenAPI document tells
it."""


def document(operation: dict[str, Any]) -> None:
    """Add the guard's answers to an operation of a finished OpenAPI document, where it does not name them itself."""
    # What is said of a body goes first, for two of its statuses are those of any request.
    told = [*(BODY_ANSWERS.items() if "requestBody" in operation else ()), *ANSWERS.items()]
    for kind, description in told:
        operation["responses"].setdefault(str(kind.status), problems.documented_whole(description))


class _Refused(Exception):
    def __init__(self, kind: Kind) -> None:
        self.kind = kind


class Guard:
    """`hosts`: the names that are served. `plain`: plain HTTP is answered to other machines too."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK_NAMES, *, plain: bool = False) -> None:
        self._app = app
        self._hosts = hosts
        self._plain = plain
        shown = ", ".join(sorted(hosts))
        self._wrong_host = (
            f"次の名前で開いてください: {shown}。ほかの名前は CALLCORE_WEB_NAMES に加えます。 / "
            f"Open it as one of: {shown}. Other names are added in CALLCORE_WEB_NAMES."
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers.setdefault(name, value)  # a page with a style of its own has a narrower policy
                if scope["scheme"] == "https":
                    headers["strict-transport-security"] = TLS_ONLY
                headers.setdefault("cache-control", "no-store")
                _sound_headers(message)
                started = True
            await send(message)

        path: str = scope["path"]
        headers = Headers(scope=scope)
        if _host_of(headers) not in self._hosts:
            answer = problems.respond(problems.WRONG_HOST, path, detail=self._wrong_host)
            await answer(scope, receive, guarded)
            return
        if scope["scheme"] != "https" and not (self._plain or _from_here(scope)):
            await problems.respond(problems.TLS_NEEDED, path)(scope, receive, guarded)
            return
        try:
            if _has_body(headers):
                receive = await _taken_in(headers, receive)
            await self._app(scope, receive, guarded)
        except _Refused as refused:
            await problems.respond(refused.kind, path)(scope, receive, guarded)
        except Exception:
            log.exception("request failed: %s %r", scope["method"], path)
            if started:
                raise
            await problems.respond(problems.OURS, path)(scope, receive, guarded)


def _host_of(headers: Headers) -> str | None:
    """The host without its port, in lower case; None when there is none, more than one, or something else."""
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return None
    host = _HOST.fullmatch(hosts[0].lower())
    return None if host is None else host[1]


def _from_here(scope: Scope) -> bool:
    """Whether the client (behind listed proxies: the one that they name) is this machine."""
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _sound_headers(message: Message) -> None:
    """What somebody wrote must not end up as a header of its own. Raises ValueError."""
    for name, value in message["headers"]:
        if _UNSOUND.search(value) or _UNSOUND.search(name):
            raise ValueError(f"a line break in the header {name!r}")


# -- bodies ---------------------------------------------------------------------------------------------------


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


async def _taken_in(headers: Headers, receive: Receive) -> Receive:
    """The whole body, checked, to be received once more. Raises _Refused."""
    if headers.get("content-encoding", "identity") != "identity":
        raise _Refused(problems.UNSUPPORTED_MEDIA)
    declared = headers.get("content-length")
    if declared is not None and int(declared) > BODY_MOST:
        raise _Refused(problems.TOO_LARGE)
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            body = await _whole(receive)
    except TimeoutError:
        raise _Refused(problems.TOO_SLOW) from None
    if body is None:
        return receive  # gone already; whoever asks is told so
    _decodable(headers.get("content-type", ""), body)
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _whole(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > BODY_MOST:
            raise _Refused(problems.TOO_LARGE)
        if not message.get("more_body", False):
            return bytes(body)


def _decodable(content_type: str, body: bytes) -> None:
    kind, _, rest = content_type.lower().partition(";")
    kind = kind.strip()
    form = kind == "application/x-www-form-urlencoded"
    if not (form or kind == "application/json" or kind.endswith("+json") or kind.startswith("text/")):
        return
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", rest)
    if charset is not None and charset[1] not in ("utf-8", "utf8", "us-ascii"):
        raise _Refused(problems.UNSUPPORTED_MEDIA)
    try:
        (unquote_to_bytes(body) if form else body).decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused(problems.UNDECODABLE) from None
