"""A message that a caller left, or a call-back that was given up: a task with a deadline, named by its call.

Rules
- It begins with the tone and is one when the dialplan has thanked for it, or when the caller put down while speaking.
  What was said is measured afterwards: where the caller put down without having said anything, there is no message.
  Who was thanked gets a task, whatever the measure says.
- A call-back that was given up is a task without sound: who asked for it is still to be dealt with.
- The deadline counts opening hours of the centre: `due_s` seconds of them, from when it was left.
- Open, taken by an agent, then done or not done with a result. Who takes it from somebody else has it from then on. One
  that was dealt with may be taken up again.
- It stands on the floor until it was dealt with and `keep_days` have passed. One that nobody dealt with stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from callcore.domain.ids import AgentId, CallId, CentreId, Instant, QueueId
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome
from callcore.domain.transitions import Table

LEAST_S = 1
"""Seconds after the tone within which nobody has said anything: who puts down then has left no message."""
VOICE_LEAST_S = 0.5
"""Seconds of sound above silence that a message has at least."""
RESULT_MOST = 200
"""Characters of what became of it."""


class MessageState(Enum):
    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"
    UNDONE = "undone"
    """It could not be dealt with; the result says why."""
    EMPTY = "empty"
    """It turned out to be none."""


OPEN_MESSAGE = frozenset({MessageState.OPEN, MessageState.TAKEN})
"""Somebody still has to do something about it."""

MESSAGE: Table[MessageState] = {
    None: {"MessageLeft": MessageState.OPEN, "CallbackGivenUp": MessageState.OPEN},
    MessageState.OPEN: {
        "MessageFiled": MessageState.OPEN,
        "MessageEmpty": MessageState.EMPTY,
        "MessageTaken": MessageState.TAKEN,
        "MessageDone": MessageState.DONE,
        "MessageUndone": MessageState.UNDONE,
    },
    MessageState.TAKEN: {
        "MessageFiled": MessageState.TAKEN,
        "MessageEmpty": MessageState.EMPTY,
        "MessageTaken": MessageState.TAKEN,
        "MessageDone": MessageState.DONE,
        "MessageUndone": MessageState.UNDONE,
    },
    MessageState.DONE: {
        "MessageFiled": MessageState.DONE,
        "MessageTaken": MessageState.TAKEN,
        "MessageDropped": MessageState.DONE,
    },
    MessageState.UNDONE: {
        "MessageFiled": MessageState.UNDONE,
        "MessageTaken": MessageState.TAKEN,
        "MessageDropped": MessageState.UNDONE,
    },
}
"""`MessageDropped`: it leaves the list as what it was."""


@dataclass(frozen=True, slots=True)
class Message:
    call: CallId
    centre: CentreId
    queue: QueueId
    """Of the agents who are to deal with it."""
    language: str | None
    """That the caller chose in a menu."""
    caller: Personal
    left_at: Instant
    due_at: Instant
    state: MessageState = MessageState.OPEN
    state_since: Instant = Instant(0)
    otherwise: Outcome | None = None
    """The caller put down while speaking: what the call ends as if nothing was said. None: was thanked."""
    agent: AgentId | None = None
    """Who has taken it."""
    result: Personal | None = None
    filed: bool = False
    """Its sound was measured."""
    file: str | None = None
    """Below the recordings' folder."""
    seconds: float | None = None
    """Of sound; None: not measured yet."""
    problem: str | None = None
    """What is wrong with the file; None: nothing."""
    callback: bool = False
    """Of a call-back that was given up: there is no sound."""

    @property
    def open(self) -> bool:
        return self.state in OPEN_MESSAGE

    def overdue(self, at: Instant) -> bool:
        return self.open and at > self.due_at
