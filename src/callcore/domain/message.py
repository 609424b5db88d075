"""A message that a caller left, or a call-back that was given up: a task with a deadline, named by its call; and tasks
that agents keep.

Rules
- It begins with the tone and is one when the dialplan has thanked for it, or when the caller put down while speaking.
  What was said is measured afterwards: where the caller put down without having said anything, there is no message.
  Who was thanked gets a task, whatever the measure says.
- A call-back that was given up is a task without sound: who asked for it is still to be dealt with.
- So is an escalation (エスカレーション): what an agent keeps about a caller of the last day, with a subject. A call
  has one task: one with a message or a call-back that was given up gets no other.
- So is a task of its own: about an older call, or about none. It has a name of its own, under which all that is
  personal of it is sealed; that key is destroyed when it leaves the list.
- The deadline counts opening hours of the centre: `due_s` seconds of them, from when it was left.
- Open, taken by an agent, then done or not done with a result. Who takes it from somebody else has it from then on. One
  that was dealt with may be taken up again.
- It stands on the floor until it was dealt with and `keep_days` have passed. One that nobody dealt with stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from callcore.domain.ids import AgentId, CallId, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.personal import Personal
from callcore.domain.stages import Outcome
from callcore.domain.transitions import Table

LEAST_S = 1
"""Seconds after the tone within which nobody has said anything: who puts down then has left no message."""
VOICE_LEAST_S = 0.5
"""Seconds of sound above silence that a message has at least."""
RESULT_MOST = 200
"""Characters of what became of it."""
SUBJECT_MOST = 100
"""Characters of what an escalation is about."""
NUMBER = re.compile(r"[0-9]{2,18}", re.ASCII)
"""Of a citizen, as it is dialled within the country."""
NOTE_MOST = 500
"""Characters of what else is written about it."""


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
    None: {
        "MessageLeft": MessageState.OPEN,
        "CallbackGivenUp": MessageState.OPEN,
        "TaskKept": MessageState.OPEN,
        "TaskOpened": MessageState.OPEN,
    },
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
    """Its name: that of its call, or its own."""
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
    cut: bool = False
    """What was said at its end could not be recorded."""
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
    subject: Personal | None = None
    """What an escalation is about; None: it is none. There is no sound either."""
    department: DepartmentId | None = None
    """Of an escalation: who calls back, or is to be asked."""
    note: Personal | None = None
    """Of an escalation: what else was written about it."""
    about: CallId | None = None
    """The call that it is about; None: it is about none."""

    @property
    def own(self) -> bool:
        """A task with a name of its own, under which what is personal of it is sealed."""
        return self.about != self.call

    @property
    def open(self) -> bool:
        return self.state in OPEN_MESSAGE

    def overdue(self, at: Instant) -> bool:
        return self.open and at > self.due_at
