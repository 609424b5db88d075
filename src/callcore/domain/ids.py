"""The names of things, and time.

Every id is a string that is unique over the whole installation, so that it may stand on a channel, in a file
name and in a table without its owner beside it. `Instant` is the only clock value in the core.
"""

from __future__ import annotations

from typing import NewType

NodeId = NewType("NodeId", str)
"""An Asterisk node, by its `systemname`."""

ChannelId = NewType("ChannelId", str)
"""Asterisk's `Uniqueid` of a channel, with the node's system name in front (`node1-1795193503.7`)."""

CallId = NewType("CallId", str)
"""A call is named by the `Uniqueid` of its arriving channel."""

VisitId = NewType("VisitId", str)
OfferId = NewType("OfferId", str)
AgentId = NewType("AgentId", str)
"""The number that an agent keys to sign in; digits only."""

PhoneId = NewType("PhoneId", str)
"""A desk phone's SIP user, and its endpoint's name in Asterisk."""

QueueId = NewType("QueueId", str)
DepartmentId = NewType("DepartmentId", str)
"""`<centre>-<name>`."""

CentreId = NewType("CentreId", str)

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch, UTC, as Asterisk stamped it. Whole numbers, so that sums are exact."""

Micros = NewType("Micros", int)
"""A length of time in microseconds."""

SECOND = 1_000_000


def seconds(n: float) -> Micros:
    """A length of time from seconds."""
    return Micros(round(n * SECOND))


def after(at: Instant, length: int) -> Instant:
    """The instant `length` microseconds after `at`."""
    return Instant(at + length)
