"""The link to one Asterisk node over its manager interface (AMI).

`wire` holds the rules of the protocol and does no I/O, `link` keeps the connection and is the only file that
knows panoramisk, `canary` measures how late events arrive.
"""

from __future__ import annotations

from callcore.ami.canary import Canary, Lag
from callcore.ami.link import Gauges, Inbound, Link, LinkLost, LinkState, LinkUp, ListCompleted, Settings
from callcore.ami.wire import (
    ActionFailed,
    ActionTimeout,
    AmiError,
    AuthenticationFailed,
    Event,
    Fields,
    LinkDown,
    Notice,
    Reply,
    WireError,
)

__all__ = [
    "ActionFailed",
    "ActionTimeout",
    "AmiError",
    "AuthenticationFailed",
    "Canary",
    "Event",
    "Fields",
    "Gauges",
    "Inbound",
    "Lag",
    "Link",
    "LinkDown",
    "LinkLost",
    "LinkState",
    "LinkUp",
    "ListCompleted",
    "Notice",
    "Reply",
    "Settings",
    "WireError",
]
