"""What people and machines see over HTTP: the live board, the API, and the server that carries both.

Bound to loopback, or beyond it over TLS. Nothing here decides; nothing here can delay a call.
"""

from __future__ import annotations

from callcore.web.app import Metrics, create_app
from callcore.web.connection import Bounds, Traffic
from callcore.web.guard import LOOPBACK_NAMES
from callcore.web.once import Once
from callcore.web.server import CannotListen, listen, serve
from callcore.web.stream import Pace

__all__ = [
    "LOOPBACK_NAMES",
    "Bounds",
    "CannotListen",
    "Metrics",
    "Once",
    "Pace",
    "Traffic",
    "create_app",
    "listen",
    "serve",
]
