"""What every request passes, whatever it asks for: the Host check, the security headers, and the last catch.

- Until access control stands, only names of this machine are served. A page of somebody else whose name was pointed
  at 127.0.0.1 (DNS rebinding) still sends its own Host, and is turned away.
- The content policy allows nothing inline and nothing from elsewhere.
- What nobody caught is written to the log and answered as a problem, with the same headers as everything else.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

from callcore.web import problems

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})

SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

log = logging.getLogger("callcore.web")


class Guard:
    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK_NAMES) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        path: str = scope["path"]
        if _host_of(Headers(scope=scope)) not in self._hosts:
            await problems.respond(problems.WRONG_HOST, path)(scope, receive, guarded)
            return
        try:
            await self._app(scope, receive, guarded)
        except Exception:
            log.exception("request failed: %s %r", scope["method"], path)
            if started:
                raise
            await problems.respond(problems.OURS, path)(scope, receive, guarded)


def _host_of(headers: Headers) -> str | None:
    """The host without its port, in lower case; None when there is none, or more than one."""
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return None
    host = hosts[0].lower()
    if host.startswith("["):
        return host[: host.find("]") + 1]
    return host.partition(":")[0]
