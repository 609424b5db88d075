"""A call-back (virtual hold): a caller who keeps the place in the line without the telephone. Named by its call.

Rules
- The place is (priority, since when the call waits, the call's id), as of every caller; who waited longer is served
  first, on the telephone or not.
- One attempt at a time. When the turn has come an agent is taken, the phone rings, and only then the citizen is called.
  Only a citizen who was called has been tried; a phone that nobody picked up, or a fault of ours before that, is none.
- Each attempt is written down before anything is done, as a call that is counted apart (`sides.py`), by an id that its
  channel will bear. So after a crash it is found on Asterisk, or in CEL, or surely never was.
- Tried inside opening hours only; between two attempts the centre's distance, in opening hours; up to its attempts.
  Whether the centre is open the dialplan asks once more when the citizen is about to be called.
- Who is given up is a task from then on, as who left a message (`message.py`).
- Who rings in and comes to the line is not called back: that call takes over the place. Who is refused, or puts down
  before, is called back as promised. Nobody is called whose number is in a call with us.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from callcore.domain.ids import CallId, CentreId, Instant, NodeId, QueueId
from callcore.domain.personal import Personal
from callcore.domain.transitions import Table

SAFE_S = 60
"""Seconds after an attempt whose end nobody saw before another one. A phone rings for less."""


class CallbackState(Enum):
    WAITING = "waiting"
    RINGING = "ringing"
    """The agent's phone is asked to ring."""
    DIALLING = "dialling"
    """The citizen is being called."""
    OVER = "over"


CALLBACK: Table[CallbackState] = {
    None: {"CallbackAsked": CallbackState.WAITING},
    CallbackState.WAITING: {
        "CallbackTried": CallbackState.RINGING,
        "CallbackCancelled": CallbackState.OVER,
    },
    CallbackState.RINGING: {
        "CallbackDialled": CallbackState.DIALLING,
        "CallbackMissed": CallbackState.WAITING,
        "CallbackCancelled": CallbackState.OVER,
    },
    CallbackState.DIALLING: {
        "CallbackReached": CallbackState.OVER,
        "CallbackFailed": CallbackState.WAITING,
        "CallbackGivenUp": CallbackState.OVER,
        "CallbackCancelled": CallbackState.OVER,
    },
}


@dataclass(frozen=True, slots=True)
class Callback:
    id: CallId
    node: NodeId
    centre: CentreId
    queue: QueueId
    priority: int
    since: Instant
    language: str | None
    """That the agent must speak, by skill."""
    caller: Personal
    dialled: str
    """The centre's number that the caller had dialled. Its queue takes over where this one leaves the files."""
    asked_at: Instant
    state: CallbackState = CallbackState.WAITING
    attempts: int = 0
    """How often the citizen was called."""
    offers: int = 0
    """How often an agent's phone was rung for it."""
    not_before: Instant | None = None
    side: CallId | None = None
    """The call that the present attempt is."""

    @property
    def place(self) -> tuple[int, int, str]:
        return (self.priority, self.since, self.id)

    @property
    def number(self) -> str | None:
        """Of the citizen, as it came; None: not known any more."""
        return self.caller.text
