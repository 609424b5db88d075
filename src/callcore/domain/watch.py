"""A supervisor's phone at the talk of an agent: listening, whispering, barging in, about to take over.

Rules (`supervising.py` decides by them)
- A watch is the channel that callcore has made to the supervisor's own desk phone. It is no leg of the call and no call
  of its own: no figure and no recording knows it. Only a take-over makes it the caller's leg, and ends the watch.
- While there is one, the supervisor's phone gets no caller.
- Asterisk ends it with the watched talk, whether callcore lives or not.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.ids import AgentId, CallId, ChannelId, Instant, NodeId, PhoneId
from callcore.domain.stages import WatchMode


@dataclass(frozen=True, slots=True)
class Watch:
    id: ChannelId
    node: NodeId
    call: CallId
    agent: AgentId
    leg: ChannelId
    """The agent's channel."""
    watcher: AgentId
    phone: PhoneId
    """The watcher's."""
    mode: WatchMode
    by: str
    began_at: Instant
    heard: bool = False
    """The phone was picked up."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on board and lamps warn; None: as the files say."""

    waiting: int | None = None
    wait_s: int | None = None
